"""What is lost of the journal is told in its place, once and to every sink alike, and nothing else is lost with it."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from bridge.journal import Journal, Lost, log
from bridge.journal.damage import Damage
from bridge.message import RESYNC_REQUIRED, Message
from tests.support import until
from tests.unit.journal.conftest import Opening, message, messages
from tests.unit.journal.test_log import rows

LONG = b"0123456789" * 10


def change(path: Path, spoil: Callable[[sqlite3.Connection], object]) -> None:
    """Damage a journal that is closed."""
    with closing(sqlite3.connect(path)) as database:
        spoil(database)
        database.commit()


def spoil_rows(path: Path, *numbers: int) -> None:
    """Flip bits in the messages of these numbers, wherever they are stored."""

    def spoil(database: sqlite3.Connection) -> None:
        for first, blob in database.execute("SELECT first, rows FROM chunk").fetchall():
            data = bytearray(blob)
            for number in numbers:
                at = data.find(b"id-%d\xb8" % number)
                if at >= 0:
                    data[at] ^= 0x40
            database.execute("UPDATE chunk SET rows = ? WHERE first = ?", (bytes(data), first))

    change(path, spoil)


async def read_to_the_end(journal: Journal, sink: str, limit: int = 200) -> list[Message]:
    """Read and settle all that is stored."""
    got: list[Message] = []
    while journal.lag(sink).events:
        page = await asyncio.wait_for(journal.read(sink, limit), 10)
        got += page.messages
        await journal.settle(sink, page, len(page.messages), {})
    return got


def shape(got: Sequence[Message]) -> list[int | str]:
    """Give the versions of what was read, and `lost n` for what tells of a loss."""
    return [
        f"lost {msgspec.json.decode(message.body)['lostEvents']}"
        if message.event == RESYNC_REQUIRED
        else message.version
        for message in got
    ]  # type: ignore[return-value, unused-ignore]


async def stored(opening: Opening, *counts: int, sinks: Sequence[str] = ("kafka", "mqtt")) -> None:
    """Store commits of so many messages, numbered from 1."""
    first = 1
    async with opening(*sinks) as journal:
        for count in counts:
            await journal.append(messages(first, count, LONG))
            first += count


async def test_a_damaged_row_is_told_in_its_place(opening: Opening, path: Path) -> None:
    """The window lasts from the event before to the one behind."""
    told: list[Lost] = []
    await stored(opening, 5)
    spoil_rows(path, 3)

    async with opening(on_lost=told.append) as journal:
        got = await read_to_the_end(journal, "kafka")

        assert shape(got) == [1, 2, "lost 1", 4, 5]
        assert told == [Lost(told[0].journal, 3, 3, 102.0, 104.0)]
        assert journal.corrupt_rows == 1


async def test_a_run_is_told_once_however_many_commits_it_reaches_over(opening: Opening, path: Path) -> None:
    await stored(opening, 3, 3, 3, 3)
    spoil_rows(path, 3, 10)
    change(path, lambda database: database.execute("DELETE FROM chunk WHERE first IN (4, 7)"))

    async with opening() as journal:
        assert shape(await read_to_the_end(journal, "kafka")) == [1, 2, "lost 8", 11, 12]
        assert journal.corrupt_rows == 8


@pytest.mark.parametrize("where", ["before the oldest", "behind the newest", "everything"])
async def test_what_is_gone_at_an_end_is_told_as_well(opening: Opening, path: Path, where: str) -> None:
    """The ledger and the cursors tell how far the numbers went; nothing is taken for settled that no sink had."""
    async with opening() as journal:
        for first in (1, 4, 7):
            await journal.append(messages(first, 3, LONG))
        page = await journal.read("kafka", 100)
        await journal.settle("kafka", page, 9, {})
    gone = {"before the oldest": "first < 4", "behind the newest": "first > 6", "everything": "1"}[where]
    change(path, lambda database: database.execute(f"DELETE FROM chunk WHERE {gone}"))  # noqa: S608

    async with opening() as journal:
        assert journal.head == 9
        assert (
            shape(await read_to_the_end(journal, "mqtt"))
            == {
                "before the oldest": ["lost 3", 4, 5, 6, 7, 8, 9],
                "behind the newest": [1, 2, 3, 4, 5, 6, "lost 3"],
                "everything": ["lost 9"],
            }[where]
        )
        assert await journal.append(messages(10, 1))
        assert shape(await read_to_the_end(journal, "kafka")) == [10]


async def test_what_the_others_settled_while_a_sink_was_off_is_not_told_as_lost(opening: Opening, path: Path) -> None:
    await stored(opening, 10)
    async with opening("kafka") as journal:
        await journal.append(messages(11, 10))
        await read_to_the_end(journal, "kafka")
        await journal.append(messages(21, 5))
    assert rows(path, "SELECT first FROM chunk") == [(21,)]

    async with opening() as journal:
        assert shape(await read_to_the_end(journal, "mqtt")) == [21, 22, 23, 24, 25]
        assert journal.corrupt_rows == 0


async def test_every_sink_and_every_repeat_gets_the_same_event(opening: Opening, path: Path) -> None:
    """Consumers know it again by its id, and a kill before its place is recorded changes nothing."""
    await stored(opening, 5, 5)
    spoil_rows(path, 2, 5, 6)

    ids = []
    for _ in range(2):
        async with opening(cursor_every_events=1000, cursor_every_seconds=3600) as journal:
            for sink in ("kafka", "mqtt"):
                page = await journal.read(sink, 100)
                ids.append([message.id for message in page.messages])
                assert page.seqs == [1, 2, 3, 4, 6, 7, 8, 9, 10]

    assert ids[0] == ids[1] == ids[2] == ids[3]
    assert len(set(ids[0])) == 9


async def test_a_run_is_told_the_same_way_wherever_a_read_ends(
    opening: Opening, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sink that begins to read elsewhere must not get the same run in other pieces."""
    monkeypatch.setattr(log, "_READ_AHEAD_EVENTS", 4)
    await stored(opening, 2, 2, 2, 2, 2)
    spoil_rows(path, 4, 5, 6, 7)

    async with opening() as journal:
        page = await journal.read("mqtt", 2)
        await journal.settle("mqtt", page, 1, {})
        kafka, mqtt = await read_to_the_end(journal, "kafka"), await read_to_the_end(journal, "mqtt", limit=1)

        assert shape(kafka) == [1, 2, 3, "lost 4", 8, 9, 10]
        assert mqtt == kafka[1:]


