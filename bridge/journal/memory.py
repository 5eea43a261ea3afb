"""What is remembered of messages that are settled and gone: records of the source's memory, kept in the same file.

Pure. A memory that is a function of the messages needs no disk as long as they are there. So it is recorded where they
are deleted, in that transaction, and now and then in between, so that at a start few messages have to be read again.
Used by `bridge.journal.log` and `bridge.journal.opening`.
"""

import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Protocol

from bridge.message import Message

__all__ = ["Memory", "Recorded", "Records", "unsealed"]

_EVERY_EVENTS = 4000
_CRC = Struct("<I")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One record: what is remembered of everything up to the sequence number `upto`.

    Records of less than `keep_from` say nothing any more that later ones do not.
    """

    upto: int
    data: bytes
    keep_from: int


class Memory(Protocol):
    """What remembers messages, and must not forget them when they are deleted."""

    def record(self, upto: int) -> Recorded:
        """Write down what changed since the last record."""
        ...

    def restore(self, records: Sequence[bytes | None]) -> None:
        """Read all records back, oldest first; None stands for one that is lost."""
        ...

    def learn(self, messages: Sequence[Message]) -> None:
        """Remember messages that the records do not cover."""
        ...


class Records:
    """The records of one memory on disk: when the next is due, and which of the old ones may go.

    More than `most_bytes` are not kept: the oldest goes first, and with it what only it knew.
    """

    def __init__(self, memory: Memory | None, covered: int, sizes: Iterable[tuple[int, int]], most_bytes: int) -> None:
        self._memory = memory
        self._covered = covered
        self._most_bytes = most_bytes
        self._kept = deque(sizes)
        self._bytes = sum(size for _, size in self._kept)
        self._lowered: dict[int, int] = {}  # what the memory calls a record, and up to where it is one

    def lower(self, head: int) -> None:
        """Take note that what was given beyond `head` is not stored: the last record is one up to there, then."""
        if self._covered <= head:
            return
        upto, size = self._kept.pop()
        self._kept.append((head, size))
        self._lowered[upto] = head
        self._covered = head

    def next(self, given: int, settled: int) -> Recorded | None:
        """Give the record that has to be written now: of what is to be deleted, or of the last few thousand.

        `given` is the last sequence number given, `settled` that up to which is deleted, 0 if nothing is.
        """
        if self._memory is None or (settled <= self._covered and given - self._covered < _EVERY_EVENTS):
            return None
        self._covered = given
        made = self._memory.record(given)
        data = _sealed(made.data) if len(made.data) + _CRC.size <= self._most_bytes else b""
        self._kept.append((given, len(data)))
        self._bytes += len(data)
        keep_from = self._lowered.get(made.keep_from, made.keep_from)
        self._lowered = {upto: head for upto, head in self._lowered.items() if upto >= made.keep_from}
        while self._kept[0][0] < keep_from or self._bytes > self._most_bytes:
            self._bytes -= self._kept.popleft()[1]
        return Recorded(given, data, self._kept[0][0])


def _sealed(data: bytes) -> bytes:
    return _CRC.pack(zlib.crc32(data)) + data


def unsealed(record: bytes) -> bytes | None:
    """Give what was recorded; None if it is damaged, or found no room."""
    if len(record) < _CRC.size or _CRC.unpack_from(record)[0] != zlib.crc32(record[_CRC.size :]):
        return None
    return record[_CRC.size :]
