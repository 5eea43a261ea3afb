"""A file system without room: nothing accepted is lost, nothing is broken, and all goes on when there is room."""

import asyncio
import errno
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.errors import Rejected, StorageFailed
from bridge.journal import Buried, Journal, Limits, open_journal, recorder, upkeep, within_volume
from bridge.journal import volume as volume_module
from bridge.journal.change import Change
from bridge.journal.store import NoRoom, Store
from bridge.journal.volume import what_to_do
from bridge.journal.writer import Writer
from bridge.portos.memory import VersionMemory
from bridge.source import Unreadable
from tests.support import until
from tests.unit.journal.conftest import Opening, message, messages
from tests.unit.journal.test_log import read_all, rows

_write = Store.write


class Disk:
    """A file system that is full when the test says so."""

    def __init__(self) -> None:
        self.full = False
        self.refused = 0

    def write(self, store: Store, change: Change) -> None:
        if self.full:
            self.refused += 1
            raise NoRoom(disk=True)
        _write(store, change)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr(Store, "write", lambda store, change: made.write(store, change))  # noqa: PLW0108 - bound to the store
    monkeypatch.setattr(recorder, "_AGAIN_SECONDS", 0.05)
    return made


def pages(most: int | None = None) -> Callable[[Store], int]:
    """Let SQLite have no more pages than now, or so many."""

    def limit(store: Store) -> int:
        now = store._db.execute("PRAGMA page_count").fetchone()[0]
        return int(store._db.execute(f"PRAGMA max_page_count={most or now}").fetchone()[0])

    return limit


async def test_what_meets_a_full_file_is_refused_and_the_next_takes_its_numbers(opening: Opening, path: Path) -> None:
    """The real SQLITE_FULL: undone by SQLite, no failure, no hole in the numbers."""
    async with opening("kafka") as journal:
        await journal.append(messages(1, 5))
        await journal._writer.call(pages())

        assert not await journal.append(messages(6, 100, b"x" * 1000))
        assert not await journal.append(messages(6, 1)), "what would fit is not tried at once"
        assert (journal.failure, journal.head, journal.room.full) == (None, 5, True)

        await journal._writer.call(pages(10_000))
        await until(lambda: not journal.room.full, 5, "it has found out by itself")
        assert await journal.append(messages(6, 100, b"x" * 1000))
        assert [m.version for m in await read_all(journal, "kafka", 105)] == list(range(1, 106))

    assert rows(path, "SELECT seq FROM cursor") == [(105,)]


