"""A new journal out of what can be found in a damaged one.

Events and places are found by their looks and proved by their checksums, see `bridge.journal.remains`; dead letters and
the memory of versions are what SQLite can read. Used by `bridge.journal.salvage`.
"""

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import msgspec

from bridge.journal.change import Change, Chunk
from bridge.journal.chunk import CorruptRow
from bridge.journal.entry import chunks_of, corrupt_letter
from bridge.journal.file import log_of, opened_to_read
from bridge.journal.mark import read_mark
from bridge.journal.remains import Cell, Pages, Read, cells, notes, rows_of
from bridge.journal.seal import Value
from bridge.journal.store import Store
from bridge.journal.wal import PAGE_BYTES, frames
from bridge.labels import JOURNAL
from bridge.ledger import recorded_places, restored
from bridge.message import Message

__all__ = ["MOST_LOG_BYTES", "Found", "rebuilt"]

_log = logging.getLogger(__name__)
_BATCH_BYTES = 4 * 1024 * 1024
MOST_LOG_BYTES = 256 * 1024 * 1024
"""A longer log is not read at once; SQLite keeps it below 5 MiB but for a transaction that is longer."""
_PLACE_COLUMNS = 2  # of schema 1, which has no checksum beside a place


@dataclass(slots=True)
class Found:
    """What a damaged file still holds."""

    cells: list[Cell] = field(default_factory=list)
    cursors: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Value] = field(default_factory=dict)
    letters: list[tuple[Sequence[str], Sequence[object]]] = field(default_factory=list)
    records: list[tuple[Sequence[str], Sequence[object]]] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)
    damaged: dict[int, bytes] = field(default_factory=dict)


