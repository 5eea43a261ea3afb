"""A new journal out of what can be found in a damaged one, or what that would hold.

Events and places are found by their looks and proved by their checksums, see `bridge.journal.remains`; dead letters and
the memory of versions are what SQLite can read. Used by `bridge.journal.salvage`.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bridge.journal.change import Change, Chunk
from bridge.journal.chunk import CorruptRow
from bridge.journal.entry import chunks_of, corrupt_letter
from bridge.journal.file import log_of
from bridge.journal.found import Found, rows_left
from bridge.journal.index import Numbers
from bridge.journal.mark import noted
from bridge.journal.remains import Cell, rows_of
from bridge.journal.store import Store
from bridge.journal.version import Versions
from bridge.journal.wal import PAGE_BYTES, frames
from bridge.labels import JOURNAL
from bridge.ledger import recorded_cursors, recorded_places, restored
from bridge.message import RESYNC_REQUIRED, Message

__all__ = ["Salvaged", "Watch", "readable_log", "rebuilt", "surveyed"]

_log = logging.getLogger(__name__)
_BATCH_BYTES = 4 * 1024 * 1024
_ROW_BYTES = 512  # about what a chunk or a dead letter takes in memory beside its data
_MOST_LOG_BYTES = 256 * 1024 * 1024  # SQLite cuts it to 10 MiB after a transaction that was longer
Watch = Callable[[int, int], None]
"""Is told, page after page, how many of how many have been looked at."""


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What can be read of a damaged journal: `events` for which some sink waits, its places, its dead letters by sink.

    The numbers of `holes`, first to last, are lost; `head` is the last that was given, as far as it shows. A journal
    that is `forgotten` does not know up to when all was stored, or what of it is settled.
    """

    events: int
    holes: Sequence[tuple[int, int]]
    head: int
    cursors: Mapping[str, int]
    letters: Mapping[str, int]
    forgotten: bool

    @property
    def lost(self) -> int:
        """How many events are missing."""
        return sum(last - first + 1 for first, last in self.holes)

    @property
    def lost_at_most(self) -> int:
        """How many may be missing, where it is not known what was settled of the numbers that were given."""
        return self.head - self.events if self.forgotten else self.lost


def rebuilt(path: Path, new: Path, max_bytes: int, watch: Watch) -> Salvaged:
    """Write a new journal with all that can be found."""
    size = path.stat().st_size if path.exists() else 0
    store = Store(new, max(max_bytes, 2 * size) + 2**24)
    try:
        return _gathered(path, readable_log(path), store, watch)
    finally:
        store.close()


def surveyed(path: Path, log: bytes | None, watch: Watch) -> Salvaged:
    """Say what could be found, and write nothing; `log` is to be read in the place of the journal's own."""
    return _gathered(path, log, _Nowhere(), watch)


def readable_log(path: Path) -> bytes | None:
    """Read the log of a journal; None if there is none, or it is too long to be read at once."""
    log = log_of(path)
    return log.read_bytes() if log.exists() and log.stat().st_size <= _MOST_LOG_BYTES else None


