"""The tables of a journal, release by release: made in a new file, brought forward in one of an earlier release.

Used by `bridge.journal.store`, whose connection it is given, and `bridge.journal.checkup`.
"""

import sqlite3
from pathlib import Path

from bridge.errors import StorageFailed
from bridge.journal import letter_table
from bridge.journal.seal import seal

__all__ = ["SCHEMA_VERSION", "EarlierSchema", "check", "migrate", "of_a_later_release"]

SCHEMA_VERSION = 2
# Schema 1; every file begins with it, and `letter_table.migrate` makes it schema 2.
_SCHEMA = (
    """CREATE TABLE chunk (
    first INTEGER PRIMARY KEY, last INTEGER NOT NULL, body_bytes INTEGER NOT NULL, rows BLOB NOT NULL)""",
    "CREATE TABLE cursor (sink TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, seq INTEGER, event_id TEXT, reason TEXT NOT NULL,
    error TEXT NOT NULL, attempts INTEGER NOT NULL, failed_at REAL NOT NULL, data BLOB NOT NULL)""",
    "CREATE TABLE session (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
)
# Later than schema 1, which a release that does not know it can go on using: what it frees leaves a hole that is seen.
_MEMORY = "CREATE TABLE IF NOT EXISTS memory (upto INTEGER PRIMARY KEY, data BLOB NOT NULL)"


class EarlierSchema(StorageFailed):
    """A file that is only to be read would have to be brought to this release's schema first; a start does that."""


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring the file to this release's schema, all of it or nothing; a new file from the first schema on."""
    version = _version(db, path)
    if version > SCHEMA_VERSION:
        raise of_a_later_release(path, version)
    if version < SCHEMA_VERSION:
        db.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA if version == 0 else ():
            db.execute(statement)
        letter_table.migrate(db)
        _seal_rows(db)
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        db.execute("COMMIT")
    db.execute(_MEMORY)


def check(db: sqlite3.Connection, path: Path) -> None:
    """Raise `StorageFailed` for a file that is not of this release's schema."""
    version = _version(db, path)
    if version > SCHEMA_VERSION:
        raise of_a_later_release(path, version)
    if version < SCHEMA_VERSION:
        raise EarlierSchema(f"journal {path} is of an earlier release, or new: the next start brings it to this one")


def of_a_later_release(path: Path, version: int) -> StorageFailed:
    """Make the error for a schema that this release does not know: the file is left as it is."""
    known = f"this one knows up to {SCHEMA_VERSION}: start that one again, or give JOURNAL__PATH another file"
    return StorageFailed(f"journal {path} has schema {version}, written by a later release; {known}")


def _version(db: sqlite3.Connection, path: Path) -> int:
    """Read the schema of a journal, 0 if it is new; raises `StorageFailed` for what is no journal."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "chunk" not in tables and (tables or version):
        raise StorageFailed(f"journal {path} is no journal, but another database")
    return version


def _seal_rows(db: sqlite3.Connection) -> None:
    """Give the small rows of schema 1 their checksums, inside the caller's transaction."""
    db.create_function("seal", 2, seal, deterministic=True)
    for table, name, value in (("cursor", "sink", "seq"), ("session", "name", "value")):
        db.execute(f"ALTER TABLE {table} ADD COLUMN crc INTEGER NOT NULL DEFAULT 0")
        db.execute(f"UPDATE {table} SET crc = seal({name}, {value})")  # noqa: S608 - the names above