def rebuilt(path: Path, new: Path, max_bytes: int, found: Found) -> int:
    """Write a new journal with all that can be found; return how many events are missing in it."""
    overlay: dict[int, bytes] = {}
    older: list[tuple[int, bytes]] = []
    log = log_of(path)
    if log.exists() and log.stat().st_size <= MOST_LOG_BYTES:
        older = list(frames(log.read_bytes()))
        overlay = dict(older)
    size = path.stat().st_size if path.exists() else 0
    count = max(size // PAGE_BYTES, *overlay, 0)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(path.open("rb")) if size else None
        base = _reading(file.fileno() if file else None)
        for number in range(1, size // PAGE_BYTES + 1):
            _look(number, base(number) or b"", found)
        for number, page in older:
            _look(number, page, found)
        _ask(path, found)
        _settle_places(path, found)
        store = Store(new, max(max_bytes, 2 * size) + 2**24)
        try:
            newest = Pages(lambda number: overlay.get(number) or base(number), count)
            _refill(store, found, (newest, Pages(base, count)))
            missing = _conclude(store, path, found)
        finally:
            store.close()
    return missing


def _reading(file: int | None) -> Read:
    def read(number: int) -> bytes | None:
        if file is None:
            return None
        return os.pread(file, PAGE_BYTES, (number - 1) * PAGE_BYTES) or None

    return read


def _look(number: int, page: bytes, found: Found) -> None:
    found.cells += cells(number, page)
    for name, value in notes(page):
        match name, value:
            case "ledger", bytes():
                before = found.notes.get(name)
                if not isinstance(before, bytes) or recorded_places(value)[0] >= recorded_places(before)[0]:
                    found.notes[name] = value
            case "proved_at", float():
                before = found.notes.get(name)
                found.notes[name] = max(value, before) if isinstance(before, float) else value
            case ("scope" | "id" | "holes", str()) | ("clean" | "forgotten" | "schema", int()):
                found.notes[name] = value
            case _, int():
                found.cursors[name] = max(value, found.cursors.get(name, 0))


def _ask(path: Path, found: Found) -> None:
    """Let SQLite read what has no checksums, as far as it can, and the places of a journal that never had any."""
    try:
        with closing(opened_to_read(path)) as db:
            found.letters = list(_rows(db, "dead_letter", "id"))
            found.records = list(_rows(db, "memory", "upto"))
            if not found.cursors:
                places = [row for _, row in _rows(db, "cursor", "sink") if len(row) == _PLACE_COLUMNS]
                found.cursors = {str(sink): place for sink, place in places if isinstance(place, int)}
    except sqlite3.Error as error:
        _log.warning("journal %s: dead letters and the memory of versions could not be read: %r", path, error)


def _rows(db: sqlite3.Connection, table: str, key: str) -> Iterator[tuple[Sequence[str], Sequence[object]]]:
    """Read a table from both ends, up to the damage."""
    seen: set[object] = set()
    for order in ("ASC", "DESC"):
        try:
            rows = db.execute(f"SELECT * FROM {table} ORDER BY {key} {order}")  # noqa: S608 - our own names
            names = [column[0] for column in rows.description]
            for row in rows:
                if row[0] in seen:
                    break
                seen.add(row[0])
                yield names, row
        except (sqlite3.Error, OverflowError, UnicodeError):
            continue  # the other end


def _settle_places(path: Path, found: Found) -> None:
    """Find out which journal it is and where its sinks were, from whatever says so."""
    mark = read_mark(path)
    identity = found.notes.get("id")
    found.notes["id"] = identity if isinstance(identity, str) else mark[0] if mark else uuid4().hex[:16]
    ledger = found.notes.get("ledger")
    if isinstance(ledger, bytes):
        for sink, place in _recorded_cursors(ledger).items():
            found.cursors[sink] = max(place, found.cursors.get(sink, 0))


def _recorded_cursors(ledger: bytes) -> Mapping[str, int]:
    record: dict[str, dict[str, int]] = msgspec.json.decode(ledger)
    return record.get("cursors", {})


def _refill(store: Store, found: Found, sources: Sequence[Pages]) -> None:
    """Write every event that some sink has still to settle, once."""
    settled = min(found.cursors.values(), default=0)
    batch: list[Chunk] = []
    size = 0
    for cell in sorted(set(found.cells), key=lambda cell: (cell.first, -cell.page)):
        if cell.last <= settled and cell.first <= settled:
            continue
        for messages, first in _runs(_fresh(cell, found, sources, settled)):
            batch += chunks_of(messages, first)
            size += sum(len(message.body) for message in messages)
        if size > _BATCH_BYTES:
            store.write(Change(chunks=batch))
            batch, size = [], 0
    store.write(Change(chunks=batch, cursors=found.cursors))


def _fresh(cell: Cell, found: Found, sources: Sequence[Pages], settled: int) -> dict[int, Message]:
    """Read the events of a chunk that were not found before, from whichever chain of pages gives them."""
    fresh: dict[int, Message] = {}
    for pages in sources:
        for blob in pages.blobs(cell):
            rows = rows_of(cell, blob)
            for seq, row in rows:
                if isinstance(row, bytes):
                    found.damaged.setdefault(seq, row)
                elif seq > settled and seq not in found.taken:
                    fresh[seq] = row
            if len(blob) == cell.size and rows and all(isinstance(row, Message) for _, row in rows):
                found.taken.update(fresh)
                return fresh
    found.taken.update(fresh)
    return fresh


def _runs(rows: Mapping[int, Message]) -> Iterator[tuple[list[Message], int]]:
    """Cut what was found into runs of numbers without a hole."""
    run: list[Message] = []
    first = 0
    for seq in sorted(rows):
        if run and seq != first + len(run):
            yield run, first
            run = []
        first = first if run else seq
        run.append(rows[seq])
    if run:
        yield run, first


def _conclude(store: Store, path: Path, found: Found) -> int:
    """Write everything else, and which numbers could not be found."""
    for table, rows in (("dead_letter", found.letters), ("memory", found.records)):
        for names, row in rows:
            store.adopt(table, names, [row])
    settled = min(found.cursors.values(), default=0)
    mark = read_mark(path)
    ledger = found.notes.get("ledger")
    record = ledger if isinstance(ledger, bytes) else None
    accepted, _ = recorded_places(record)
    noted = mark[1] if mark and mark[0] == found.notes["id"] and (found.cursors or found.taken) else 0
    head = max(*found.taken, *found.cursors.values(), accepted, noted, 0)
    lowest = settled if found.cursors else min(found.taken, default=head + 1) - 1
    holes = _holes(found.taken, lowest, head)
    change = Change(clean=False, notes={name: value for name, value in found.notes.items() if name != "clean"})
    change.notes["holes"] = msgspec.json.encode(holes).decode()
    if record is not None:  # the places that it knows may be behind, and what lies between is not in this file
        places = {sink: found.cursors[sink] for sink in _recorded_cursors(record)}
        change.notes["ledger"] = restored(record, head, places, places).record(head, places)
    if "proved_at" not in found.notes:
        change.notes["forgotten"] = 1
    change.dead_letters = [
        corrupt_letter(JOURNAL, CorruptRow(seq, data))
        for seq, data in sorted(found.damaged.items())
        if seq > settled and seq not in found.taken
    ]
    store.write(change)
    return sum(last - first + 1 for first, last in holes)


def _holes(taken: set[int], settled: int, head: int) -> list[tuple[int, int]]:
    holes = []
    begun = settled + 1
    for seq in sorted(seq for seq in taken if seq > settled):
        if seq > begun:
            holes.append((begun, seq - 1))
        begun = seq + 1
    if begun <= head:
        holes.append((begun, head))
    return holes
