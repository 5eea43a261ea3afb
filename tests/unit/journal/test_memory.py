"""What is remembered of messages survives their deletion, and every way in which the process can end."""

import random
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from bridge.journal import Journal, Limits, Recorded, open_journal
from bridge.journal import memory as memory_module
from bridge.message import Message
from tests.unit.journal.conftest import Opening, messages
from tests.unit.journal.test_log import read_all, rows


class Numbers:
    """A memory that remembers every version of the messages that were stored, and notes what it was given."""

    def __init__(self, padding: bytes = b"") -> None:
        self.known: set[int] = set()
        self.learnt = 0
        self.lost = 0
        self.keep_from = 0
        self._padding = padding
        self._new: list[int] = []

    def see(self, seen: Sequence[Message]) -> None:
        numbers = [message.version or 0 for message in seen]
        self.known.update(numbers)
        self._new += numbers

    def record(self, upto: int) -> Recorded:
        new, self._new = self._new, []
        return Recorded(upto, msgspec.msgpack.encode((new, self._padding)), self.keep_from)

    def restore(self, records: Sequence[bytes | None]) -> None:
        for record in records:
            if record is None:
                self.lost += 1
            else:
                self.known.update(msgspec.msgpack.decode(record)[0])

    def learn(self, messages: Sequence[Message]) -> None:
        self.learnt += len(messages)
        self.see(messages)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Record a thousand messages at a time, as they are deleted, so that a test need not have many."""
    monkeypatch.setattr(memory_module, "_EVERY_EVENTS", 1000)


async def store(journal: Journal, memory: Numbers, first: int, count: int, body: bytes = b"{}") -> None:
    """Append as the intake does: remembered first, stored at once."""
    batch = messages(first, count, body)
    memory.see(batch)
    assert await journal.append(batch)


def everything(last: int) -> set[int]:
    return set(range(1, last + 1))


async def test_what_is_deleted_is_still_remembered_after_a_restart(opening: Opening, path: Path) -> None:
    memory, again = Numbers(), Numbers()
    async with opening("kafka", memory=memory) as journal:
        for first in range(1, 3001, 300):
            await store(journal, memory, first, 300)
            await read_all(journal, "kafka", 300)
    assert rows(path, "SELECT count(*) FROM chunk") == [(0,)]

    async with opening("kafka", memory=again):
        assert again.known == everything(3000)
        assert again.learnt == 0


async def test_what_is_not_deleted_costs_no_record(opening: Opening, path: Path) -> None:
    """The messages themselves are there to be learnt from."""
    memory, again = Numbers(), Numbers()
    async with opening("kafka", memory=memory) as journal:
        await store(journal, memory, 1, 500)
    assert rows(path, "SELECT count(*) FROM memory") == [(0,)]

    async with opening("kafka", memory=again):
        assert again.known == everything(500)
        assert again.learnt == 500


async def test_a_start_reads_few_messages_however_many_wait(opening: Opening) -> None:
    """A gigabyte of them would take longer than the hub is to wait for its subscriber."""
    memory, again = Numbers(), Numbers()
    async with opening("kafka", memory=memory) as journal:
        for first in range(1, 10_001, 100):
            await store(journal, memory, first, 100)

    async with opening("kafka", memory=again):
        assert again.known == everything(10_000)
        assert again.learnt <= 1100


async def test_an_idle_journal_forgets_nothing_either(opening: Opening, path: Path) -> None:
    """Where all is settled at once, each deletion brings its record."""
    memory, again = Numbers(), Numbers()
    async with opening("kafka", memory=memory, cursor_every_events=1) as journal:
        for number in range(1, 31):
            await store(journal, memory, number, 1)
            await read_all(journal, "kafka", 1)
            await journal.drained()
    assert rows(path, "SELECT count(*) FROM chunk") == [(0,)]

    async with opening("kafka", memory=again):
        assert again.known == everything(30)


async def test_records_of_which_later_ones_say_all_are_deleted(opening: Opening, path: Path) -> None:
    memory = Numbers()
    async with opening("kafka", memory=memory) as journal:
        for first in range(1, 5001, 1000):
            memory.keep_from = first
            await store(journal, memory, first, 1000)

    assert [upto for (upto,) in rows(path, "SELECT upto FROM memory")] == [5000]


async def test_records_have_a_share_of_the_file_and_the_oldest_go_first(opening: Opening, path: Path) -> None:
    """4 MiB of journal leave 128 KiB for them."""
    memory, again = Numbers(padding=b"x" * 40_000), Numbers()
    async with opening("kafka", max_bytes=4 * 2**20, memory=memory) as journal:
        for first in range(1, 10_001, 1000):
            await store(journal, memory, first, 1000)
            await read_all(journal, "kafka", 1000)
    assert rows(path, "SELECT total(length(data)) < 131072, count(*) FROM memory") == [(1, 3)]

    async with opening("kafka", max_bytes=4 * 2**20, memory=again):
        assert again.known == set(range(7001, 10_001))


async def test_a_record_too_large_for_its_share_is_lost_and_said_so(opening: Opening) -> None:
    """The journal goes on; it would be worse to stop for it."""
    memory, again = Numbers(padding=b"x" * 200_000), Numbers()
    async with opening("kafka", max_bytes=4 * 2**20, memory=memory) as journal:
        await store(journal, memory, 1, 1000)
        await read_all(journal, "kafka", 1000)

    async with opening("kafka", max_bytes=4 * 2**20, memory=again):
        assert again.lost == 1
        assert again.known == set()


@pytest.mark.parametrize("at", [0, 4, -1], ids=["checksum", "first byte", "last byte"])
async def test_a_damaged_record_is_never_believed(
    opening: Opening, path: Path, at: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A version with a flipped bit would make news look stale."""
    memory, again = Numbers(), Numbers()
    async with opening("kafka", memory=memory) as journal:
        for first in (1, 1001):
            await store(journal, memory, first, 1000)
    _flip(path, 1000, at)

    async with opening("kafka", memory=again):
        assert again.lost == 1
        assert again.known == set(range(1001, 2001))
    assert "records of the versions seen are damaged" in caplog.text


