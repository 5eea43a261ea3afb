"""What a killed bridge had accepted: the notifications in a copy of its journal, found without knowing its layout."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

__all__ = ["bodies", "copy"]

_START = b'{"e":"portos.'


def copy(journal: Path, folder: Path) -> Path:
    """Copy the journal of a dead process with everything beside it, before the next process changes it."""
    shutil.copytree(journal.parent, folder)
    return folder / journal.name


def bodies(journal: Path) -> Iterator[bytes]:
    """Yield every notification in every table of a copy; SQLite recovers what its log holds and nothing more."""
    with closing(sqlite3.connect(journal)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - the name is the file's own
                for value in row:
                    if isinstance(value, bytes):
                        yield from _found(value)


def _found(data: bytes) -> Iterator[bytes]:
    start = data.find(_START)
    while start >= 0:
        text = data[start:].decode(errors="surrogateescape")
        try:
            _, end = json.JSONDecoder().raw_decode(text)
        except ValueError:
            end = 1
        else:
            yield text[:end].encode(errors="surrogateescape")
        start = data.find(_START, start + end)
