"""The newest state of each resource in SQLite: one row a resource, numbered anew with each change.

Read by those numbers the table is a log of changes in which only the newest of each resource is left: what is published
behind a cursor is always the newest there is. A transaction that has returned is on disk. Every call blocks; used by
`bridge.state.store` alone, on its thread.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from bridge.journal.file import opened_to_write
from bridge.message import Message
from bridge.state.row import Row, read

__all__ = ["Foreign", "Page", "Table"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS publisher (name TEXT PRIMARY KEY, target TEXT NOT NULL, cursor INTEGER NOT NULL)
WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS resource (
  seq INTEGER PRIMARY KEY, name TEXT NOT NULL, id TEXT NOT NULL, version INTEGER, created_at REAL,
  crc INTEGER NOT NULL, message BLOB NOT NULL, UNIQUE (name, id));
"""
_OURS = 0x506F5374  # "PoSt", so that no other file is taken for one of these (SQLite, "PRAGMA application_id")
_VERSION = 1
# A lower version is late, or fills a gap: both are older than what is here. It is newer all the same where versions
# began anew, which the version memory says, or, when it had forgotten the resource, the time of creation: as there
# (`bridge.portos.versions`), what is a minute younger than the highest version is no late change.
_TAKE = """
INSERT INTO resource (seq, name, id, version, created_at, crc, message)
SELECT ?1, ?2, ?3, ?4, ?5, ?7, ?8 WHERE true
ON CONFLICT (name, id) DO UPDATE SET seq = excluded.seq, version = excluded.version, created_at = excluded.created_at,
  crc = excluded.crc, message = excluded.message
WHERE ?6 OR excluded.version IS NULL OR version IS NULL OR excluded.version >= version
  OR excluded.created_at > created_at + 60.0
"""
_AFTER = "SELECT seq, crc, message FROM resource WHERE seq > ? ORDER BY seq LIMIT ?"
_PAGE_BYTES = 4 * 1024 * 1024  # of bodies, and the state that goes beyond it: as what the journal reads ahead
_OLDEST = "SELECT seq FROM resource WHERE seq <= ? ORDER BY seq LIMIT ?"


class Foreign(sqlite3.DatabaseError):
    """The file is somebody else's, or of another version."""


@dataclass(slots=True)
class Page:
    """States to be published next, in order, and their numbers; `upto` is where that leads, beyond what is not there.

    `damaged` rows of the page could not be read. `forgotten`: others stood before it, and are gone.
    """

    upto: int
    seqs: list[int] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    damaged: int = 0
    forgotten: bool = False


class Table:
    """See the module. `identity` tells this table from any other, `head` is the last number given.

    `fed` is how far in the journal named `journal` the table goes; `cursors` where each publisher was last, and
    `forgotten` the highest number of a row that was thrown away.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._db = opened_to_write(path, max_bytes)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        db = self._db
        (owner,), (version,) = (db.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version"))
        new = db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
        if not new and (owner, version) != (_OURS, _VERSION):
            raise Foreign(f"it is not of this bridge: its application_id is {owner:#x}, its version {version}")
        with self._transaction():
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute("INSERT OR IGNORE INTO note VALUES ('identity', ?)", (uuid4().hex[:16],))
            db.execute(f"PRAGMA application_id={_OURS}")
            db.execute(f"PRAGMA user_version={_VERSION}")
        notes = dict(db.execute("SELECT name, value FROM note"))
        self.identity: str = notes["identity"]
        self.journal: str = notes.get("journal", "")
        self.fed: int = notes.get("fed", 0)
        self.head: int = notes.get("head", 0)
        self.forgotten: int = notes.get("forgotten", 0)
        self.cursors: dict[str, tuple[str, int]] = {
            name: (target, cursor) for name, target, cursor in db.execute("SELECT * FROM publisher")
        }

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # a full disk ends it by itself
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def feed(self, rows: Sequence[Row], journal: str, fed: int) -> int:
        """Take what is newer than what is here, and note how far in the journal that goes; return how many that were.

        Numbers of those that are not newer are left out.
        """
        head = self.head + len(rows)
        with self._transaction():
            numbered = [(seq, *row) for seq, row in enumerate(rows, self.head + 1)]
            taken = self._db.executemany(_TAKE, numbered).rowcount if rows else 0
            self._note(journal=journal, fed=fed, head=head)
        self.journal, self.fed, self.head = journal, fed, head
        return taken

    def after(self, cursor: int, limit: int) -> Page:
        """Give the next states behind a number, oldest change first; fewer than `limit` where they are large."""
        page = Page(self.head, forgotten=cursor < self.forgotten)
        size = 0
        for number, (seq, crc, data) in enumerate(self._db.execute(_AFTER, (cursor, limit)), 1):
            message = read(crc, data)
            if message is None:
                page.damaged += 1
            else:
                page.seqs.append(seq)
                page.messages.append(message)
                size += len(message.body)
            if number == limit or size >= _PAGE_BYTES:
                page.upto = seq
                break
        return page

    def place(self, name: str, target: str, cursor: int) -> None:
        """Record a publisher's place."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO publisher VALUES (?, ?, ?)", (name, target, cursor))
        self.cursors[name] = target, cursor

    def forget(self, passed: int) -> int:
        """Throw away a sixteenth of the rows, the oldest, as far as their number is at most `passed`; return how many.

        What is forgotten is told from what was never there by `forgotten` alone.
        """
        found = self._db.execute(_OLDEST, (passed, self.count() // 16 + 1)).fetchall()
        if found:
            (last,) = found[-1]
            with self._transaction():
                self._db.execute("DELETE FROM resource WHERE seq <= ?", (last,))
                self._note(forgotten=last)
            self.forgotten = last
        return len(found)

    def used(self) -> tuple[int, int]:
        """Tell how many bytes are in use, and how many may be."""
        (pages,), (free,), (size,), (most,) = (
            self._db.execute(f"PRAGMA {name}").fetchone()
            for name in ("page_count", "freelist_count", "page_size", "max_page_count")
        )
        return (pages - free) * size, most * size

    def count(self) -> int:
        """Tell how many resources there are."""
        (count,) = self._db.execute("SELECT count(*) FROM resource").fetchone()
        return int(count)

    def _note(self, **notes: int | str) -> None:
        self._db.executemany("INSERT OR REPLACE INTO note VALUES (?, ?)", notes.items())

    def close(self) -> None:
        """Give the file back."""
        self._db.close()
