"""The journal on a real disk: nothing stored is lost, every sink has its own place, the bounds hold."""

import asyncio
import logging
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bridge.errors import JournalOwned, Rejected, StorageFailed
from bridge.journal import Buried, Journal
from bridge.journal.change import Change, Chunk
from bridge.journal.store import Store
from bridge.message import Message
from bridge.source import Unreadable
from tests.support import end_thread, until
from tests.unit.journal.conftest import Opening, messages


async def read_all(journal: Journal, sink: str, count: int, limit: int = 200) -> list[Message]:
    """Read and settle `count` messages of a sink."""
    got: list[Message] = []
    while len(got) < count:
        page = await asyncio.wait_for(journal.read(sink, min(limit, count - len(got))), 10)
        got += page.messages
        await journal.settle(sink, page, len(page.messages), {})
    return got


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """Ask a closed journal."""
    database = sqlite3.connect(path)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


async def test_what_is_appended_is_read_in_order_by_every_sink_at_its_own_pace(opening: Opening) -> None:
    async with opening() as journal:
        for first in range(1, 1001, 250):
            assert await journal.append(messages(first, 250))

        assert [m.version for m in await read_all(journal, "kafka", 1000)] == list(range(1, 1001))
        assert journal.lag("kafka").events == 0
        assert journal.lag("mqtt").events == 1000
        assert [m.version for m in await read_all(journal, "mqtt", 1000, limit=7)] == list(range(1, 1001))


async def test_what_is_read_and_not_settled_is_read_again(opening: Opening) -> None:
    async with opening() as journal:
        await journal.append(messages(1, 10))
        page = await journal.read("kafka", 10)

        await journal.settle("kafka", page, 4, {})

        assert [m.version for m in (await journal.read("kafka", 10)).messages] == list(range(5, 11))


async def test_a_reader_waits_until_something_is_stored(opening: Opening) -> None:
    async with opening() as journal:
        waiting = asyncio.create_task(journal.read("mqtt", 10))
        await asyncio.sleep(0)
        assert not waiting.done()

        await journal.append(messages(1, 3))

        assert len((await asyncio.wait_for(waiting, 5)).messages) == 3


async def test_cursors_and_messages_survive_a_restart(opening: Opening) -> None:
    async with opening() as journal:
        await journal.append(messages(1, 500))
        await read_all(journal, "kafka", 300)

    async with opening() as journal:
        assert journal.cursor("kafka") == 300
        assert journal.lag("kafka").events == 200
        assert journal.lag("kafka").body_bytes == 200 * len(b'{"p":1}')
        assert journal.lag("mqtt").oldest_at == 101.0
        assert [m.version for m in await read_all(journal, "mqtt", 500)] == list(range(1, 501))
        assert [m.version for m in await read_all(journal, "kafka", 200)] == list(range(301, 501))


async def test_numbers_go_on_after_everything_is_settled_and_deleted(opening: Opening) -> None:
    """A sequence number is never given twice, or a sink would pass over a message."""
    async with opening() as journal:
        await journal.append(messages(1, 50))
        await read_all(journal, "kafka", 50)
        await read_all(journal, "mqtt", 50)

    async with opening() as journal:
        await journal.append(messages(51, 5))

        assert journal.head == 55
        assert [m.version for m in await read_all(journal, "kafka", 5)] == [51, 52, 53, 54, 55]


async def test_settled_messages_are_deleted_only_when_all_sinks_have_passed(opening: Opening, path: Path) -> None:
    async with opening() as journal:
        await journal.append(messages(1, 100))
        await journal.append(messages(101, 100))
        await read_all(journal, "kafka", 200)
        await read_all(journal, "mqtt", 100)
    assert rows(path, "SELECT first, last FROM chunk") == [(101, 200)]

    async with opening() as journal:
        await read_all(journal, "mqtt", 100)
    assert rows(path, "SELECT count(*) FROM chunk") == [(0,)]


