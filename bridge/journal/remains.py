"""What can be found in the pages of a damaged journal without its tree: chunks, places and notes, by their looks.

Pure. A record of SQLite says how long each of its values is, and that of a chunk, a cursor or a note has a shape that
chance does not have; what is found proves itself by the checksums inside. So no page needs to say what it is, and none
has to be reached from another one, but for the overflow pages of a long record: these are chained, and the pointer map
says the same a second time. Used by `bridge.journal.rebuild`.

Format: https://sqlite.org/fileformat2.html, sections 1.5 to 1.8 and 2.1 (as of SQLite 3.40).
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from struct import Struct

from bridge.journal.chunk import decode
from bridge.journal.seal import Value, seal
from bridge.journal.wal import PAGE_BYTES
from bridge.message import Message

__all__ = ["Cell", "Pages", "Read", "cell_at", "cells", "notes", "rows_of"]

# They take one byte and look ahead, so that bytes in front of a record that look like the beginning of one do not hide
# it. A pattern that is nothing but a look ahead takes three times as long.
_CHUNK = re.compile(rb"[\x05-\x09](?=\x00[\x01-\x06\x09][\x01-\x06\x08\x09])", re.DOTALL)
_NOTE = re.compile(rb"[\x04\x05](?=[\x0d-\x7f](?:[\x00-\x7f]|[\x81-\xff][\x00-\x7f])[\x01-\x06\x08\x09])", re.DOTALL)
_SIZES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8, 8: 0, 9: 0}
_NEXT = Struct(">I")
_REAL = Struct(">d")
_MOST_LOCAL = PAGE_BYTES - 35
_LEAST_LOCAL = (PAGE_BYTES - 12) * 32 // 255 - 23
_MAPPED = PAGE_BYTES // 5
_MORE = 0x80  # a byte of a variable-length integer that is not its last
_LONGEST_VARINT = 9
_REAL_KIND, _ONE_KIND, _LEAST_BLOB = 7, 9, 12  # serial types; from 12 on, even ones are blobs and odd ones texts
_FIRST_OVERFLOW, _LATER_OVERFLOW = 3, 4

Read = Callable[[int], bytes | None]
"""Gives a page by its number; None is one that is not there."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A chunk's record as it stands in a page: its columns, as far as they can be believed, and where its rows are."""

    page: int
    first: int
    last: int
    local: bytes
    size: int
    next: int
    at: int = field(compare=False)
    """Where it was found in its page."""


def cells(number: int, page: bytes) -> Iterator[Cell]:
    """Find the chunks that begin in a page."""
    for match in _CHUNK.finditer(page):
        if (cell := cell_at(number, page, match.start())) is not None:
            yield cell


def cell_at(number: int, page: bytes, at: int) -> Cell | None:
    """Read the record that may stand at a place in a page; None is no chunk's."""
    kind, length = _varint(page, at + 4)
    header = page[at]
    if header != 4 + length or kind < _LEAST_BLOB or kind % 2:
        return None
    size, last_bytes = (kind - 12) // 2, _SIZES[page[at + 2]]
    before = header + last_bytes + _SIZES[page[at + 3]]
    local = _local(before + size)
    end = at + local
    if end + (4 if local < before + size else 0) > len(page):
        return None
    last = (
        1
        if page[at + 2] == _ONE_KIND
        else int.from_bytes(page[at + header : at + header + last_bytes], "big", signed=True)
    )
    start = at - 1
    while start > 0 and page[start - 1] & _MORE and at - start < _LONGEST_VARINT:
        start -= 1
    first, _ = _varint(page, start)
    following = _NEXT.unpack_from(page, end)[0] if local < before + size else 0
    return Cell(number, first, last, page[at + before : end], size, following, at)


def _local(size: int) -> int:
    """Tell how much of a record of a table stands in its leaf."""
    if size <= _MOST_LOCAL:
        return size
    some = _LEAST_LOCAL + (size - _LEAST_LOCAL) % (PAGE_BYTES - 4)
    return some if some <= _MOST_LOCAL else _LEAST_LOCAL


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for length in range(1, 9):
        byte = data[at + length - 1] if at + length <= len(data) else 0
        value = value << 7 | byte & 0x7F
        if byte < _MORE:
            return value, length
    return value << 8 | (data[at + 8] if at + 8 < len(data) else 0), 9


