"""A journal of an earlier release opens with everything in it; one of a later release is left as it is."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from bridge.errors import StorageFailed
from tests.unit.journal.conftest import Opening
from tests.unit.journal.test_log import read_all, rows

FIRST_RELEASE = Path(__file__).with_name("fixtures") / "first_release.db"
"""Written by the first release that had a journal (commit 24b187a): twelve events in two commits, of which kafka has
settled four and buried the second, and mqtt has settled one; and a record of the hub that is no event."""


async def test_a_journal_of_the_first_release_opens_and_delivers_all_that_is_in_it(
    opening: Opening, path: Path
) -> None:
    shutil.copy(FIRST_RELEASE, path)

    async with opening() as journal:
        assert journal.previous.clean is True
        kafka, mqtt = await read_all(journal, "kafka", 8), await read_all(journal, "mqtt", 11)

    assert [one.id for one in kafka] == [f"id-{number}" for number in range(5, 13)]
    assert [one.id for one in mqtt] == [f"id-{number}" for number in range(2, 13)]
    assert kafka[0].body == b'{"p":5}'
    assert rows(path, "PRAGMA user_version") == [(2,)]


async def test_its_dead_letters_get_what_is_known_of_them(opening: Opening, path: Path) -> None:
    """What was delivered after such a letter was not noted, so it counts as overtaken: order comes first."""
    shutil.copy(FIRST_RELEASE, path)

    async with opening() as journal:
        assert journal.letters.numbers("kafka")["events"] == 1
        assert journal.letters.numbers("source")["events"] == 1

    query = """SELECT sink, stage, reason, attempts, first_at = failed_at, resource, resource_id, version, overtaken_by
        FROM dead_letter ORDER BY id"""
    assert rows(path, query) == [
        ("source", "source", "json", 1, 1, None, None, None, None),
        ("kafka", "sink", "too_large", 2, 1, "tickets", "t2", 2, -1),
    ]


async def test_a_new_journal_has_the_schema_of_one_that_was_brought_there(opening: Opening, path: Path) -> None:
    async with opening():
        pass
    made = _schema(path)
    shutil.copy(FIRST_RELEASE, path)
    async with opening():
        pass

    assert _schema(path) == made


async def test_a_migration_that_fails_leaves_the_file_as_it_was(
    opening: Opening, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(FIRST_RELEASE, path)
    before = rows(path, "SELECT * FROM dead_letter")
    with monkeypatch.context() as patched:
        patched.setattr("bridge.journal.letter_table._INDEXES", ("CREATE INDEX broken ON nothing (x)",))
        with pytest.raises(StorageFailed, match="nothing"):
            async with opening():
                pass

    assert rows(path, "SELECT * FROM dead_letter") == before
    assert rows(path, "PRAGMA user_version") == [(1,)]
    async with opening() as journal:
        assert journal.events == 11


async def test_a_journal_of_a_later_release_is_left_alone_and_says_what_to_do(opening: Opening, path: Path) -> None:
    async with opening():
        pass
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version=3")
    database.execute("UPDATE session SET value = 3 WHERE name = 'schema'")
    database.commit()
    database.close()

    with pytest.raises(StorageFailed, match=r"schema 3, written by a later release.*JOURNAL__PATH another file"):
        async with opening():
            pass


def _schema(path: Path) -> list[tuple[object, ...]]:
    """Name every column with its type and default, and every index."""
    tables = rows(path, "SELECT m.name, t.* FROM sqlite_master m, pragma_table_info(m.name) t ORDER BY m.name, t.cid")
    return tables + rows(path, "SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name")