def _flip(path: Path, upto: int, at: int) -> None:
    database = sqlite3.connect(path)
    (data,) = database.execute("SELECT data FROM memory WHERE upto = ?", (upto,)).fetchone()
    spoiled = bytearray(data)
    spoiled[at] ^= 0x10
    database.execute("UPDATE memory SET data = ? WHERE upto = ?", (bytes(spoiled), upto))
    database.commit()
    database.close()


async def test_a_journal_of_a_release_without_records_opens(opening: Opening, path: Path) -> None:
    """What it still holds is learnt."""
    async with opening("kafka") as journal:
        await journal.append(messages(1, 1500))
        await read_all(journal, "kafka", 1200)
        await journal.append(messages(1501, 100))
    database = sqlite3.connect(path)
    database.execute("DROP TABLE memory")
    database.commit()
    (first,) = database.execute("SELECT min(first) FROM chunk").fetchone()
    database.close()

    again = Numbers()
    async with opening("kafka", memory=again) as journal:
        assert again.known == set(range(first, 1601))
        assert journal.head == 1600


async def test_a_memory_with_a_hole_is_dropped(opening: Opening, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After an older release has used the journal its records are out of date: what it has seen would pass for news."""
    memory, again, then = Numbers(), Numbers(), Numbers()
    async with opening("kafka", memory=memory) as journal:
        await store(journal, memory, 1, 1000)
        await read_all(journal, "kafka", 1000)
    async with opening("kafka") as journal:
        await journal.append(messages(1001, 1000))
        await read_all(journal, "kafka", 1000)

    async with opening("kafka", memory=again) as journal:
        assert again.known == set()
        assert "remembers no versions" in caplog.text
        await store(journal, again, 2001, 1000)
        await read_all(journal, "kafka", 1000)
    async with opening("kafka", memory=then):
        assert then.known == set(range(2001, 3001))


@pytest.mark.parametrize("seed", range(6))
async def test_whenever_the_process_ends_all_that_is_stored_is_remembered(
    opening: Opening, path: Path, tmp_path: Path, seed: int
) -> None:
    """The files are copied after every step, as a kill would leave them, and opened again."""
    dice, limits = random.Random(seed), Limits(60 * 2**20, 2**20, 20, 0.05)  # noqa: S311 - a schedule
    memory = Numbers()
    async with opening("kafka", memory=memory, cursor_every_events=20) as journal:
        for _ in range(25):
            if dice.random() < 0.6:
                await store(journal, memory, journal.head + 1, dice.choice((1, 7, 400, 1100)))
            elif journal.lag("kafka").events:
                await read_all(journal, "kafka", dice.randint(1, journal.lag("kafka").events))
            stored = journal.head
            await journal._writer.call(lambda _: _copy(path, tmp_path / "killed"))
            again = Numbers()
            async with open_journal(tmp_path / "killed" / path.name, ["kafka"], 64 * 2**20, limits, memory=again):
                assert again.known == everything(stored)


def _copy(path: Path, to: Path) -> None:
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    for part in ("", "-wal"):
        if path.with_name(path.name + part).exists():
            shutil.copy(path.with_name(path.name + part), to / (path.name + part))
