"""A value that the disk has turned into one that nobody reads costs itself: the bridge starts, and all else is there.

SQLite does not mind: any column takes any kind of value, and a text need not be one.
"""

from pathlib import Path

import pytest

from bridge.errors import Rejected
from bridge.journal import Buried, Which
from bridge.letters import shown
from bridge.portos.memory import VersionMemory
from tests.unit.journal.conftest import Opening, messages
from tests.unit.journal.test_damage import change, read_to_the_end, shape

BODY = '{"name":"Jáná"}'.encode()
WHY = Buried(Rejected("2 MB", reason="too_large", target="portos.tickets"), 1)
NO_TEXT = "CAST(x'6bff61' AS TEXT)"


def memory() -> VersionMemory:
    return VersionMemory("monotonic", "default", 86_400.0)


async def stored(opening: Opening) -> None:
    """Leave twenty events of which kafka has settled nine, two of them as letters, the second to be sent again."""
    remembered = memory()
    async with opening("kafka", memory=remembered) as journal:
        remembered.sift(messages(1, 20, BODY))
        await journal.append(messages(1, 20, BODY))
        page = await journal.read("kafka", 9)
        await journal.settle("kafka", page, 9, {0: WHY, 2: WHY})
        await journal.desk.retry(Which(numbers=(2,)), 1.0)


def spoil(path: Path, table: str, column: str, value: str) -> None:
    change(path, lambda database: database.execute(f"UPDATE {table} SET {column} = {value}"))  # noqa: S608 - of the test


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((name, NO_TEXT) for name in ("sink", "reason", "error", "event_id", "target", "resource", "resource_id")),
        *((name, "x'ff'") for name in ("sink", "stage", "seq", "attempts", "first_at", "failed_at", "version")),
        ("resource_id", "x'ff'"),
        ("version", NO_TEXT),
        ("seq", NO_TEXT),
        ("data", "CAST(data AS TEXT)"),
        ("data", "7"),
    ],
)
async def test_a_spoilt_dead_letter_stops_nothing(opening: Opening, path: Path, column: str, value: str) -> None:
    await stored(opening)
    spoil(path, "dead_letter", column, value)
    unreadable = column == "seq" or value == "7"

    async with opening("kafka", memory=memory()) as journal:
        found = await journal.desk.letters(Which(), 10, bodies=True)
        due = await journal.desk.due("kafka", 10)

        assert shape(await read_to_the_end(journal, "kafka")) == list(range(10, 21))
        assert [shown(letter, "default", bodies=True)["number"] for letter in found] == [1, 2]
        assert [letter.event is None for letter in due] == ([] if column == "sink" else [unreadable])


@pytest.mark.parametrize(
    ("table", "column", "value", "left"),
    [
        ("chunk", "rows", "CAST(rows AS TEXT)", list(range(10, 21))),
        ("chunk", "body_bytes", "x'ff'", list(range(10, 21))),
        ("chunk", "last", "x'ff'", ["lost 11"]),
        ("memory", "data", "CAST(data AS TEXT)", list(range(10, 21))),
    ],
)
async def test_a_spoilt_event_or_memory_is_read_or_told(
    opening: Opening, path: Path, table: str, column: str, value: str, left: list[object]
) -> None:
    await stored(opening)
    spoil(path, table, column, value)

    async with opening("kafka", memory=memory()) as journal:
        assert shape(await read_to_the_end(journal, "kafka")) == left
