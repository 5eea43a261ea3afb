"""One sink's place in the journal, and what it has read ahead from disk.

Pure. `cursor` is the last sequence number that is settled, `durable` the last one whose settling is on disk. Used by
`bridge.journal.log`.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.journal.chunk import CorruptRow, decode
from bridge.journal.store import Chunk
from bridge.message import Message

__all__ = ["Page", "Reader"]


@dataclass(frozen=True, slots=True)
class Page:
    """What a sink is to deliver next: messages, oldest first, and the sequence number of each."""

    messages: Sequence[Message]
    seqs: Sequence[int]


@dataclass(slots=True)
class Reader:
    """See the module; `body_bytes` is what is unsettled, `oldest_at` when the first of it was received, if known.

    `asked` is the last cursor that is on its way to the disk. `told` is the last damaged row that was told of, since a
    chunk may be read more than once; `damaged` are those in front of the cursor.
    """

    cursor: int
    durable: int
    asked: int = 0
    body_bytes: int = 0
    oldest_at: float | None = None
    told: int = 0
    damaged: deque[int] = field(default_factory=deque)
    _seqs: list[int] = field(default_factory=list)
    _messages: list[Message] = field(default_factory=list)

    def ahead(self, limit: int) -> Page | None:
        """Return up to `limit` messages behind the cursor out of what was read ahead."""
        start = bisect_right(self._seqs, self.cursor)
        if start == len(self._seqs):
            self._seqs, self._messages = [], []
            return None
        return Page(self._messages[start : start + limit], self._seqs[start : start + limit])

    def pass_over(self, seq: int) -> int:
        """Count the damaged rows that a cursor which is moved to `seq` passes, and forget them."""
        count = 0
        while self.damaged and self.damaged[0] <= seq:
            self.damaged.popleft()
            count += 1
        return count

    def take(self, chunks: Sequence[Chunk], until: int) -> list[CorruptRow]:
        """Read chunks ahead; return the rows up to `until` that are damaged or missing.

        `until` is how far the chunks should reach if none is missing. Where nothing readable is left, the cursor has to
        be moved over what is returned.
        """
        self._seqs, self._messages = [], []
        lost: list[CorruptRow] = []
        expected = self.cursor + 1
        for chunk in chunks:
            lost += (CorruptRow(seq, b"") for seq in range(expected, chunk.first))
            for seq, row in enumerate(decode(chunk.rows, chunk.first, chunk.last), chunk.first):
                if seq < expected:
                    continue
                if isinstance(row, CorruptRow):
                    lost.append(row)
                else:
                    self._seqs.append(seq)
                    self._messages.append(row)
            expected = chunk.last + 1
        if not chunks:
            lost += (CorruptRow(seq, b"") for seq in range(expected, until + 1))
        return lost
