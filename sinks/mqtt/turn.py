"""Whose turn it is: which messages of a batch may be sent while others are on their way.

Pure. A broker may refuse a message and take the next one of the same resource; sent again, the first would come out
behind the second. So of one resource only one message is on its way at a time, and all others need not wait for it.
What the bridge tells of a gap is of the resource that has it; a window waits for nobody, since it has its place before
whatever was heard after it.
"""

from bisect import insort
from collections.abc import Sequence

import msgspec

from bridge.message import GAP_CLOSED, GAP_DETECTED, RESYNC_REQUIRED, Message

__all__ = ["Turns"]

_Key = tuple[str | None, str | None]


class _Gap(msgspec.Struct):
    resource: str | None
    id: str | None


_gap = msgspec.json.Decoder(_Gap).decode


class Turns:
    """The numbers of a batch's messages, each given once: always the lowest whose predecessor has been answered.

    `together` lets go of that: then they are given in order and wait for nobody.
    """

    def __init__(self, batch: Sequence[Message], *, together: bool = False) -> None:
        self.behind: dict[int, int] = {}
        """Who waits, by whom it waits for."""
        keys = [] if together else [_key(message) for message in batch]
        waiting = self._who_waits(keys) if len(set(keys)) < len(keys) else ()
        ready = range(1 - len(batch), 1)
        self.ready = [number for number in ready if -number not in waiting] if waiting else list(ready)
        """Minus the numbers whose turn it is, ascending, so that the next one to take stands last."""

    def _who_waits(self, keys: Sequence[_Key]) -> set[int]:
        last: dict[_Key, int] = {}
        for number, key in enumerate(keys):
            if key in last:
                self.behind[last[key]] = number
            last[key] = number
        return set(self.behind.values())

    def take(self) -> int:
        """Give the one whose turn it is; only while there is one in `ready`."""
        return -self.ready.pop()

    def answered(self, number: int) -> None:
        """Note that a message was confirmed or refused for good: the next of its resource has its turn."""
        if number in self.behind:
            insort(self.ready, -self.behind.pop(number))


def _key(message: Message) -> _Key:
    """Say which resource a message is about; all that is about none is as of one, but for windows."""
    if message.event == RESYNC_REQUIRED:
        return message.event, message.id
    if message.resource is None and message.event in (GAP_DETECTED, GAP_CLOSED):
        gap = _gap(message.body)
        return gap.resource, gap.id
    return message.resource, message.resource_id
