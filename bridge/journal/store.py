"""The journal's engine: SQLite, used by one thread through one connection.

What is written as SQL stands in this file, `bridge.journal.schema`, `bridge.journal.change` and
`bridge.journal.letter_table`; a damaged file is looked at with a few questions of its own. `write` is one transaction
and returns when it is on disk (`synchronous=FULL`: WAL with NORMAL loses everything since the last checkpoint at a
power cut); a failed write or sync is final for the process, since a second fsync after a failed one proves nothing.
Used by `bridge.journal.writer`.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bridge.errors import StorageFailed
from bridge.journal import letter_table
from bridge.journal.change import Change, Chunk, Places, State, statements
from bridge.journal.file import opened_to_read, opened_to_write
from bridge.journal.letter import LETTER_BYTES, Letter, Which
from bridge.journal.mark import Mark, noted
from bridge.journal.schema import check, migrate
from bridge.journal.seal import seal
from bridge.journal.volume import what_to_do
from bridge.journal.wal import PAGE_BYTES
from bridge.ledger import recorded_cursors, recorded_places

__all__ = ["NoRoom", "Store"]

_MANY_PAGES = 1024
_STEP_PAGES = 64
_STEP_CHUNKS = 100
_UNASKED_BYTES = 65_536
_MARGIN_BYTES = 262_144  # for what the pages of a change hold beside its data
# Only `first` has an index: what asks by `last` alone looks at every chunk there is. A number stands in the last chunk
# that begins at it or before: none reaches into the next, or a start salvages the file, see `bridge.journal.checkup`.
_BEHIND = """SELECT first, last, body_bytes, CAST(rows AS BLOB) FROM chunk
WHERE first >= coalesce((SELECT max(first) FROM chunk WHERE first <= ?), 0) AND last > ? ORDER BY first"""
_ENDS = "SELECT min(first), (SELECT last FROM chunk WHERE first = (SELECT max(first) FROM chunk)) FROM chunk"


class NoRoom(Exception):
    """Nothing of a change is written, since the file or its file system is full; a later one may be.

    `disk`: it is the file system, and not the file's own limit.
    """

    def __init__(self, *, disk: bool) -> None:
        super().__init__("no room on the file system" if disk else "no room in the file")
        self.disk = disk


class Store:
    """One open journal file. Every method raises `StorageFailed`, after which the store is only closed.

    One that only `reads` changes nothing, not even the file's schema, and takes none but this release's.
    """

    def __init__(self, path: Path, max_bytes: int, *, reads: bool = False) -> None:
        self._path = path
        self._used_bytes = self._grown_bytes = 0
        self._freed = True  # so that the first question is asked
        self._last = 0
        self._shrunk = False
        self._mark = Mark(path)
        try:
            self._db = opened_to_read(path) if reads else opened_to_write(path, max_bytes)
            try:
                if reads:
                    check(self._db, path)
                else:
                    migrate(self._db, path)
            except BaseException:
                self._db.close()  # which also takes back a migration that was begun
                raise
        except (sqlite3.Error, OSError) as error:
            raise self._failed("opening", error) from error

    def adopt(self, table: str, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Take rows of a damaged journal over as they are, those that can be."""
        marks = ", ".join("?" * len(names))
        try:
            self._db.execute("BEGIN IMMEDIATE")
            statement = f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - our own
            self._db.executemany(statement, rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed("writing", error) from error

    def load(self, *, keys: bool = True) -> State:
        """Read what is there, without the messages; what dead letters are about only with `keys`, which takes long."""
        try:
            session = self._session()
            places = self._places(session)
            letters = letter_table.kept(self._db)
            letter_keys = letter_table.keys(self._db) if keys else []
            corrupt = self._db.execute("SELECT seq FROM dead_letter WHERE reason = 'corrupt'").fetchall()
        except sqlite3.Error as error:
            raise self._failed("reading", error) from error
        self._last = places.head
        return State(
            head=places.head,
            freed=places.freed,
            identity=session.get("id"),
            cursors=places.cursors,
            clean=bool(session["clean"]) if "clean" in session else None,
            proved_at=session.get("proved_at"),
            scope=session.get("scope"),
            ledger=session.get("ledger"),
            dead_letters=letters,
            letter_keys=letter_keys,
            corrupt_letters=[seq for (seq,) in corrupt if isinstance(seq, int)],
            forgotten=bool(session.get("forgotten")) and "proved_at" not in session,
        )

    def places(self) -> Places:
        """Read how far the numbers go, and nothing that takes longer the more dead letters there are."""
        try:
            return self._places(self._session())
        except sqlite3.Error as error:
            raise self._failed("reading", error) from error

    def _session(self) -> dict[str, Any]:
        return dict(_sealed(self._db.execute("SELECT name, value, crc FROM session")))

    def _places(self, session: Mapping[str, Any]) -> Places:
        first, last = self._db.execute(_ENDS).fetchone()
        ledger = session.get("ledger")  # which knows the places as well of sinks that have settled nothing there
        cursors = dict(recorded_cursors(ledger))
        for sink, seq in _sealed(self._db.execute("SELECT sink, seq, crc FROM cursor")):
            cursors[sink] = max(seq, cursors.get(sink, 0))
        accepted, passed = recorded_places(ledger)
        head = max(last or 0, *cursors.values(), accepted, noted(self._path, session.get("id")))
        before = first - 1 if first else head
        return Places(head, before if passed is None else min(before, passed), cursors)

    def records(self) -> list[tuple[int, bytes]]:
        """Read every record of what is remembered, oldest first: up to which sequence number, and what it says."""
        try:
            return self._db.execute("SELECT upto, CAST(data AS BLOB) FROM memory ORDER BY upto").fetchall()
        except sqlite3.Error as error:
            raise self._failed("reading", error) from error

    def write(self, change: Change, *, in_place_of: int = 0) -> None:
        """Carry out a change as one transaction; it is on disk when this returns, and undone at `NoRoom`.

        The chunk that holds the number `in_place_of` goes in the same transaction.

        Few statements, and one alone without BEGIN and COMMIT: each of them gives up the interpreter's lock and has to
        get it back from a busy event loop.
        """
        orders = list(statements(change))
        if in_place_of:
            orders.insert(0, ("DELETE FROM chunk WHERE first <= ? AND last >= ?", (in_place_of, in_place_of)))
        try:
            if len(orders) == 1:
                self._db.execute(*orders[0])
            else:
                self._db.execute("BEGIN IMMEDIATE")
                for statement, values in orders:
                    self._db.execute(statement, values)
                self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo(error, change)
            raise self._failed("writing", error) from error
        if change.identity is not None:
            self._mark.begin(change.identity)
        if change.chunks:
            self._last = change.chunks[-1].last
        self._grown_bytes += _size(change)
        self._freed = self._freed or bool(change.settled or in_place_of) or change.edits is not None

    def mark(self) -> None:
        """Note outside the file how far the numbers on disk go, see `bridge.journal.mark`."""
        self._mark.write(self._last)

    def _undo(self, error: sqlite3.Error, change: Change) -> None:
        """Raise `NoRoom` if that is all that is wrong: SQLite has then taken the transaction back, mostly by itself.

        It is no failed sync, which has a code of its own. See "Automatic Rollback" in SQLite's `lang_transaction`.
        """
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_FULL:
            return
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._freed = True  # so that it is asked
        most = self._db.execute("PRAGMA max_page_count").fetchone()[0] * PAGE_BYTES
        raise NoRoom(disk=self.used_bytes() + _size(change) + _MARGIN_BYTES < most) from error

    def read(self, after: int, limit: int, max_bytes: int) -> Sequence[Chunk]:
        """Read the chunks that hold the next messages after a sequence number.

        Stops at the chunk that reaches `limit` messages or `max_bytes`; always at least one, if there is one.
        """
        chunks: list[Chunk] = []
        size = 0
        try:
            for row in self._db.execute(_BEHIND, (after + 1, after)):
                chunks.append(Chunk(*row))
                size += len(chunks[-1].rows)
                if chunks[-1].last - after >= limit or size >= max_bytes:
                    break
        except sqlite3.Error as error:
            raise self._failed("reading", error) from error
        return chunks

    def letters(
        self, which: Which, limit: int, *, after: int = 0, bodies: bool = False, queue: str = ""
    ) -> list[Letter]:
        """Read dead letters, see `bridge.journal.letter_table.letters`."""
        try:
            return letter_table.letters(self._db, which, limit, after=after, bodies=bodies, queue=queue)
        except sqlite3.Error as error:
            raise self._failed("reading", error) from error

    def body_bytes(self, after: int) -> int:
        """Sum the body bytes of all chunks that begin after a sequence number."""
        return int(self._db.execute("SELECT total(body_bytes) FROM chunk WHERE first > ?", (after,)).fetchone()[0])

    def used_bytes(self) -> int:
        """Tell how much of the file is in use, to 64 KiB."""
        if self._freed or self._grown_bytes > _UNASKED_BYTES:
            pages = self._db.execute("PRAGMA page_count").fetchone()[0]
            free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
            self._used_bytes = int((pages - free) * PAGE_BYTES)
            self._grown_bytes, self._freed = 0, False
        return self._used_bytes + self._grown_bytes

    def shrink(self) -> bool:
        """Give some free pages back to the file system, if there are many; say whether there may be more.

        A step writes at most 64 pages. The last one folds the log into the file, by which that grows shorter.
        """
        pages, free = (self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
        with self._if_there_is_room("shrinking"):
            if free >= _MANY_PAGES and free * 4 >= pages:
                self._db.executescript(f"PRAGMA incremental_vacuum({_STEP_PAGES})")  # `execute` frees one page
                self._shrunk = True
                return True
            if self._shrunk:
                self.fold()
                self._shrunk = False
        return False

    def free(self, upto: int) -> bool:
        """Delete some of the chunks that end at a number or before, oldest first; say whether there may be more.

        In WAL mode what is deleted has to be written, half of all pages of small chunks: so it is done in steps.
        """
        oldest = "SELECT first FROM chunk WHERE last <= ? AND first <= ? ORDER BY first LIMIT ?"
        with self._if_there_is_room("freeing"):
            values = upto, upto, _STEP_CHUNKS
            return self._db.execute(f"DELETE FROM chunk WHERE first IN ({oldest})", values).rowcount > 0  # noqa: S608
        return False

    def fold(self) -> None:
        """Fold the log into the file, so that it takes no room."""
        with self._if_there_is_room("folding"):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextmanager
    def _if_there_is_room(self, doing: str) -> Iterator[None]:
        """Leave undone what finds no room, and can be done at another time."""
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_FULL:
                raise self._failed(doing, error) from error

    def close(self) -> None:
        """Give the file back, with the WAL folded into it where that still works."""
        self._db.close()
        self._mark.close()

    def _failed(self, doing: str, error: sqlite3.Error | OSError) -> StorageFailed:
        name = getattr(error, "sqlite_errorname", "")
        text = f"journal {self._path}: {doing} failed: {error!r} {name}".rstrip()
        return StorageFailed(f"{text}{what_to_do(self._path, error)}")


def _size(change: Change) -> int:
    """Tell about how much a change adds to the file."""
    size = sum(len(chunk.rows) for chunk in change.chunks) + sum(len(record.data) for record in change.records)
    return size + sum(len(letter.data) + LETTER_BYTES for letter in change.dead_letters)


def _sealed(rows: Iterable[tuple[str, Any, object]]) -> Iterator[tuple[str, Any]]:
    """Give the rows whose checksum is theirs."""
    for name, value, crc in rows:
        if crc == seal(name, value):
            yield name, value
