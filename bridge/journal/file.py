"""A journal's file and its log as they lie on disk: their names, and how they are opened, to be changed or not.

Used by `bridge.journal.store` and by whatever looks at a file before the store may have it.
"""

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from bridge.errors import StorageFailed
from bridge.journal.wal import PAGE_BYTES

__all__ = ["log_of", "log_pages", "opened_to_read", "opened_to_write"]

# What is settled before the log is folded into the file is hardly written twice, so a large journal has a longer log. A
# small one has a short log, which lies on the same volume. No log is longer: folding holds up whatever is to be stored,
# what damages a log may cost all that is behind, and a start looks at each page of it.
_LEAST_LOG_PAGES, _MOST_LOG_PAGES = 1024, 2048
_LOG_PART = 64  # of the file's limit
# In this order: auto_vacuum after journal_mode is ignored silently, and an exclusive lock first leaves no -shm file.
_WANTED = (
    ("locking_mode", "EXCLUSIVE", "exclusive"),
    ("page_size", PAGE_BYTES, PAGE_BYTES),
    ("auto_vacuum", "INCREMENTAL", 2),
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("temp_store", "MEMORY", 2),
    ("mmap_size", 0, 0),
    ("secure_delete", 0, 0),
)


def log_of(path: Path) -> Path:
    """Name the write-ahead log of a journal."""
    return path.with_name(path.name + "-wal")


def log_pages(max_bytes: int) -> int:
    """Tell from how many pages on SQLite folds the log of a file with this limit into it: 4 to 8 MiB."""
    return min(max(max_bytes // PAGE_BYTES // _LOG_PART, _LEAST_LOG_PAGES), _MOST_LOG_PAGES)


def _connected(database: str, *, uri: bool = False) -> sqlite3.Connection:
    """Connect to a file; a text in it that the disk has spoilt is read with a mark in the place of what is no text.

    Else one such text keeps the whole table from being read.
    """
    db = sqlite3.connect(database, isolation_level=None, check_same_thread=False, timeout=0, uri=uri)
    db.text_factory = lambda data: data.decode(errors="replace")
    return db


def opened_to_read(path: Path) -> sqlite3.Connection:
    """Open a journal, its log included, without changing either; the owner lock is the caller's.

    Without locks of SQLite's own: it cannot lock what is open for reading only. An empty file is an error, since SQLite
    deletes its log, also where it may only read.
    """
    if not path.stat().st_size:
        raise sqlite3.DatabaseError("the file is empty")
    db = _connected(f"file:{quote(str(path))}?mode=ro&vfs=unix-none", uri=True)
    db.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()  # its index of the log is not a file then
    return db


def opened_to_write(path: Path, max_bytes: int) -> sqlite3.Connection:
    """Open a journal, made if it is not there, so that a transaction that has returned is on disk.

    The file grows to `max_bytes`. Raises `StorageFailed` where SQLite cannot be set up so.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))  # it may hold personal data
    db = _connected(str(path))
    try:
        _configure(db, path, log_pages(max_bytes))
        db.execute(f"PRAGMA max_page_count={max(max_bytes // PAGE_BYTES, 64)}").fetchall()
    except BaseException:
        db.close()
        raise
    return db


def _configure(db: sqlite3.Connection, path: Path, pages: int) -> None:
    # Not cut at each folding, which ends with whatever the last commit adds: a log that grows again makes the file
    # system write more than what is synced.
    size = (pages + pages // 4) * PAGE_BYTES
    for name, value, expected in (*_WANTED, ("wal_autocheckpoint", pages, pages), ("journal_size_limit", size, size)):
        db.execute(f"PRAGMA {name}={value}").fetchall()
        row = db.execute(f"PRAGMA {name}").fetchone()
        if row is not None and row[0] != expected:
            raise StorageFailed(f"journal {path}: SQLite took {name}={row[0]!r} instead of {expected!r}")
