"""What can happen to the files of a journal that nobody has open: bits flip, an end is missing, another file is there.

Each kind says what it did. Used by `tests.chaos.damage`.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

__all__ = ["KINDS", "LOG_CUT", "SHORT", "Kind", "log_of", "mark_of"]

_SECTOR_BYTES = 512
_PAGE_BYTES = 4096
_SPOILT_SECTORS = 20


@dataclass(frozen=True, slots=True)
class Kind:
    """A damage, and what it may cost: events at most, None where that is not known beforehand.

    `kept` is whether the start has to keep the file aside, `forgets` whether all may be lost without a number.
    """

    name: str
    spoil: Callable[[Path, Random], str]
    most_lost: int | None = None
    kept: bool = False
    forgets: bool = False


def log_of(journal: Path) -> Path:
    """Name the write-ahead log of a journal."""
    return journal.with_name(f"{journal.name}-wal")


def mark_of(journal: Path) -> Path:
    """Name the file that says how far a journal's numbers go."""
    return journal.with_name(f"{journal.name}.mark")


def _flip(file: Path, dice: Random) -> str:
    at, bit = dice.randrange(file.stat().st_size), dice.randrange(8)
    with file.open("rb+") as opened:
        opened.seek(at)
        byte = opened.read(1)[0]
        opened.seek(at)
        opened.write(bytes((byte ^ 1 << bit,)))
    return f"bit {bit} of byte {at} of {file.name}"


def _cut(file: Path, dice: Random) -> str:
    size = file.stat().st_size
    to = dice.choice((dice.randrange(size), dice.randrange(size) // _PAGE_BYTES * _PAGE_BYTES))
    os.truncate(file, to)
    return f"{file.name} cut to {to} of {size}"


def _cut_short(file: Path, dice: Random) -> str:
    """Leave less than an eighth: SQLite begins a log anew in its old length, so that what is newest stands in front."""
    size = file.stat().st_size
    to = dice.randrange(size // 8)
    os.truncate(file, to)
    return f"{file.name} cut to {to} of {size}"


def _sectors(journal: Path, dice: Random) -> str:
    size = journal.stat().st_size
    with journal.open("rb+") as opened:
        for _ in range(_SPOILT_SECTORS):
            opened.seek(dice.randrange(size // _SECTOR_BYTES) * _SECTOR_BYTES)
            opened.write(dice.randbytes(_SECTOR_BYTES))
    return f"{_SPOILT_SECTORS} sectors of noise"


def _other_database(journal: Path, _: Random) -> str:
    journal.unlink()
    log_of(journal).unlink()
    with closing(sqlite3.connect(journal)) as database, database:
        database.execute("CREATE TABLE music (title TEXT)")
    return "another database"


def _noise(journal: Path, dice: Random) -> str:
    journal.write_bytes(dice.randbytes(50_000))
    log_of(journal).unlink()
    return "noise"


def _without(*files: Callable[[Path], Path]) -> Callable[[Path, Random], str]:
    def remove(journal: Path, _: Random) -> str:
        for file in files:
            file(journal).unlink()
        return f"no {', no '.join(file(journal).name for file in files)}"

    return remove


def _file(journal: Path) -> Path:
    return journal


LOG_CUT = Kind("the log cut short", lambda journal, dice: _cut_short(log_of(journal), dice))
"""What it has lost is known from the mark alone."""
KINDS = (
    Kind("a bit of the file", _flip, most_lost=1),
    Kind("a bit of the log", lambda journal, dice: _flip(log_of(journal), dice), most_lost=1),
    Kind("the log cut", lambda journal, dice: _cut(log_of(journal), dice)),
    LOG_CUT,
    Kind("the file cut", _cut, kept=True),
    Kind("sectors of noise", _sectors),
    Kind("another database", _other_database, kept=True, forgets=True),
    Kind("noise", _noise, kept=True, forgets=True),
    Kind("the file gone", _without(_file), forgets=True),
    Kind("only the mark left", _without(_file, log_of), forgets=True),
    Kind("all gone", _without(_file, log_of, mark_of), forgets=True),
    Kind("a bit of the mark", lambda journal, dice: _flip(mark_of(journal), dice), most_lost=0),
)
SHORT = tuple(
    kind
    for kind in KINDS
    if kind.name
    in (
        "a bit of the file",
        "a bit of the log",
        "the log cut short",
        "the file cut",
        "another database",
        "only the mark left",
    )
)
"""One of each sort, for the tests that run with all others."""
