"""What is found in a page by its looks is all that is there, whatever lies in front of it."""

import sqlite3
from contextlib import closing
from random import Random

from bridge.journal.remains import cells, notes
from bridge.journal.seal import Value, seal
from bridge.journal.wal import PAGE_BYTES

_PAGES = 500


def test_each_note_of_many_pages_is_found() -> None:
    """About one page in 80 has a note behind bytes that look as if they began one."""
    dice = Random(5)  # noqa: S311 - no secret
    for _ in range(_PAGES):
        written: dict[str, Value] = {
            "clean": 0,
            "id": dice.randbytes(8).hex(),
            "schema": 2,
            "proved_at": dice.uniform(1.7e9, 1.8e9),
            "scope": "x" * dice.randrange(20, 400),
            "ledger": dice.randbytes(150),
        }
        with closing(sqlite3.connect(":memory:")) as database:
            database.execute(f"PRAGMA page_size={PAGE_BYTES}")
            database.execute("CREATE TABLE session (name TEXT PRIMARY KEY, value, crc INTEGER) WITHOUT ROWID")
            rows = [(name, value, seal(name, value)) for name, value in written.items()]
            database.executemany("INSERT INTO session VALUES (?, ?, ?)", rows)
            database.commit()
            page = database.serialize()[PAGE_BYTES : 2 * PAGE_BYTES]

        assert dict(notes(page)) == written


def test_a_chunk_is_found_behind_bytes_that_look_like_one() -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(f"PRAGMA page_size={PAGE_BYTES}")
        database.execute(
            "CREATE TABLE chunk (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, body_bytes INTEGER NOT NULL,"
            " rows BLOB NOT NULL)"
        )
        database.execute("INSERT INTO chunk VALUES (300, 301, 7, ?)", (b"\0" * 40,))
        database.commit()
        page = database.serialize()[PAGE_BYTES : 2 * PAGE_BYTES]
    (cell,) = cells(2, page)
    start = page.index(bytes((5, 0, 2, 1)))

    for before in (b"\x05\x00", b"\x05\x00\x01"):
        spoilt = page[: start - len(before)] + before + page[start:]
        assert [found.last for found in cells(2, spoilt) if found.size == cell.size] == [301]
