"""Which messages are exact repeats of one that came a short while ago: for what has no version to go by.

Pure. An id says all where there is no version, since it is made of the content then; where there is one, the content
has to be compared as well, since a server restored from a backup counts versions again.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable

from bridge.message import Message

__all__ = ["Repeats"]


class Repeats:
    """Recognises the same id, with the same bytes where it has a version, within a time and a number of messages.

    The clock is the messages' own `received_at`. Only a hash of the bytes is kept: Python's own, 64 bits, keyed anew in
    every process, so that nobody can aim at it.
    """

    def __init__(self, seconds: float, max_events: int = 20_000) -> None:
        self._seconds = seconds
        self._max_events = max_events
        # Not a dict: finding the oldest entry of one passes over every entry deleted before it.
        self._known: OrderedDict[str, tuple[int | None, float]] = OrderedDict()
        self._fresh: deque[str] = deque(maxlen=max_events)

    def __len__(self) -> int:
        return len(self._known)

    def repeats(self, message: Message) -> bool:
        """Say whether the message is an exact repeat of the last one with its id; remember it if it is not."""
        content = None if message.version is None else hash(message.body)
        known = self._known.get(message.id)
        now = message.received_at
        if known is not None and known[0] == content and now - known[1] <= self._seconds:
            return True
        self._remember(message.id, content, now)
        if content is None:
            self._fresh.append(message.id)
        return False

    def _remember(self, identity: str, content: int | None, at: float) -> None:
        self._known[identity] = (content, at)
        self._known.move_to_end(identity)
        if len(self._known) > self._max_events:
            self._known.popitem(last=False)

    def forget(self, identities: Iterable[str]) -> None:
        """Take back what was remembered of messages that were not stored after all: a repeat of one is news."""
        for identity in identities:
            self._known.pop(identity, None)

    def take_fresh(self) -> list[tuple[str, float]]:
        """Give the ids without a version that came since this was asked last, oldest first, and when they came."""
        fresh = [(identity, self._known[identity][1]) for identity in self._fresh if identity in self._known]
        self._fresh.clear()
        return fresh

    def restore(self, known: Iterable[tuple[str, float]]) -> None:
        """Remember ids without a version again, oldest first."""
        for identity, at in known:
            self._remember(identity, None, at)
