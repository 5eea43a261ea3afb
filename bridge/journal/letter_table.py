"""Dead letters in SQLite: their table, what is written to it, and what is asked of it.

Used by `bridge.journal.store`, whose connection it is given, and for what is written by `bridge.journal.change`.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from bridge.journal.chunk import decode
from bridge.journal.letter import DeadLetter, Edits, Letter, Which
from bridge.labels import SOURCE
from bridge.message import Message

__all__ = ["MOST_KEYS", "Kept", "Key", "edits", "insertion", "kept", "keys", "letters", "migrate"]

_UNKNOWN = -1
"""Stands for the version that overtook a letter of schema 1: whatever was delivered after it was not noted."""
_COLUMNS = (
    "stage TEXT NOT NULL DEFAULT 'sink'",
    "target TEXT",
    "first_at REAL",
    "resource TEXT",
    "resource_id TEXT",
    "version INTEGER",
    "overtaken_by INTEGER",
    "retry_at REAL",
    "copied INTEGER NOT NULL DEFAULT 0",
)
_INDEXES = (
    "CREATE INDEX dead_letter_key ON dead_letter (sink, resource, resource_id)",
    "CREATE INDEX dead_letter_retry ON dead_letter (sink, seq) WHERE retry_at IS NOT NULL",
    "CREATE INDEX dead_letter_copy ON dead_letter (sink, id) WHERE copied = 0 AND stage = 'sink'",
)
_FIELDS = (
    "sink, stage, reason, error, attempts, first_at, failed_at, data, seq, event_id, target, resource, resource_id,"
    " version"
)
_INSERT = f"INSERT INTO dead_letter ({_FIELDS}, copied) VALUES ({', '.join('?' * 15)})"  # noqa: S608 - constants and marks
_WITH_DATA = _FIELDS.replace("data", "CAST(data AS BLOB)")
_WITHOUT_DATA = _FIELDS.replace("data", "x''")
_DEFAULTS = astuple(DeadLetter("", "sink", "", "", 0, 0.0, 0.0, b""))
_KINDS = (*map(type, _DEFAULTS[:8]), int, str, str, str, str, int)
_OVERTAKE = (
    "UPDATE dead_letter SET overtaken_by = ? WHERE sink = ? AND resource = ? AND resource_id = ? AND seq < ?"
    " AND version IS NOT NULL AND (version <= ? OR ?) AND overtaken_by IS NULL"
)
_REFUSE_AGAIN = (
    "UPDATE dead_letter SET attempts = attempts + 1, reason = ?, error = ?, failed_at = ?, retry_at = NULL, copied = 0"
    " WHERE id = ?"
)
_MOST_VALUES = 10_000  # SQLite takes 32,766 in a statement

Statement = tuple[str, tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Kept:
    """How many letters of a sink there are, how large they are, the numbers of those to be sent again, and why.

    `reasons` are as they are on the disk, and how many letters have each.
    """

    data_bytes: int
    marked: Sequence[int]
    reasons: Mapping[str, int]

    @property
    def events(self) -> int:
        """How many there are."""
        return sum(self.reasons.values())


MOST_KEYS = 20_000
"""How many keys of one sink are held in memory, at half a KiB each."""
Key = tuple[str, str, str, int, int]
"""Sink, resource and id of letters that a newer version may overtake, their highest version and last seq."""


def migrate(db: sqlite3.Connection) -> None:
    """Bring the table from schema 1 to 2, inside the caller's transaction."""
    for column in _COLUMNS:
        db.execute(f"ALTER TABLE dead_letter ADD COLUMN {column}")
    db.execute("UPDATE dead_letter SET first_at = failed_at")
    db.execute("UPDATE dead_letter SET stage = 'source' WHERE sink = ?", (SOURCE,))
    db.execute("UPDATE dead_letter SET stage = 'journal' WHERE reason = 'corrupt' AND sink <> ?", (SOURCE,))
    events = db.execute("SELECT id, seq FROM dead_letter WHERE stage = 'sink' AND seq IS NOT NULL").fetchall()
    for number, seq in events:
        (data,) = db.execute("SELECT CAST(data AS BLOB) FROM dead_letter WHERE id = ?", (number,)).fetchone()
        match decode(data, seq, seq):
            case [Message() as message]:
                overtaken = None if message.version is None else _UNKNOWN
                values = (message.resource, message.resource_id, message.version, overtaken, number)
                db.execute(
                    "UPDATE dead_letter SET resource = ?, resource_id = ?, version = ?, overtaken_by = ? WHERE id = ?",
                    values,
                )
    for index in _INDEXES:
        db.execute(index)


def insertion(letter: DeadLetter) -> Statement:
    """Give the statement that keeps a letter."""
    return _INSERT, (
        letter.sink,
        letter.stage,
        letter.reason,
        letter.error,
        letter.attempts,
        letter.first_at,
        letter.last_at,
        letter.data,
        letter.seq,
        letter.event_id,
        letter.target,
        letter.resource,
        letter.resource_id,
        letter.version,
        int(not letter.data),  # there is nothing to copy, and whoever looks for the next copy is not to meet it
    )


