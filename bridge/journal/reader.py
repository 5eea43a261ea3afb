"""One sink's place in the journal, and what it has read ahead from disk.

Pure. `cursor` is the last sequence number that is settled, `durable` the last one whose settling is on disk. Used by
`bridge.journal.log`.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from bridge.journal.chunk import CorruptRow
from bridge.journal.damage import Lost, Telling
from bridge.message import Message

__all__ = ["Ahead", "Lag", "Page", "Reader", "Span"]


@dataclass(frozen=True, slots=True)
class Page:
    """What a sink is to deliver next: messages, oldest first, and the sequence number of each.

    A message that tells of a run of lost rows has the number of the last of them.
    """

    messages: Sequence[Message]
    seqs: Sequence[int]

    def within(self, max_bytes: int) -> "Page":
        """Give the page up to the message whose body reaches so many bytes in all."""
        sizes = list(accumulate([len(message.body) for message in self.messages]))
        if not sizes or sizes[-1] <= max_bytes:
            return self
        count = bisect_left(sizes, max_bytes) + 1
        return Page(self.messages[:count], self.seqs[:count])


@dataclass(frozen=True, slots=True)
class Lag:
    """What is accepted and not yet settled for a sink; `oldest_at` is None when nothing is."""

    events: int
    body_bytes: int
    oldest_at: float | None


@dataclass(frozen=True, slots=True)
class Span:
    """A chunk that is decoded: a row for each number from `first` to `last`; `size` is what it had in bytes."""

    first: int
    last: int
    size: int
    rows: Sequence[Message | CorruptRow]


@dataclass(frozen=True, slots=True)
class Ahead:
    """Spans read ahead, in order, and how far they should reach if none is missing.

    `whole` says that there is nothing else up to there. `until` is when the row behind was received, or now. `opened`
    is the last number that was given before this start, and the moment of the start.
    """

    spans: Sequence[Span]
    upto: int
    whole: bool
    until: float
    opened: tuple[int, float]

    def end_of_loss(self, last: int, behind: float) -> float:
        """Tell until when a run up to the number `last` lasts, if the row behind it was received at `behind`.

        What was lost at the journal's end was received before the start, for all sinks alike: also for one that reads
        before there is a row behind it.
        """
        number, at = self.opened
        return min(at, behind) if last <= number else behind


@dataclass(slots=True)
class Reader:
    """See the module; `body_bytes` is what is unsettled, `oldest_at` when the first of it was received, if known.

    `asked` is the last cursor that is on its way to the disk, and `unrecorded` is how far it may be behind.
    `settled_at` is when the message at the cursor was received. `skipped` are, for each run of lost rows in front
    of the cursor, its last number and how many of its rows no message stands for.
    """

    cursor: int
    durable: int
    asked: int = 0
    unrecorded: int = 1
    body_bytes: int = 0
    oldest_at: float | None = None
    settled_at: float | None = None
    skipped: deque[tuple[int, int]] = field(default_factory=deque)
    _seqs: list[int] = field(default_factory=list)
    _messages: list[Message] = field(default_factory=list)

    def ahead(self, limit: int) -> Page | None:
        """Return up to `limit` messages behind the cursor out of what was read ahead."""
        start = bisect_right(self._seqs, self.cursor)
        if start == len(self._seqs):
            self._seqs, self._messages = [], []
            return None
        return Page(self._messages[start : start + limit], self._seqs[start : start + limit])

    def ends_with(self, page: Page) -> bool:
        """Tell whether a page is the last of what was read ahead."""
        return bool(self._seqs) and self._seqs[-1] == page.seqs[-1]

    def pass_over(self, seq: int) -> int:
        """Count the lost rows without a message that a cursor which is moved to `seq` passes, and forget them."""
        count = 0
        while self.skipped and self.skipped[0][0] <= seq:
            count += self.skipped.popleft()[1]
        return count

    def take(self, ahead: Ahead, journal: str, tell: Telling) -> tuple[list[Lost], list[CorruptRow]]:
        """Take spans, a message in the place of each run of lost rows; return these, and what is left of them.

        A run whose end is not among the spans waits for the next read, unless there is nothing before it: the same run
        is told the same way, wherever a sink begins to read.
        """
        self._seqs, self._messages, self.skipped = [], [], deque()
        runs: list[Lost] = []
        remains: list[CorruptRow] = []
        expected, since, begun = self.cursor + 1, self.settled_at, 0
        for span in ahead.spans:
            if span.first > expected:
                begun = begun or expected
            for seq, row in enumerate(span.rows, span.first):
                if isinstance(row, CorruptRow):
                    if seq >= expected:
                        begun = begun or seq
                        remains.append(row)
                    continue
                if seq >= expected:
                    if begun:
                        ended = ahead.end_of_loss(seq - 1, row.received_at)
                        runs.append(self._place(Lost(journal, begun, seq - 1, since, ended), tell))
                        begun = 0
                    self._seqs.append(seq)
                    self._messages.append(row)
                since = row.received_at
            expected = max(expected, span.last + 1)
        if ahead.whole and expected <= ahead.upto:
            begun, expected = begun or expected, ahead.upto + 1
        if begun and (ahead.whole or not self._seqs):
            ended = ahead.end_of_loss(expected - 1, ahead.until)
            runs.append(self._place(Lost(journal, begun, expected - 1, since, ended), tell))
        return runs, [row for row in remains if row.data and row.seq <= self._seqs[-1]]

    def _place(self, lost: Lost, tell: Telling) -> Lost:
        self._seqs.append(lost.last)
        self._messages.append(tell(lost))
        self.skipped.append((lost.last, lost.events - 1))
        return lost
