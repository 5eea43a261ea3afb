"""Whether a journal's file can be used: looked at before SQLite may change it.

Read through a connection of its own that can write nothing. Used by `bridge.journal.salvage`.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from bridge.errors import StorageFailed
from bridge.journal.file import log_of, opened_to_read
from bridge.journal.mark import noted, read_mark
from bridge.journal.schema import SCHEMA_VERSION, of_a_later_release
from bridge.journal.seal import seal
from bridge.journal.volume import what_to_do
from bridge.ledger import recorded_places

__all__ = ["known_holes", "what_is_wrong"]

_HEADER = b"SQLite format 3\x00" + (4096).to_bytes(2, "big") + bytes((2, 2, 0, 64, 32, 32))
_SHAPES = {
    "chunk": ("first", "last", "body_bytes", "rows"),
    "cursor": ("sink", "seq", "crc"),
    "session": ("name", "value", "crc"),
    "dead_letter": ("id", "sink", "seq", "event_id", "reason", "error", "attempts", "failed_at", "data"),
}
_HOLES = """
SELECT before + 1, first - 1 FROM (SELECT first, lag(last) OVER (ORDER BY first) AS before FROM chunk)
WHERE before IS NOT NULL AND first != before + 1
"""
_DISK = ("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_NOMEM", "SQLITE_BUSY", "SQLITE_AUTH")


def what_is_wrong(path: Path) -> str | None:
    """Say why a journal's file cannot be used, or what of it is missing; None if all is well, or nothing is there yet.

    Raises `StorageFailed` where the disk is at fault, and for the journal of a later release: that is left as it is.
    """
    log = log_of(path)
    size = path.stat().st_size if path.exists() else 0
    if not size:
        if log.exists() and log.stat().st_size:
            return "the file is empty, and its log is not"
        return None if read_mark(path) is None else "the file is gone"
    with path.open("rb") as file:
        if file.read(len(_HEADER)) != _HEADER:
            return "its header is not that of a journal"
    try:
        with closing(opened_to_read(path)) as db:
            return _checked(db, path)
    except (sqlite3.Error, OverflowError, UnicodeError) as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(_DISK):
            text = f"journal {path}: reading failed: {error!r} {name}".rstrip()
            raise StorageFailed(f"{text}{what_to_do(path, error)}") from error
        return f"{error} ({name})"


def _checked(db: sqlite3.Connection, path: Path) -> str | None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    columns = {table: _columns(db, table) for table in _SHAPES}
    if version > SCHEMA_VERSION and columns["chunk"] == _SHAPES["chunk"]:
        rows = db.execute("SELECT value FROM session WHERE name = 'schema'").fetchall()
        if not rows or rows[0][0] == version:
            raise of_a_later_release(path, version)
        return f"its schema is {rows[0][0]}, and its header says {version}"
    if found != "ok":
        return str(found).replace("\n", " ")
    if version == 0 and not any(columns.values()):
        given = (read_mark(path) or ("", 0))[1]  # its tables may have been in its log alone
        return f"nothing is there of its log, and it is empty where numbers went up to {given}" if given else None
    if version != SCHEMA_VERSION:
        return None if 0 < version < SCHEMA_VERSION and all(columns.values()) else f"its schema is {version}"
    for table, wanted in _SHAPES.items():
        if columns[table][: len(wanted)] != wanted:
            return f"its table {table} is not a journal's"
    return _complete(db, path)


def _columns(db: sqlite3.Connection, table: str) -> tuple[str, ...]:
    return tuple(row[1] for row in db.execute(f"PRAGMA table_info({table})"))


def _complete(db: sqlite3.Connection, path: Path) -> str | None:
    """Look at what SQLite cannot check: the small rows' checksums, and that no number is missing."""
    cursors, session = (
        db.execute(f"SELECT {', '.join(_SHAPES[table])} FROM {table}").fetchall()  # noqa: S608 - names above
        for table in ("cursor", "session")
    )
    for name, value, crc in (*cursors, *session):
        if crc != seal(name, value):
            return f"what it says of {name} is damaged"
    places: dict[str, int] = {name: value for name, value, _ in cursors}
    notes: dict[str, Any] = {name: value for name, value, _ in session}
    known = known_holes(notes)
    accepted, passed = recorded_places(notes.get("ledger"))
    head = max(*places.values(), accepted, noted(path, notes.get("id")), 0)
    if db.execute("SELECT 1 FROM chunk WHERE typeof(last) <> 'integer' LIMIT 1").fetchone() is not None:
        return "the last number of a commit is no number"
    first, last = db.execute("SELECT min(first), max(last) FROM chunk").fetchone()
    settled = min((place for place in places.values()), default=0) if passed is None else passed
    holes = db.execute(_HOLES).fetchall()
    if first is None:
        holes = [(settled + 1, head)] if passed is not None and settled < head else []
    else:
        holes += [(settled + 1, first - 1)] if passed is not None and first > settled + 1 else []
        holes += [(last + 1, head)] if last < head else []
        if not _last_is_whole(db, first, last):
            return f"the last number of its events is not {last}"
    for hole in holes:
        if hole[0] > hole[1] or not any(begin <= hole[0] and hole[1] <= end for begin, end in known):
            if hole[1] == head and not notes.get("clean") and _is_gone(log_of(path)):
                return f"nothing is there of its log, and events {hole[0]} to {hole[1]}, the newest, are missing"
            return f"events {hole[0]} to {hole[1]} are not where they belong"
    return None


def _is_gone(log: Path) -> bool:
    """Say whether there was no log; SQLite makes an empty one for as long as it reads (3.40)."""
    return not log.exists() or not log.stat().st_size


def _last_is_whole(db: sqlite3.Connection, first: int, last: int) -> bool:
    """Say whether the newest chunk holds as many rows as it says, as far as their lengths tell."""
    begin, rows = db.execute("SELECT first, CAST(rows AS BLOB) FROM chunk ORDER BY first DESC LIMIT 1").fetchone()
    at = count = 0
    while at + 8 <= len(rows):
        at += 8 + int.from_bytes(rows[at : at + 4], "little")
        count += 1
    return 0 < first <= begin <= last and (at != len(rows) or count == last - begin + 1)


def known_holes(notes: dict[str, Any]) -> Sequence[tuple[int, int]]:
    """Read which numbers a salvage could not find: they are told, and looked for no more."""
    text = notes.get("holes")
    return msgspec.json.decode(text, type=list[tuple[int, int]]) if text else []