async def test_a_failed_write_is_still_final(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk is no want of room: never a second attempt."""

    def fail(_: Store, __: Change) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    async with opening("kafka") as journal:
        monkeypatch.setattr(Store, "write", fail)

        with pytest.raises(StorageFailed, match="disk I/O error"):
            await journal.append(messages(1, 1))


async def test_what_was_not_accepted_is_not_there_and_what_was_is(opening: Opening, path: Path, disk: Disk) -> None:
    async with opening("kafka") as journal:
        assert await journal.append(messages(1, 5), proved_at=5.0)
        disk.full = True
        assert not await journal.append(messages(6, 5), proved_at=10.0, scope="more")
        assert not await journal.append(messages(6, 5), proved_at=10.0)
        disk.full = False
        await until(lambda: not journal.room.full, 5, "room")
        shutil.copytree(path.parent, path.parent / "killed")

    async with open_journal(path.parent / "killed" / path.name, ["kafka"], 64 * 2**20, journal.limits) as again:
        assert (again.head, again.previous.proved_at, again.previous.scope) == (5, 5.0, None)
        assert [m.version for m in await read_all(again, "kafka", 5)] == [1, 2, 3, 4, 5]


async def test_what_is_set_aside_alone_and_finds_no_room_proves_nothing(
    opening: Opening, path: Path, disk: Disk
) -> None:
    async with opening("kafka") as journal:
        await journal.append(messages(1, 1), proved_at=5.0)
        disk.full = True
        assert not await journal.append((), [Unreadable("json", "cut", b"{", 9.0)], proved_at=10.0)
        disk.full = False
        await until(lambda: not journal.room.full, 5, "room")

    async with opening("kafka") as again:
        assert again.previous.proved_at == 5.0


async def test_numbers_that_were_given_before_a_refusal_was_known_are_given_anew(
    opening: Opening, monkeypatch: pytest.MonkeyPatch, disk: Disk
) -> None:
    """What has the numbers behind the refused ones would leave a hole if it were written by itself."""
    asked, answer = threading.Event(), threading.Event()

    def refuse_the_first(store: Store, change: Change) -> None:
        if change.chunks and not asked.is_set():
            asked.set()
            answer.wait(10)
            raise NoRoom(disk=True)
        _write(store, change)

    async with opening("kafka") as journal:
        monkeypatch.setattr(disk, "write", refuse_the_first)
        first = asyncio.create_task(journal.append(messages(1, 5)))
        await until(asked.is_set, 10, "the first is on its way")
        second = asyncio.create_task(journal.append(messages(6, 1)))
        await until(lambda: journal._recorder.given == 6, 10, "the second is asked for")
        answer.set()

        assert list(await asyncio.gather(first, second)) == [False, False]
        await until(lambda: not journal.room.full, 10, "room")
        assert await journal.append(messages(1, 3))
        assert [m.version for m in await read_all(journal, "kafka", 3)] == [1, 2, 3]
        assert journal.head == 3


async def test_cursors_and_dead_letters_that_found_no_room_are_recorded_later(
    opening: Opening, path: Path, disk: Disk
) -> None:
    """Whoever buries something waits for that: its cursor never passes a letter that is not on disk."""
    async with opening("kafka", "mqtt") as journal:
        await journal.append(messages(1, 5))
        page = await journal.read("kafka", 5)
        disk.full = True
        buried = {1: Buried(Rejected("no", reason="invalid"), 1)}
        settling = asyncio.ensure_future(journal.settle("kafka", page, 5, buried))
        await until(lambda: disk.refused > 2, 5, "tried again")
        assert not settling.done()
        assert journal._readers["kafka"].durable == 0

        disk.full = False
        await asyncio.wait_for(settling, 5)

        assert journal._readers["kafka"].durable == 5
    assert rows(path, "SELECT sink, seq FROM dead_letter") == [("kafka", 2)]
    assert rows(path, "SELECT seq FROM cursor WHERE sink = 'kafka'") == [(5,)]


async def test_no_more_is_delivered_than_a_crash_may_repeat_while_nothing_can_be_recorded(
    opening: Opening, path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """The send gate holds, is said once, and opens by itself."""
    async with opening("kafka", cursor_every_events=10) as journal:
        await journal.append(messages(1, 100))
        disk.full = True
        given = await _deliver_while_given(journal)
        assert 20 < given <= 30

        disk.full = False
        assert len(await read_all(journal, "kafka", 100 - given)) == 100 - given

    assert sum(f"file system is full ({path.parent})" in record.message for record in caplog.records) == 1
    assert sum("has room again" in record.message for record in caplog.records) == 1


async def _deliver_while_given(journal: Journal) -> int:
    given = 0
    while True:
        try:
            page = await asyncio.wait_for(journal.read("kafka", 20), 0.3)
        except TimeoutError:
            return given
        given = page.seqs[-1]
        await journal.settle("kafka", page, len(page.messages), {})


async def test_what_is_set_aside_and_found_no_room_is_not_kept(opening: Opening, path: Path, disk: Disk) -> None:
    """A hub that sends rubbish to a full disk must fill no memory either."""
    async with opening("kafka") as journal:
        disk.full = True
        for _ in range(3):
            assert not await journal.append(messages(1, 1), [Unreadable("json", "cut", b"{" * 1000, 5.0)])
            journal.room.lacking = ""
        disk.full = False
        assert await journal.append(messages(1, 1), [Unreadable("json", "cut", b"{", 5.0)])
        assert journal.letters._bytes < 1000

    assert rows(path, "SELECT data FROM dead_letter") == [(b"{",)]


async def test_what_is_deleted_is_still_remembered_when_a_record_found_no_room(
    opening: Opening, path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory of a killed bridge knows all that is stored; the refused is news when it comes again."""
    monkeypatch.setattr(upkeep, "_ANY_SECONDS", 0)
    memory, after = (VersionMemory("monotonic", "default", 1e9) for _ in range(2))
    async with opening("kafka", memory=memory) as journal:
        for first in range(1, 200, 10):
            batch = messages(first, 10)
            news = memory.sift(batch).messages
            assert len(news) == 10
            assert await journal.append(news)
            await read_all(journal, "kafka", 10)
            disk.full = True
            refused = messages(first + 10, 10)
            assert not await journal.append(memory.sift(refused).messages)
            memory.forget()
            disk.full = False
            await until(lambda: not journal.room.full, 5, "room")
        shutil.copytree(path.parent, path.parent / "killed")

    async with open_journal(path.parent / "killed" / path.name, ["kafka"], 64 * 2**20, journal.limits, memory=after):
        again = after.sift(messages(1, 200))
        assert (again.messages, again.exact + again.stale) == ([], 200)


async def test_a_record_that_found_no_room_takes_no_earlier_one_with_it(
    opening: Opening, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_ANY_SECONDS", 0)
    memory, after = (VersionMemory("monotonic", "default", 1e9) for _ in range(2))
    async with opening("kafka", memory=memory) as journal:
        assert await journal.append(memory.sift(messages(1, 10)).messages)
        await read_all(journal, "kafka", 10)
        await until(lambda: journal._recorder._upkeep._freed == 10, 5, "deleted")
        disk.full = True
        assert not await journal.append(memory.sift(messages(11, 4001)).messages)
        memory.forget()
        disk.full = False
        await until(lambda: not journal.room.full, 5, "room")

    async with opening("kafka", memory=after):
        again = after.sift(messages(1, 10))
        assert (again.messages, again.exact + again.stale) == ([], 10)


async def test_a_record_is_none_of_events_that_were_the_first_and_found_no_room(
    opening: Opening, path: Path, disk: Disk
) -> None:
    """The next events have their numbers, and would not be learnt after a kill."""
    memory = VersionMemory("monotonic", "default", 1e9)
    async with opening("kafka", memory=memory) as journal:
        disk.full = True
        assert not await journal.append(memory.sift(messages(1, 4001)).messages)
        memory.forget()
        disk.full = False
        await until(lambda: not journal.room.full, 5, "room")

    assert rows(path, "SELECT upto FROM memory WHERE upto > 0") == []


async def test_what_was_asked_for_before_a_refusal_was_known_is_refused_as_well(path: Path, disk: Disk) -> None:
    """It may build on what is not there: a letter before its cursor, a number before the next."""
    writer = Writer(Store(path, 4 * 2**20))
    disk.full = True
    first = writer.write(Change(cursors={"kafka": 1}))
    await until(lambda: disk.refused, 5, "refused in the thread")
    disk.full = False
    second = writer.write(Change(cursors={"kafka": 2}))

    assert (await first).refused
    if not (await second).refused:  # the loop had heard of the first by then
        assert writer._known_refusals == 1
    third = await writer.write(Change(cursors={"mqtt": 3}))
    cursors = (await writer.call(lambda store: store.load())).cursors
    await writer.close()

    assert not third.refused
    assert cursors == {"kafka": 2, "mqtt": 3}


async def test_a_journal_that_blocks_waits_for_the_disk_as_well(tmp_path: Path, disk: Disk) -> None:
    limits = Limits(2**20, 2**20, 100, 0.02, blocks_when_full=True)
    async with open_journal(tmp_path / "full.db", ["kafka"], 4 * 2**20, limits) as journal:
        disk.full = True
        assert not await journal.append(messages(1, 1))
        waiting = asyncio.ensure_future(journal.until_room(100))
        await until(lambda: disk.refused > 2, 5, "tried again")
        assert not waiting.done()

        disk.full = False
        await asyncio.wait_for(waiting, 5)

        assert await journal.append(messages(1, 1))


async def test_a_disk_that_is_full_at_the_start_ends_it_and_is_named(tmp_path: Path, disk: Disk) -> None:
    """A supervisor starts again until there is room."""
    path, limits = tmp_path / "full.db", Limits(2**20, 2**20, 100, 0.02)
    disk.full = True
    with pytest.raises(StorageFailed, match="no room for writing"):
        async with open_journal(path, ["kafka"], 4 * 2**20, limits):
            pass

    disk.full = False
    async with open_journal(path, ["kafka"], 4 * 2**20, limits) as journal:
        assert await journal.append([message(1)])


async def test_an_end_that_found_no_room_looks_like_a_crash(opening: Opening, disk: Disk) -> None:
    """What was confirmed and not recorded comes again, and the next start tells a window."""
    async with opening("kafka") as journal:
        await journal.append(messages(1, 5))
        await read_all(journal, "kafka", 5)
        disk.full = True
    disk.full = False

    async with opening("kafka") as again:
        assert again.previous.clean is False
        assert isinstance(again, Journal)
        assert len(await read_all(again, "kafka", 5)) == 5


def volume_of(blocks: int, *, free: int = 100, files: int = 100, flag: int = 0) -> os.statvfs_result:
    return os.statvfs_result((4096, 4096, blocks, free, free, 1000, files, files, flag, 255))


def test_a_limit_beyond_its_volume_is_clamped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also before the journal's folder is made; a file system that tells no size is believed."""
    path = tmp_path / "not" / "yet" / "journal.db"
    monkeypatch.setattr(volume_module.os, "statvfs", lambda _: volume_of(10_000))

    assert within_volume(path, 2**30, lambda size: size // 2) == 20_480_000
    assert within_volume(path, 2**20, lambda size: size // 2) == 2**20

    monkeypatch.setattr(volume_module.os, "statvfs", lambda _: volume_of(0))
    assert within_volume(path, 2**30, lambda size: size // 2) == 2**30


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (volume_of(1000, free=0), "its volume is full"),
        (volume_of(1000, files=0), "no inode left"),
        (volume_of(1000, free=0, flag=os.ST_RDONLY), "read-only"),
        (volume_of(1000), ""),
    ],
)
def test_what_the_volume_lacks_is_said(
    found: os.statvfs_result, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volume_module.os, "statvfs", lambda _: found)

    assert (text in what_to_do(tmp_path / "journal.db")) if text else not what_to_do(tmp_path / "journal.db")


def test_a_volume_that_went_read_only_by_itself_is_known_by_the_error(tmp_path: Path) -> None:
    assert "read-only" in what_to_do(tmp_path / "journal.db", OSError(errno.EROFS, "Read-only file system"))