async def test_a_run_longer_than_a_read_is_told_in_pieces(
    opening: Opening, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is held in memory stays bounded, whatever is lost."""
    monkeypatch.setattr(log, "_READ_AHEAD_EVENTS", 4)
    await stored(opening, *[2] * 6)
    spoil_rows(path, *range(1, 11))

    async with opening() as journal:
        assert shape(await read_to_the_end(journal, "kafka")) == ["lost 4", "lost 4", "lost 2", 11, 12]
        assert journal.corrupt_rows == 10


async def test_a_loss_counts_once_for_the_row_and_the_ledger_balances(opening: Opening, path: Path) -> None:
    """One event stands for the run, the other rows are skipped."""
    told: list[Lost] = []
    await stored(opening, 4, 4)
    spoil_rows(path, 3, 4, 5)

    async with opening(on_lost=told.append) as journal:
        journal.ledger.received = 8
        for sink in ("kafka", "mqtt"):
            got = await read_to_the_end(journal, sink)
            journal.ledger.sinks[sink].delivered += len(got)

        assert journal.ledger.sinks["mqtt"].skipped == 2
        assert not any(journal.imbalances().values())
        assert [lost.events for lost in told] == [3]
        assert journal.lag("kafka").body_bytes == 0
    async with opening() as journal:
        assert not any(journal.imbalances().values())


async def test_what_is_left_of_a_damaged_row_is_a_dead_letter_once(opening: Opening, path: Path) -> None:
    """Not one for each sink, nor one again after a restart; of what is gone there is nothing to keep."""
    await stored(opening, 4, 4)
    spoil_rows(path, 3)
    change(path, lambda database: database.execute("DELETE FROM chunk WHERE first = 5"))

    async with opening() as journal:
        await read_to_the_end(journal, "kafka")
        await until(lambda: journal._readers["kafka"].durable == 8, 5, "the cursor on disk")
    async with opening() as journal:
        await read_to_the_end(journal, "mqtt")

    letters = rows(path, "SELECT sink, seq, reason, length(data) > 100 FROM dead_letter")
    assert letters == [("journal", 3, "corrupt", 1)]


async def test_new_events_follow_a_lost_end(opening: Opening, path: Path) -> None:
    await stored(opening, 3, 3)
    spoil_rows(path, 5, 6)

    async with opening() as journal:
        await journal.append(messages(7, 2))

        assert shape(await read_to_the_end(journal, "kafka")) == [1, 2, 3, 4, "lost 2", 7, 8]


async def test_a_lost_end_is_told_alike_to_a_sink_that_reads_it_before_anything_follows(
    opening: Opening, path: Path
) -> None:
    """The first sink has nothing behind the loss yet, the second has, and it lasts to the start for both."""
    await stored(opening, 3, 3)
    spoil_rows(path, 5, 6)

    async with opening() as journal:
        (*_, early) = await read_to_the_end(journal, "kafka")
        await journal.append([replace(message(7), received_at=time.time() + 1)])
        (*_, late, _) = await read_to_the_end(journal, "mqtt")

    assert late == early


def test_overlapping_runs_count_each_number_once() -> None:
    damage = Damage("j")
    runs = [Lost("j", *ends, None, 0.0) for ends in ((10, 19), (5, 7), (15, 30), (1, 40), (41, 41), (3, 8))]

    counts = []
    for run in runs:
        damage.note([run], [], 0)
        counts.append(damage.rows)

    assert counts == [10, 13, 24, 40, 41, 41]