class _Nowhere:
    """Takes what a store takes, and writes nothing."""

    def write(self, change: Change) -> None:
        pass

    def adopt(self, table: str, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        pass


def _gathered(path: Path, log: bytes | None, into: Store | _Nowhere, watch: Watch) -> Salvaged:
    found = Found()
    size = path.stat().st_size if path.exists() else 0
    pages = size // PAGE_BYTES
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(path.open("rb")) if size else None
        versions = Versions(file.fileno() if file else None, pages, list(frames(log or b"")))
        for version in range(1, len(versions) + 1):
            found.look(version, *versions.read(version))
            if version <= pages:
                watch(version, pages)
        found.settle_places(path)
        _refill(into, found, versions)
        letters = _adopt(into, path)
        letters[JOURNAL] += _bury(into, found, versions)
        return _conclude(into, path, found, +letters)


def _refill(into: Store | _Nowhere, found: Found, versions: Versions) -> None:
    """Write every event that some sink has still to settle, once."""
    settled = found.floor
    batch: list[Chunk] = []
    size = 0
    for place, cell in versions.cells(found.chunks):
        if cell.last <= settled and cell.first <= settled:
            continue
        for messages, first in _runs(_fresh(place, cell, found, versions)):
            chunks = chunks_of(messages, first)
            batch += chunks
            size += sum(len(chunk.rows) + _ROW_BYTES for chunk in chunks)
        if size > _BATCH_BYTES:
            into.write(Change(chunks=batch))
            batch, size = [], 0
    into.write(Change(chunks=batch, cursors=found.cursors))


def _fresh(place: int, cell: Cell, found: Found, versions: Versions) -> dict[int, Message]:
    """Read the events of a chunk that were not found before, and note its place if others of it are damaged.

    What was given up lies in free pages yet, and must not be taken for the event that tells it.
    """
    floor, given_up = found.floor, found.given_up
    fresh: dict[int, Message] = {}
    damaged = False
    for seq, row in _rows(cell, versions):
        if isinstance(row, bytes):
            damaged = damaged or seq > floor
        elif seq == given_up and row.event != RESYNC_REQUIRED:
            continue
        elif seq > floor and seq not in found.taken:
            fresh[seq] = row
    for seq in fresh:
        found.taken.add(seq)
    if damaged:
        found.damaged.add(cell.first, place)
    return fresh


def _rows(cell: Cell, versions: Versions) -> Iterator[tuple[int, Message | bytes]]:
    """Read the rows of a chunk from one chain of pages after the other, until one gives all of them."""
    for pages in versions.chains:
        for blob in pages.blobs(cell):
            rows = rows_of(cell, blob)
            yield from rows
            if len(blob) == cell.size and rows and all(isinstance(row, Message) for _, row in rows):
                return


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


def _adopt(into: Store | _Nowhere, path: Path) -> Counter[str]:
    """Take over what SQLite can read of that which has no checksums; count the dead letters of each sink."""
    letters: Counter[str] = Counter()
    for table, key in (("dead_letter", "id"), ("memory", "upto")):
        for names, row in rows_left(path, table, key):
            into.adopt(table, names, [row])
            if table == "dead_letter":
                letters[str(row[names.index("sink")])] += 1
    return letters


def _bury(into: Store | _Nowhere, found: Found, versions: Versions) -> int:
    """Make dead letters of what is left of the events that could not be read; say how many these are."""
    told = Numbers()
    batch: list[CorruptRow] = []
    size = 0
    for _, cell in versions.cells(found.damaged):
        for seq, row in _rows(cell, versions):
            if isinstance(row, bytes) and seq > found.floor and seq not in found.taken and told.add(seq):
                batch.append(CorruptRow(seq, row))
                size += len(row) + _ROW_BYTES
        if size > _BATCH_BYTES:
            into.write(_buried(batch))
            batch, size = [], 0
    into.write(_buried(batch))
    return len(told)


def _buried(rows: Sequence[CorruptRow]) -> Change:
    return Change(dead_letters=[corrupt_letter(JOURNAL, row) for row in sorted(rows, key=lambda row: row.seq)])


def _conclude(into: Store | _Nowhere, path: Path, found: Found, letters: Mapping[str, int]) -> Salvaged:
    """Write everything else, and which numbers could not be found."""
    settled = found.floor
    mark = noted(path, found.notes["id"])
    ledger = found.notes.get("ledger")
    record = ledger if isinstance(ledger, bytes) else None
    accepted, _ = recorded_places(record)
    newest = max(found.taken, default=0)
    head = max(newest, *found.cursors.values(), accepted, mark if found.cursors or found.taken else 0)
    known = bool(found.cursors or settled)
    lowest = settled if known else next(iter(found.taken), head + 1) - 1
    forgotten = "proved_at" not in found.notes or (not known and (lowest if found.taken else mark) > 0)
    holes = _holes(found.taken, lowest, head)
    change = Change(clean=False, notes={name: value for name, value in found.notes.items() if name != "clean"})
    change.notes["holes"] = msgspec.json.encode(holes).decode()
    # The places that the ledger knows may be behind, and what lies between is not in this file. Without one the next
    # start would take what is missing at the beginning for settled.
    places = {sink: found.cursors[sink] for sink in recorded_cursors(record)} or found.cursors
    if places:
        change.notes["ledger"] = restored(record, head, places, places).record(head, places)
    if forgotten:
        change.notes.pop("proved_at", None)
        change.notes["forgotten"] = 1
    into.write(change)
    head = max(head, mark)
    return Salvaged(len(found.taken), holes, head, found.cursors, letters, forgotten)


def _holes(taken: Numbers, settled: int, head: int) -> list[tuple[int, int]]:
    holes = []
    begun = settled + 1
    for seq in taken:
        if seq > begun:
            holes.append((begun, seq - 1))
        begun = seq + 1
    if begun <= head:
        holes.append((begun, head))
    return holes
