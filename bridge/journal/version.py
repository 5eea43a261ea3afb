"""The pages of a journal that is being salvaged: those of its file, and those of its log, where one may come often.

Used by `bridge.journal.rebuild`.
"""

import os
from collections.abc import Iterator, Sequence

from bridge.journal.index import Index
from bridge.journal.remains import Cell, Pages, cell_at
from bridge.journal.wal import PAGE_BYTES

__all__ = ["Versions", "place_of"]

_OFFSET_BITS = 12  # of a page


def place_of(version: int, cell: Cell) -> int:
    """Say in one number where a chunk was found."""
    return version << _OFFSET_BITS | cell.at


class Versions:
    """The pages of `file` are versions 1 to `pages`, by their numbers; those of the `log` follow, oldest first."""

    def __init__(self, file: int | None, pages: int, log: Sequence[tuple[int, bytes]]) -> None:
        self._file = file
        self._pages = pages
        self._log = log
        self._newest = dict(log)
        count = max(pages, *self._newest, 0)
        self.chains = (Pages(self._newest_of, count), Pages(self._of_file, count))
        """From which the overflow pages of a chunk are to be had: as they were last, and as the file has them."""

    def __len__(self) -> int:
        return self._pages + len(self._log)

    def read(self, version: int) -> tuple[int, bytes]:
        """Read a version: the number of its page, and what stands there."""
        if version <= self._pages:
            return version, self._of_file(version) or b""
        return self._log[version - self._pages - 1]

    def cells(self, index: Index) -> Iterator[tuple[int, Cell]]:
        """Read the chunks at the places in an index, which are given too; left out is what equals the one before."""
        before: Cell | None = None
        for place in index:
            number, page = self.read(place >> _OFFSET_BITS)
            cell = cell_at(number, page, place & (PAGE_BYTES - 1))
            if cell is not None and cell != before:
                yield place, cell
            before = cell

    def _of_file(self, number: int) -> bytes | None:
        if self._file is None:
            return None
        return os.pread(self._file, PAGE_BYTES, (number - 1) * PAGE_BYTES) or None

    def _newest_of(self, number: int) -> bytes | None:
        return self._newest.get(number) or self._of_file(number)