class Pages:
    """The pages of a file, by number, and which overflow page follows another, told twice."""

    def __init__(self, read: Read, count: int) -> None:
        self._read = read
        self._count = count
        self._after: dict[int, array[int]] | None = None

    def blobs(self, cell: Cell) -> Iterator[bytes]:
        """Give the rows of a chunk, as far as its chain can be followed, and then as the pointer map has it."""
        if not cell.next:
            yield cell.local
            return
        whole = yield from self._chained(cell, cell.next)
        for begin in [] if whole else self._mapped(_FIRST_OVERFLOW, cell.page):
            if begin != cell.next:
                yield from self._chained(cell, begin)
        yield from self._chained(cell, cell.next, mapped=True)

    def _chained(self, cell: Cell, begin: int, *, mapped: bool = False) -> Generator[bytes, None, bool]:
        parts, left, number = [cell.local], cell.size - len(cell.local), begin
        seen: set[int] = set()
        while left > 0:
            page = self._read(number) if 0 < number <= self._count and number not in seen else None
            if page is None:
                break
            seen.add(number)
            parts.append(page[4 : 4 + left])
            left -= PAGE_BYTES - 4
            follows = self._mapped(_LATER_OVERFLOW, number) if mapped else []
            number = follows[0] if follows else _NEXT.unpack_from(page)[0]
        yield b"".join(parts)
        return left <= 0

    def _mapped(self, kind: int, parent: int) -> Sequence[int]:
        if self._after is None:
            self._after = {kind: array("Q", sorted(self._links(kind))) for kind in (_FIRST_OVERFLOW, _LATER_OVERFLOW)}
        links = self._after[kind]
        begin, end = (bisect_left(links, of << 32) for of in (parent, parent + 1))
        return [link & 0xFFFFFFFF for link in links[begin:end]]

    def _links(self, kind: int) -> Iterator[int]:
        """Read the pointer map: each page of a kind, behind the one that it belongs to."""
        for at in range(2, self._count + 1, _MAPPED + 1):
            page = self._read(at) or b""
            for entry in range(min(_MAPPED, len(page) // 5)):
                if page[entry * 5] == kind:
                    yield _NEXT.unpack_from(page, entry * 5 + 1)[0] << 32 | at + 1 + entry


def rows_of(cell: Cell, blob: bytes) -> list[tuple[int, Message | bytes]]:
    """Read the rows of a chunk whichever of its columns is damaged: of each its number and message, or what is left."""
    count = _count(blob)
    best: list[tuple[int, Message | bytes]] = []
    most = -1
    for first, last in (
        (cell.first, cell.last),
        (cell.first, cell.first + count - 1),
        (cell.last - count + 1, cell.last),
    ):
        if not 0 < first <= last < first + len(blob):
            continue
        rows = decode(blob, first, last)
        read = sum(isinstance(row, Message) for row in rows)
        if read > most:
            most = read
            best = [
                (seq, row if isinstance(row, Message) else row.data)
                for seq, row in enumerate(rows, first)
                if isinstance(row, Message) or row.data
            ]
        if read == len(rows) == count:
            break
    return best


def _count(blob: bytes) -> int:
    count = at = 0
    while at + 8 <= len(blob):
        at += 8 + int.from_bytes(blob[at : at + 4], "little")
        count += 1
    return max(count, 1)


def notes(page: bytes) -> Iterator[tuple[str, Value]]:
    """Find the sealed rows in a page: cursors and what else stands under a name."""
    for match in _NOTE.finditer(page):
        at = match.start()
        kinds = [page[at + 1]]
        kind, length = _varint(page, at + 2)
        kinds += [kind, page[at + 2 + length]]
        if page[at] != 3 + length or any(kind in (10, 11) for kind in kinds):
            continue
        place = at + page[at]
        values = []
        for kind in kinds:
            size = _SIZES[kind] if kind < _LEAST_BLOB else (kind - 12) // 2
            values.append(_value(kind, page[place : place + size]))
            place += size
        name, value, crc = values
        if place <= len(page) and isinstance(name, str) and crc == seal(name, value):
            yield name, value


def _value(kind: int, data: bytes) -> Value:
    if kind >= _LEAST_BLOB:
        return data.decode(errors="replace") if kind % 2 else data
    if kind == _REAL_KIND:
        return float(_REAL.unpack(data)[0]) if len(data) == _REAL.size else None
    return {0: None, 8: 0, 9: 1}.get(kind, int.from_bytes(data, "big", signed=True))