async def test_cursors_and_deletions_do_not_ride_on_commits_of_events(
    opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would cost each of them a page; but what is asked for is written, and nothing is left."""
    changes: list[tuple[int, int, int]] = []
    write = Store.write

    def written(store: Store, change: Change) -> None:
        changes.append((len(change.chunks), len(change.cursors), change.settled))
        write(store, change)

    monkeypatch.setattr(Store, "write", written)
    async with opening("kafka", cursor_every_seconds=60) as journal:
        for number in range(1, 91):
            await journal.append(messages(number, 1))
            await read_all(journal, "kafka", 1)
        assert [change for change in changes if change[0]] == [(1, 0, 0)] * 90

        await journal._recorder.all_written()
        assert changes[-1] == (0, 1, 90)


async def test_deleting_writes_no_page_of_what_is_deleted(tmp_path: Path) -> None:
    """Debian's SQLite overwrites what it deletes, page by page, if it is not told otherwise."""
    path = tmp_path / "journal.sqlite"
    store = Store(path, 64 << 20)
    store.write(Change(chunks=[Chunk(number, number, 0, bytes(3000)) for number in range(1, 501)]))
    store.close()
    store = Store(path, 64 << 20)

    store.write(Change(settled=500))

    assert path.with_name(path.name + "-wal").stat().st_size < 100 * 4096
    store.close()


async def test_messages_behind_a_place_in_the_middle_of_a_commit_are_kept(opening: Opening) -> None:
    """What was stored together is not settled together: the rest is still there after a restart."""
    async with opening("kafka") as journal:
        await journal.append(messages(1, 100))
        await read_all(journal, "kafka", 60)

    async with opening("kafka") as journal:
        assert [m.version for m in await read_all(journal, "kafka", 40)] == list(range(61, 101))
        assert journal.corrupt_rows == 0


async def test_a_commit_is_synced_to_the_disk(opening: Opening) -> None:
    """SQLite's own default in WAL mode loses everything since the last checkpoint when the power fails."""
    async with opening() as journal:
        asked = journal._writer.call(lambda store: store._db.execute("PRAGMA synchronous").fetchone())

        assert await asked == (2,)


async def test_a_new_sink_starts_at_the_oldest_message_that_is_kept(opening: Opening) -> None:
    async with opening("kafka") as journal:
        await journal.append(messages(1, 20))
        await journal.append(messages(21, 20))
        await read_all(journal, "kafka", 20)

    async with opening("kafka", "mqtt") as journal:
        assert [m.version for m in await read_all(journal, "mqtt", 20)] == list(range(21, 41))


@pytest.mark.parametrize("before", [(), ("kafka", "mqtt")], ids=["new", "back again"])
async def test_a_sink_that_comes_later_reads_on_however_much_it_missed(
    opening: Opening, before: tuple[str, ...]
) -> None:
    """A place that no cursor on disk leads to is no reason to wait for the disk."""
    if before:
        async with opening(*before):
            pass
    async with opening("kafka", cursor_every_events=10) as journal:
        for first in range(1, 41, 20):
            await journal.append(messages(first, 20))
        await read_all(journal, "kafka", 40)

    async with opening("kafka", "mqtt", cursor_every_events=10) as journal:
        await journal.append(messages(41, 5))

        assert [m.version for m in await read_all(journal, "mqtt", 5)] == list(range(41, 46))


async def test_a_sink_that_fell_out_of_memory_reads_the_disk_and_misses_nothing(opening: Opening) -> None:
    async with opening(memory_max_bytes=30_000) as journal:
        for first in range(1, 5001, 100):
            await journal.append(messages(first, 100))
            await read_all(journal, "mqtt", 100)

        assert [m.version for m in await read_all(journal, "kafka", 5000, limit=333)] == list(range(1, 5001))


async def test_no_more_is_given_out_than_a_crash_may_repeat(opening: Opening) -> None:
    """With a cursor that is never written by time, reading waits for the disk before it exceeds the bound."""
    async with opening("kafka", cursor_every_events=10, cursor_every_seconds=3600) as journal:
        await journal.append(messages(1, 1000))
        page = await journal.read("kafka", 11)
        await journal.settle("kafka", page, 11, {})

        await journal.read("kafka", 1)

        assert journal._readers["kafka"].durable == 11


@pytest.mark.parametrize(("setting", "largest", "unrecorded"), [(10, 0, 10), (None, 0, 20), (None, 50, 50)])
async def test_recording_goes_on_beside_the_next_delivery_and_never_falls_behind_the_bound(
    opening: Opening, setting: int | None, largest: int, unrecorded: int
) -> None:
    """At any moment at most a page and CURSOR_EVERY_EVENTS, or else the window, are given out and not recorded."""
    window = 20
    async with opening("kafka", cursor_every_events=setting, cursor_every_seconds=3600) as journal:
        await journal.append(messages(1, 3000))
        done, most = 0, 0

        while done < 3000:
            page = await asyncio.wait_for(journal.read("kafka", window, largest), 10)
            most = max(most, page.seqs[-1] - journal._readers["kafka"].durable)
            await journal.settle("kafka", page, len(page.messages), {})
            done = page.seqs[-1]

    assert most == window + unrecorded


@pytest.mark.parametrize("memory_max_bytes", [2**20, 64 * 2**20])
async def test_a_page_of_large_events_is_short(opening: Opening, memory_max_bytes: int) -> None:
    """Whatever the window, and whether they are still in memory: a sink may hold each twice."""
    large = [msgspec.structs.replace(each, body=b"x" * 1_500_000) for each in messages(1, 8)]
    async with opening("kafka", memory_max_bytes=memory_max_bytes) as journal:
        await journal.append(large)
        found, sizes = [], []

        while len(found) < 8:
            page = await journal.read("kafka", 2000)
            found += page.messages
            sizes.append(len(page.messages))
            await journal.settle("kafka", page, len(page.messages), {})

    assert found == large
    assert max(sizes) == 3


async def test_a_place_is_recorded_as_soon_as_enough_events_are_confirmed(opening: Opening) -> None:
    """Not first when the next delivery has to wait for it."""
    async with opening("kafka", cursor_every_events=10, cursor_every_seconds=3600) as journal:
        await journal.append(messages(1, 20))
        page = await journal.read("kafka", 10)

        await journal.settle("kafka", page, 10, {})

        await until(lambda: journal._readers["kafka"].durable == 10, 10, "its place is on disk")


@pytest.mark.timeout(20)
async def test_whoever_waits_for_a_place_lets_others_note_that_it_is_on_disk(opening: Opening) -> None:
    """The write is done and those whom it wakes have not run yet: waiting for it takes no time, and must not spin."""
    async with opening("kafka", cursor_every_events=10, cursor_every_seconds=3600) as journal:
        await journal.append(messages(1, 100))
        await read_all(journal, "kafka", 20, 20)
        await journal._recorder.all_written()
        reader = journal._readers["kafka"]
        reader.durable, noted = 0, reader.durable
        reading = asyncio.ensure_future(journal.read("kafka", 10))
        asyncio.get_running_loop().call_soon(lambda: setattr(reader, "durable", noted))

        page = await asyncio.wait_for(reading, 5)

    assert page.seqs[0] == 21


async def test_a_settled_cursor_reaches_the_disk_in_time_without_any_event(opening: Opening) -> None:
    async with opening("kafka", cursor_every_seconds=0.02) as journal:
        await journal.append(messages(1, 5))
        await read_all(journal, "kafka", 5)

        await until(lambda: journal._readers["kafka"].durable == 5, 5, "the cursor on disk")


async def test_what_does_not_fit_is_refused_whole_and_what_is_stored_stays(opening: Opening) -> None:
    async with opening("kafka", max_bytes=4 * 2**20, memory_max_bytes=2**20) as journal:
        stored = 0
        while await journal.append(messages(stored + 1, 10, b"x" * 20_000)):
            stored += 10
        assert journal.room.full
        assert not await journal.append(messages(1, 1)), "nor what would just fit: it would go back and forth"
        assert stored >= 150

        assert [m.version for m in await read_all(journal, "kafka", stored)] == list(range(1, stored + 1))
        await until(lambda: journal._readers["kafka"].durable == stored, 5, "the cursor on disk")

        assert await journal.append(messages(1, 10, b"x" * 20_000)), "drained, it takes messages again"
        assert not journal.room.full


async def test_a_full_journal_has_room_again_as_soon_as_some_of_it_is_settled(opening: Opening) -> None:
    """Few large messages fill it long before there are so many that deleting them pays."""
    async with opening("kafka", max_bytes=4 * 2**20, memory_max_bytes=2**20) as journal:
        stored = 0
        while await journal.append(messages(stored + 1, 1, b"x" * 20_000)):
            stored += 1

        await read_all(journal, "kafka", 20)
        await until(lambda: journal._readers["kafka"].durable == 20, 5, "the cursor on disk")

        assert await journal.append(messages(stored + 1, 1, b"x" * 20_000))


async def test_what_is_set_aside_counts_as_well(opening: Opening) -> None:
    """A hub that sends rubbish fills a quarter, not what is kept for cursors: that would stop the bridge."""
    rubbish = [Unreadable("json", "cut", b"{" * 65_536, 5.0)] * 17
    async with opening("kafka", max_bytes=4 * 2**20, memory_max_bytes=2**20) as journal:
        await journal.append(messages(1, 5))
        for _ in range(60):
            assert await journal.append((), rubbish)

        assert [m.version for m in await read_all(journal, "kafka", 5)] == [1, 2, 3, 4, 5]
        await until(lambda: journal._readers["kafka"].durable == 5, 5, "the cursor on disk")


async def test_what_a_row_needs_beside_its_body_counts_as_well(opening: Opening) -> None:
    """Messages of a byte must not fill what is kept for cursors."""
    async with opening("kafka", max_bytes=4 * 2**20, memory_max_bytes=2**20) as journal:
        while await journal.append(messages(1, 10_000, b"1")):
            pass

        assert journal.failure is None


@pytest.mark.parametrize("read_first", [True, False], ids=["lost later", "never connected"])
async def test_the_age_of_the_oldest_is_known_while_a_sink_is_down(opening: Opening, *, read_first: bool) -> None:
    """Also when the oldest has fallen out of memory, and nobody has asked for it."""
    async with opening("kafka", memory_max_bytes=30_000) as journal:
        if read_first:
            await journal.append(messages(1, 3))
            await read_all(journal, "kafka", 3)

        for first in range(101, 1101, 100):
            await journal.append(messages(first, 100))

        assert journal.lag("kafka").oldest_at == 201.0


async def test_dead_letters_keep_the_message_and_the_reason(opening: Opening, path: Path) -> None:
    async with opening("kafka") as journal:
        await journal.append(messages(1, 3), [Unreadable("json", "cut", b'{"p":', 5.0)])
        page = await journal.read("kafka", 3)

        await journal.settle("kafka", page, 3, {1: Buried(Rejected("2 MB", reason="too_large"), 2)})

    kept = rows(path, "SELECT sink, seq, event_id, reason, error, attempts FROM dead_letter ORDER BY id")
    assert kept == [("source", None, None, "json", "cut", 1), ("kafka", 2, "id-2", "too_large", "2 MB", 2)]
    assert rows(path, "SELECT data FROM dead_letter WHERE sink = 'source'") == [(b'{"p":',)]


async def test_the_log_tells_how_the_last_session_ended(
    opening: Opening, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    names = [path.name, f"{path.name}-wal"]
    crashed = tmp_path / "crashed"
    crashed.mkdir()

    async with opening():
        for name in names:
            shutil.copy(path.with_name(name), crashed / name)
    async with opening():
        pass
    for name in names:
        shutil.copy(crashed / name, path.with_name(name))
    async with opening():
        pass

    told = [record.getMessage() for record in caplog.records if "opened: " in record.getMessage()]
    assert ["in order" in text for text in told] == [False, True, False]
    assert ["it is new" in text for text in told] == [True, False, False]


async def test_dead_letters_never_use_up_the_journal(
    opening: Opening, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A hub whose every record is unreadable costs a quarter of the file, and is told of once; notifications go on."""
    async with opening("kafka", max_bytes=4 * 2**20) as journal:
        for _ in range(60):
            assert await journal.append((), [Unreadable("json", "cut", b"x" * 60_000, 5.0)])
        assert await journal.append(messages(1, 10, b"x" * 20_000))

    async with opening("kafka", max_bytes=4 * 2**20) as journal:
        assert await journal.append((), [Unreadable("json", "cut", b"y" * 60_000, 5.0)])

    letters, kept = rows(path, "SELECT count(*), total(length(data)) FROM dead_letter")[0]
    assert letters == 16
    assert 2**19 < float(str(kept)) <= 2**20
    assert sum("quarter of the journal" in record.message for record in caplog.records) == 2


async def test_a_failing_disk_is_told_also_when_nobody_writes(opening: Opening) -> None:
    async with opening("kafka") as journal:
        watching = asyncio.create_task(journal.failed())
        await journal.append(messages(1, 3))
        page = await journal.read("kafka", 3)
        journal._writer._store._db.execute("DROP TABLE cursor")

        await journal.settle("kafka", page, 3, {})

        with pytest.raises(StorageFailed, match="no such table"):
            await asyncio.wait_for(watching, 5)


async def test_a_second_process_is_told_who_owns_the_journal(opening: Opening, path: Path) -> None:
    """Whoever reads the error knows which process to stop."""
    code = f"""
import asyncio
from pathlib import Path
from bridge.journal import Limits, open_journal
from bridge.errors import JournalOwned
async def main():
    async with open_journal(Path({str(path)!r}), ["a"], 2**22, Limits(2**22, 2**20, 100, 0.1)): pass
try:
    asyncio.run(main())
except JournalOwned as error:
    print(error)
"""
    async with opening():
        other = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )

        owner = f"pid {os.getpid()} on {socket.gethostname()} since 20"
        assert f"journal {path} belongs to another running process, {owner}" in other.stdout, other.stderr


async def test_two_owners_in_one_process_are_refused_too(opening: Opening) -> None:
    async with opening():
        with pytest.raises(JournalOwned):
            async with opening():
                pass


async def test_a_failing_disk_ends_everything_and_confirms_nothing(opening: Opening) -> None:
    async with opening("kafka", cursor_every_seconds=3600) as journal:
        await journal.append(messages(1, 3))
        blocked = asyncio.create_task(journal.drained())
        await asyncio.sleep(0)
        journal._writer._store._db.execute("DROP TABLE chunk")

        with pytest.raises(StorageFailed, match="no such table"):
            await journal.append(messages(4, 3))

        with pytest.raises(StorageFailed):
            await asyncio.wait_for(blocked, 5)
        with pytest.raises(StorageFailed):
            await journal.read("kafka", 1)
        assert journal.head == 3


async def test_a_cancelled_append_may_be_stored_but_never_out_of_order(opening: Opening) -> None:
    async with opening("kafka") as journal:
        task = asyncio.create_task(journal.append(messages(1, 10)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        await journal.append(messages(11, 10))

        assert [m.version for m in await read_all(journal, "kafka", 20)] == list(range(1, 21))


async def test_a_ledger_knows_no_cursor_that_a_crash_takes_back(opening: Opening, path: Path) -> None:
    """It is recorded with events of the hub as well, and then the cursors that it counts are recorded with it."""
    crashed = path.parent / "crashed"
    async with opening("kafka", cursor_every_seconds=60) as journal:
        await journal.append(messages(1, 60))
        page = await journal.read("kafka", 41)
        await journal.settle("kafka", page, 41, {})
        journal.ledger.sinks["kafka"].delivered += 41
        await journal.append(messages(61, 5), proved_at=2.0)
        shutil.copytree(path.parent, crashed)
    shutil.copytree(crashed, path.parent, dirs_exist_ok=True)

    async with opening("kafka") as journal:
        assert journal.imbalances()["kafka"] == 0


async def test_a_killed_process_loses_nothing_that_was_acknowledged(path: Path, opening: Opening) -> None:
    """The child prints a number after its append returned; then it is killed in the middle of its work."""
    code = f"""
import asyncio, sys
from pathlib import Path
from bridge.journal import Limits, open_journal
from tests.unit.journal.conftest import messages
async def main():
    async with open_journal(Path({str(path)!r}), ["kafka"], 2**26, Limits(2**26, 2**20, 100, 0.1)) as journal:
        number = 1
        while True:
            await journal.append(messages(number, 7))
            number += 7
            print(number - 1, flush=True)
asyncio.run(main())
"""
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    acknowledged = 0
    while acknowledged < 500:
        acknowledged = int(await asyncio.wait_for(child.stdout.readline(), 20))
    child.kill()
    rest = await child.stdout.read()
    await child.wait()
    complete = [line for line in rest.split(b"\n")[:-1] if line]
    acknowledged = int(complete[-1]) if complete else acknowledged

    async with opening("kafka") as journal:
        assert journal.head >= acknowledged
        assert [m.version for m in await read_all(journal, "kafka", journal.head)] == list(range(1, journal.head + 1))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_journal_whose_thread_has_died_fails_at_once_though_nobody_is_answered(opening: Opening) -> None:
    """Whoever had asked it for something would wait for ever, in a bridge that looks well."""
    async with opening() as journal:
        watch = asyncio.create_task(journal.failed())
        assert journal.alive
        end_thread("journal")
        asking = asyncio.create_task(journal.append(messages(1, 1)))

        with pytest.raises(StorageFailed, match="its thread has died of SystemExit"):
            await asyncio.wait_for(watch, 5)

        await until(lambda: not journal.alive, 5, "the thread is gone")
        with pytest.raises(StorageFailed, match="its thread has died"):
            await journal.read("kafka", 1)
        asking.cancel()
