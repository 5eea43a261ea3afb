"""Whether a message was there before.

Pure. The pipeline asks before it stores a batch. A hub that repeats itself after a reconnect sends the very same
notification; the same version with other content is news, since a server restored from a backup counts versions again.
"""

from collections import OrderedDict
from collections.abc import Sequence

from bridge.message import Message

__all__ = ["Repeats"]


class Repeats:
    """Recognises exact repeats: the same id with the same bytes, within a time and a number of messages.

    Only a hash of the bytes is kept: Python's own, 64 bits, keyed anew in every process, so that nobody can aim at it.
    """

    def __init__(self, dedupe_seconds: float, max_events: int = 20_000) -> None:
        self._dedupe_seconds = dedupe_seconds
        self._max_events = max_events
        # Not a dict: finding the oldest entry of one passes over every entry deleted before it.
        self._known: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def repeats(self, message: Message, now: float) -> bool:
        """Say whether the message is an exact repeat of the last one with its id, and remember it.

        `now` is in seconds of any clock that never runs backwards.
        """
        content = hash(message.body)
        known = self._known.pop(message.id, None)
        self._known[message.id] = (content, now)
        if known is None:
            if len(self._known) > self._max_events:
                self._known.popitem(last=False)
            return False
        return known[0] == content and now - known[1] <= self._dedupe_seconds

    def forget(self, messages: Sequence[Message]) -> None:
        """Take back what was remembered of messages that were not stored after all: a repeat of one is news."""
        for message in messages:
            self._known.pop(message.id, None)
