"""The journal's rows as they are looked at: what is stored, and what should be and cannot be read.

Pure. Sequence numbers are contiguous, so that each number behind what is freed is a message or a loss. Used by
`bridge.rows`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bridge.journal.change import Chunk
from bridge.journal.chunk import CorruptRow, decode
from bridge.message import Message

__all__ = ["Hole", "Row", "numbered", "rows_of"]


@dataclass(frozen=True, slots=True)
class Row:
    """A message and its sequence number."""

    seq: int
    message: Message


@dataclass(frozen=True, slots=True)
class Hole:
    """Sequence numbers `seq` to `last` of which nothing can be read; `left_bytes` are there and fail their checksum."""

    seq: int
    last: int
    left_bytes: int


def rows_of(chunks: Sequence[Chunk], after: int, until: int) -> Iterator[Row | Hole]:
    """Give what stands behind the number `after`, in order, up to the end of the chunks; to `until` if there is none.

    A run of numbers of which nothing can be read is one hole, as far as these chunks show it.
    """
    hole: Hole | None = None
    for seq, found in numbered(chunks, after, until):
        if isinstance(found, Message):
            if hole is not None:
                yield hole
                hole = None
            yield Row(seq, found)
        elif hole is None:
            hole = Hole(seq, seq, found)
        else:
            hole = Hole(hole.seq, seq, hole.left_bytes + found)
    if hole is not None:
        yield hole


def numbered(chunks: Sequence[Chunk], after: int, until: int) -> Iterator[tuple[int, Message | int]]:
    """Give each number with its message, or with how many bytes are left of it; up to where `rows_of` does."""
    due = after + 1
    for chunk in chunks:
        yield from ((seq, 0) for seq in range(due, chunk.first))
        for seq, row in enumerate(decode(chunk.rows, chunk.first, chunk.last), chunk.first):
            if seq >= due:
                yield seq, len(row.data) if isinstance(row, CorruptRow) else row
        due = max(due, chunk.last + 1)
    if not chunks:
        yield from ((seq, 0) for seq in range(due, until + 1))
