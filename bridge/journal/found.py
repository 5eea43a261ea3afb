"""What a damaged journal still holds, from its pages and from SQLite, and what of it is wanted.

Used by `bridge.journal.rebuild`.
"""

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from bridge.journal.file import opened_to_read
from bridge.journal.index import Index, Numbers
from bridge.journal.mark import read_mark
from bridge.journal.remains import cells, notes
from bridge.journal.seal import Value
from bridge.journal.version import place_of
from bridge.ledger import recorded_cursors, recorded_places

__all__ = ["GIVEN_UP", "Found", "rows_left"]

_log = logging.getLogger(__name__)
_PLACE_COLUMNS = 2  # of schema 1, which has no checksum beside a place
GIVEN_UP = "given_up"
"""The note that says up to which number an operator has given all up: the event of that number stands for it."""


@dataclass(slots=True)
class Found:
    """See the module; `taken` are the numbers of the events that are read.

    Of the chunks only the places are kept, by their first numbers, and of those with damaged rows once more.
    """

    chunks: Index = field(default_factory=Index)
    damaged: Index = field(default_factory=Index)
    taken: Numbers = field(default_factory=Numbers)
    cursors: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Value] = field(default_factory=dict)

    def look(self, version: int, number: int, page: bytes) -> None:
        """Note whatever stands in a version of a page."""
        for cell in cells(number, page):
            self.chunks.add(cell.first, place_of(version, cell))
        for name, value in notes(page):
            match name, value:
                case "ledger", bytes():
                    before = self.notes.get(name)
                    if not isinstance(before, bytes) or recorded_places(value)[0] >= recorded_places(before)[0]:
                        self.notes[name] = value
                case "proved_at", float():
                    before = self.notes.get(name)
                    self.notes[name] = max(value, before) if isinstance(before, float) else value
                case "given_up", int():
                    before = self.notes.get(name)
                    self.notes[name] = max(value, before) if isinstance(before, int) else value
                case ("scope" | "id" | "holes", str()) | ("clean" | "forgotten" | "schema", int()):
                    self.notes[name] = value
                case _, int():
                    self.cursors[name] = max(value, self.cursors.get(name, 0))

    def settle_places(self, path: Path) -> None:
        """Find out which journal it is and where its sinks were, from whatever says so.

        SQLite is asked for the places of a journal that never had checksums.
        """
        if not self.cursors:
            places = [row for _, row in rows_left(path, "cursor", "sink") if len(row) == _PLACE_COLUMNS]
            self.cursors = {str(sink): place for sink, place in places if isinstance(place, int)}
        mark = read_mark(path)
        identity = self.notes.get("id")
        self.notes["id"] = identity if isinstance(identity, str) else mark[0] if mark else uuid4().hex[:16]
        ledger = self.notes.get("ledger")
        if isinstance(ledger, bytes):
            for sink, place in recorded_cursors(ledger).items():
                self.cursors[sink] = max(place, self.cursors.get(sink, 0))

    @property
    def floor(self) -> int:
        """Up to which number nothing is wanted: every sink has settled it, or it is given up."""
        return max(min(self.cursors.values(), default=0), self.given_up - 1)

    @property
    def given_up(self) -> int:
        """See `GIVEN_UP`; 0 if nothing was given up."""
        number = self.notes.get(GIVEN_UP)
        return number if isinstance(number, int) else 0


def rows_left(path: Path, table: str, key: str) -> Iterator[tuple[Sequence[str], Sequence[object]]]:
    """Let SQLite read a table that has no checksums, as far as it can: row by row, with the names of its columns."""
    if not path.exists() or not path.stat().st_size:
        return
    try:
        with closing(opened_to_read(path)) as db:
            yield from _rows(db, table, key)
    except sqlite3.Error as error:
        _log.warning("journal %s: what its table %s holds could not be read: %r", path, table, error)


def _rows(db: sqlite3.Connection, table: str, key: str) -> Iterator[tuple[Sequence[str], Sequence[object]]]:
    """Read a table from both ends, up to the damage."""
    seen = Numbers()
    for order in ("ASC", "DESC"):
        try:
            rows = db.execute(f"SELECT * FROM {table} ORDER BY {key} {order}")  # noqa: S608 - our own names
            names = [column[0] for column in rows.description]
            for row in rows:
                if not seen.add(row[0] if isinstance(row[0], int) else hash(row[0])):
                    break
                yield names, row
        except (sqlite3.Error, OverflowError, UnicodeError):
            continue  # the other end
