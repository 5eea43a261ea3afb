"""A journal's file and its log as they lie on disk: their names, and how they are read without changing either.

Used by `bridge.journal.store` and by whatever looks at a file before the store may have it.
"""

import sqlite3
from pathlib import Path
from urllib.parse import quote

__all__ = ["connected", "log_of", "opened_to_read"]


def log_of(path: Path) -> Path:
    """Name the write-ahead log of a journal."""
    return path.with_name(path.name + "-wal")


def connected(database: str, *, uri: bool = False) -> sqlite3.Connection:
    """Connect to a file; a text in it that the disk has spoilt is read with a mark in the place of what is no text.

    Else one such text keeps the whole table from being read.
    """
    db = sqlite3.connect(database, isolation_level=None, check_same_thread=False, timeout=0, uri=uri)
    db.text_factory = lambda data: data.decode(errors="replace")
    return db


def opened_to_read(path: Path) -> sqlite3.Connection:
    """Open a journal, its log included, without changing either; the owner lock is the caller's.

    Without locks of SQLite's own: it cannot lock what is open for reading only.
    """
    db = connected(f"file:{quote(str(path))}?mode=ro&vfs=unix-none", uri=True)
    db.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()  # its index of the log is not a file then
    return db
