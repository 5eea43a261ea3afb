"""What is lost of the journal: runs of sequence numbers whose rows are damaged or gone, each told in its place.

Sequence numbers are contiguous, so that a number which is not there is a row that was lost. Used by
`bridge.journal.reader`, which finds them, and `bridge.journal.log`.
"""

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from bridge.journal.chunk import CorruptRow
from bridge.message import RESYNC_REQUIRED, Message, event_id

__all__ = ["Damage", "Lost", "Telling", "told_plainly"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lost:
    """A run of sequence numbers that cannot be read any more, in the journal of this identity.

    `since` is when the readable row before it was received, None if that is unknown, and `until` the one behind it,
    or when the journal was opened if that was before; in seconds since the epoch.
    """

    journal: str
    first: int
    last: int
    since: float | None
    until: float

    @property
    def events(self) -> int:
        """How many were lost."""
        return self.last - self.first + 1


Telling = Callable[[Lost], Message]
"""Makes the event that tells a run in its place; the same run has to give the same id."""


def told_plainly(lost: Lost) -> Message:
    """Tell a run where site and resources are not known."""
    identity = event_id(RESYNC_REQUIRED, lost.journal, lost.first)
    body = msgspec.json.encode({"cause": "corruption", "lostEvents": lost.events})
    return Message(identity, RESYNC_REQUIRED, None, None, None, None, lost.until, None, lost.until, body)


class Damage:
    """What is known to be lost of one journal, so that each row counts once however many sinks pass it.

    `kept` are the numbers of the damaged rows that are dead letters already.
    """

    def __init__(
        self,
        journal: str,
        kept: Iterable[int] = (),
        tell: Telling = told_plainly,
        on_lost: Callable[[Lost], None] = lambda _: None,
    ) -> None:
        self.journal = journal
        self.tell = tell
        self.rows = 0
        """How many were found lost since the start."""
        self._on_lost = on_lost
        self._kept = set(kept)
        self._known = _Runs()

    def note(self, runs: Sequence[Lost], remains: Sequence[CorruptRow], settled: int) -> Sequence[CorruptRow]:
        """Count what was found, and log it; return of what is left of the rows what is no dead letter yet.

        All up to `settled` is passed by every sink and can be forgotten.
        """
        for lost in runs:
            new = self._known.add(lost.first, lost.last)
            if new:
                self.rows += new
                self._on_lost(lost)
                text = "%d events of the journal are lost, numbers %d to %d: told to the sinks in their place"
                _log.error(text, lost.events, lost.first, lost.last)
        fresh = [row for row in remains if row.seq not in self._kept]
        self._kept.update(row.seq for row in fresh)
        self._known.forget(settled)
        self._kept = {seq for seq in self._kept if seq > settled}
        return fresh


class _Runs:
    """Runs of numbers that neither overlap nor touch, in order."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def add(self, first: int, last: int) -> int:
        """Note a run; return how many of its numbers are new."""
        start = bisect_left(self._lasts, first - 1)
        end = start
        new, at = 0, first
        while end < len(self._firsts) and self._firsts[end] <= last + 1:
            new += max(self._firsts[end] - at, 0)
            at = max(at, self._lasts[end] + 1)
            end += 1
        new += max(last + 1 - at, 0)
        merged_first = min(first, self._firsts[start]) if start < end else first
        merged_last = max(last, self._lasts[end - 1]) if start < end else last
        self._firsts[start:end] = [merged_first]
        self._lasts[start:end] = [merged_last]
        return new

    def forget(self, upto: int) -> None:
        """Forget the runs that end at a number or before."""
        while self._lasts and self._lasts[0] <= upto:
            del self._firsts[0], self._lasts[0]