def edits(changed: Edits) -> Iterator[Statement]:
    """Give the statements that carry out what changes of letters that are kept."""
    for one in changed.overtaken:
        yield (
            _OVERTAKE,
            (one.version, one.sink, one.resource, one.resource_id, one.seq, one.version, int(one.reset)),
        )
    for number, at in changed.marked.items():
        yield "UPDATE dead_letter SET retry_at = ? WHERE id = ?", (at, number)
    for refusal in changed.refused:
        yield (
            _REFUSE_AGAIN,
            (refusal.reason, refusal.error, refusal.at, refusal.number),
        )
    for column, named in (
        ("UPDATE dead_letter SET copied = 1", changed.copied),
        ("DELETE FROM dead_letter", changed.gone),
    ):
        for start in range(0, len(named), _MOST_VALUES):
            some = named[start : start + _MOST_VALUES]
            yield f"{column} WHERE id IN ({', '.join('?' * len(some))})", tuple(some)


def kept(db: sqlite3.Connection) -> dict[str, Kept]:
    """Count the letters of every sink that has any."""
    marked: dict[str, list[int]] = defaultdict(list)
    for sink, number in db.execute("SELECT CAST(sink AS TEXT), id FROM dead_letter WHERE retry_at IS NOT NULL"):
        marked[sink].append(number)
    sizes: dict[str, int] = defaultdict(int)
    reasons: dict[str, dict[str, int]] = defaultdict(dict)
    for sink, reason, count, size in db.execute(
        "SELECT CAST(sink AS TEXT), CAST(reason AS TEXT), count(*), total(length(data)) FROM dead_letter GROUP BY 1, 2"
    ):
        sizes[sink] += int(size)
        reasons[sink][reason] = reasons[sink].get(reason, 0) + count
    return {sink: Kept(size, marked[sink], reasons[sink]) for sink, size in sizes.items()}


def keys(db: sqlite3.Connection) -> list[Key]:
    """Name what letters are about that could be overtaken yet; of a sink one more than `MOST_KEYS` at most."""
    query = (
        "SELECT sink, resource, resource_id, max(version), max(seq) FROM dead_letter WHERE sink = ? AND"
        " overtaken_by IS NULL AND typeof(version) = 'integer' AND typeof(seq) = 'integer'"
        " AND resource IS NOT NULL AND resource_id IS NOT NULL"
        " GROUP BY sink, resource, resource_id LIMIT ?"
    )
    sinks = db.execute("SELECT DISTINCT sink FROM dead_letter").fetchall()
    return [key for (sink,) in sinks for key in db.execute(query, (sink, MOST_KEYS + 1))]


def letters(  # noqa: PLR0913 - each is a choice of its own
    db: sqlite3.Connection,
    which: Which,
    limit: int,
    *,
    after: int = 0,
    bodies: bool = False,
    max_bytes: int = 8 * 1024 * 1024,
    queue: str = "",
) -> list[Letter]:
    """Read the letters that are meant, by number from the one after `after`; always one, if there is one.

    `queue` names one of two: `retry` are those that are to be sent again, in the order of their events, `copy` those of
    which there is no copy yet.
    """
    where, values = _where(which)
    order = "id"
    if queue == "retry":
        where, order = f"{where} AND retry_at IS NOT NULL", "seq"
    elif queue == "copy":
        where = f"{where} AND copied = 0 AND stage = 'sink'"
    fields = _WITH_DATA if bodies else _WITHOUT_DATA
    query = (
        f"SELECT id, {fields}, length(data), overtaken_by, retry_at FROM dead_letter"  # noqa: S608 - constants and marks
        f" WHERE {where} AND id > ? ORDER BY {order} LIMIT ?"
    )
    found: list[Letter] = []
    size = 0
    for number, *fields_, length, overtaken_by, retry_at in db.execute(query, (*values, after, limit)):
        size += length if bodies else 0
        if found and size > max_bytes:
            break
        found.append(Letter(number, _read(fields_), length, overtaken_by, retry_at))
    return found


def _read(fields: Sequence[Any]) -> DeadLetter:
    """Read a letter; in the place of a value that the disk has turned into one of another kind stands none."""
    whole: list[Any] = [
        value if isinstance(value, kind) else default
        for value, kind, default in zip(fields, _KINDS, _DEFAULTS, strict=True)
    ]
    return DeadLetter(*whole)


def _where(which: Which) -> tuple[str, tuple[object, ...]]:
    """Write a choice of letters as a condition and its values."""
    conditions: list[str] = ["1"]
    values: list[object] = []
    for condition, value in (
        ("sink = ?", which.sink),
        ("reason = ?", which.reason),
        ("resource = ?", which.resource),
        ("failed_at >= ?", which.since),
        ("failed_at < ?", which.until),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if which.marked is not None:
        conditions.append(f"retry_at IS {'NOT ' * which.marked}NULL")
    if which.id is not None:
        conditions.append("(resource_id = ? OR event_id = ?)")
        values += [which.id, which.id]
    if which.numbers:
        conditions.append(f"id IN ({', '.join('?' * len(which.numbers))})")
        values += which.numbers
    return " AND ".join(conditions), tuple(values)
