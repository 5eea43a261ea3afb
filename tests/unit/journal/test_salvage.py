"""A journal that cannot be used is kept aside as it was, and nothing is given up on the way to a new one."""

import errno
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bridge.errors import StorageFailed
from bridge.journal import opening as opening_module
from bridge.journal import salvage
from bridge.journal.checkup import what_is_wrong
from bridge.journal.file import log_of
from bridge.journal.store import NoRoom, Store
from bridge.source import Unreadable
from tests.unit.journal.conftest import Opening, messages
from tests.unit.journal.test_damage import LONG, read_to_the_end, rows, shape
from tests.unit.journal.test_log import read_all


def break_tree(path: Path) -> bytes:
    """Overwrite the page that leads to all chunks; return the file as it is then."""
    with closing(sqlite3.connect(path)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'chunk'").fetchone()
    data = bytearray(path.read_bytes())
    data[(page - 1) * 4096 : (page - 1) * 4096 + 512] = bytes(512)
    path.write_bytes(data)
    return bytes(data)


def database_as_it_is_now(path: Path) -> None:
    """Let no page tell what was there before."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def beside(path: Path, pattern: str) -> list[Path]:
    return sorted(path.parent.glob(pattern))


def kept_aside(path: Path) -> list[Path]:
    return beside(path, "journal.db.corrupt-*")


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 8192 * 4096)


def remove(path: Path) -> None:
    path.unlink()


def put_old_ones_aside(path: Path) -> None:
    for number in range(5):
        for part in ("", "-wal"):
            path.with_name(f"journal.db.corrupt-2026010{number}T000000.000Z{part}").write_bytes(b"old")


async def stored(opening: Opening, commits: int = 40) -> None:
    async with opening() as journal:
        for first in range(1, commits * 10, 10):
            await journal.append(messages(first, 10, LONG), proved_at=100.0 + first)
        await read_all(journal, "kafka", 25)


async def test_all_is_found_again_without_the_tree_that_led_to_it(
    opening: Opening, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await stored(opening)
    damaged = break_tree(path)

    async with opening() as journal:
        assert shape(await read_to_the_end(journal, "kafka")) == list(range(26, 401))
        assert shape(await read_to_the_end(journal, "mqtt")) == list(range(1, 401))
        assert not journal.previous.clean
        assert not journal.previous.forgotten

    assert [file.read_bytes() for file in kept_aside(path)] == [damaged]
    assert sum("was damaged" in record.getMessage() for record in caplog.records) == 1


async def test_how_much_a_lost_journal_may_have_held_is_logged(
    opening: Opening, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await stored(opening)
    remove(path)

    async with opening() as journal:
        assert journal.previous.forgotten

    (said,) = [record.getMessage() for record in caplog.records if "was damaged" in record.getMessage()]
    assert "(the file is gone): 0 events could be read again, up to 400 are lost, which the sinks are told" in said
    assert said.endswith("; there was no old file to be kept")


async def test_a_log_that_is_gone_is_missed_where_it_held_everything(
    opening: Opening, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is folded into a new file for its first thousand pages: without the log it looks like a new one."""
    async with opening() as journal:
        await journal.append(messages(1, 20))
        await journal._writer.call(lambda _: None)  # the mark is written behind the last answer
        found = {file: file.read_bytes() for file in beside(path, "journal.db*") if file != log_of(path)}
    for file, data in found.items():
        file.write_bytes(data)

    async with opening() as journal:
        assert journal.previous.forgotten

    assert "nothing is there of its log, and it is empty where numbers went up to 20" in caplog.text
    assert "up to 20 are lost" in caplog.text


async def test_what_was_told_once_is_no_reason_to_salvage_again(opening: Opening, path: Path) -> None:
    """Or each start would put another file aside."""
    await stored(opening)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM chunk WHERE first = 101")

    for _ in range(3):
        async with opening():
            pass

    assert len(kept_aside(path)) == 1


async def test_what_was_settled_after_the_last_ledger_is_not_missed(opening: Opening, path: Path) -> None:
    """A cursor is recorded more often than the ledger, by which the next start looks for what should be there."""
    left = path.with_name("left")
    left.mkdir()
    async with opening(cursor_every_events=5) as journal:
        for first in range(1, 400, 10):
            await journal.append(messages(first, 10, LONG))
        for _ in range(10):
            for sink in ("kafka", "mqtt"):
                page = await journal.read(sink, 5)
                journal.ledger.sinks[sink].delivered += 5
                await journal.settle(sink, page, 5, {})
            await journal._recorder.all_written()
        await journal._writer.call(lambda _: None)
        for file in beside(path, "journal.db*"):
            shutil.copy(file, left)
    killed = left / path.name
    with closing(sqlite3.connect(killed)) as database:
        assert database.execute("SELECT min(first) FROM chunk").fetchall() == [(1,)]  # nothing is deleted yet
    break_tree(killed)

    salvage.made_usable(killed, 2**26)

    assert what_is_wrong(killed) is None


async def test_dead_letters_and_memory_come_with_it(opening: Opening, path: Path) -> None:
    await stored(opening)
    async with opening() as journal:
        await journal.append((), [Unreadable("json", "cut", b'{"p":', 5.0)])
    before = rows(path, "SELECT * FROM dead_letter")
    break_tree(path)

    async with opening():
        pass

    assert rows(path, "SELECT * FROM dead_letter") == before


async def test_without_room_nothing_is_changed(opening: Opening, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await stored(opening)
    damaged = break_tree(path)

    def full(*_: object) -> None:
        raise NoRoom(disk=True)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", full)
        with pytest.raises(StorageFailed, match="nothing was changed"):
            async with opening():
                pass
    assert beside(path, "journal.db")[0].read_bytes() == damaged
    assert kept_aside(path) == []
    assert beside(path, "*.new*") == []

    async with opening() as journal:
        assert journal.head == 400


@pytest.mark.parametrize("at", ["_copy", "_write"])
async def test_without_room_for_a_mended_log_nothing_is_left_of_it(
    opening: Opening, path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Each start tries again: what one left would be in the way of the next, and in the end of a file kept aside."""
    async with opening("kafka") as journal:
        for first in range(1, 41, 10):
            await journal.append(messages(first, 10, b"x" * 3000))
        found = {file: file.read_bytes() for file in (path, log_of(path))}
    damaged = bytearray(found[log_of(path)])
    damaged[len(damaged) // 2] ^= 1
    for file, data in (found | {log_of(path): bytes(damaged)}).items():
        file.write_bytes(data)
    assert salvage.needs_mending(path)
    before = {file: file.read_bytes() for file in beside(path, "*")}

    def full(*asked: Path | bytes) -> None:
        to = next(file for file in reversed(asked) if isinstance(file, Path))
        to.write_bytes(b"the first of it")
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patch:
        patch.setattr(salvage, at, full)
        with pytest.raises(StorageFailed, match="nothing was changed"):
            async with opening("kafka"):
                pass
    assert {file: file.read_bytes() for file in beside(path, "*")} == before

    async with opening("kafka") as journal:
        assert len(await read_all(journal, "kafka", 40)) == 40


async def test_without_room_behind_a_mended_log_it_says_what_was_changed(
    opening: Opening, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    await stored(opening)
    monkeypatch.setattr(salvage, "_better_log", lambda _: b"a better log")
    monkeypatch.setattr(salvage, "what_is_wrong", lambda _: "more than its log is damaged")
    monkeypatch.setattr(salvage, "rebuilt", full)
    log_of(path).write_bytes(b"a log")

    with pytest.raises(StorageFailed, match="the old file is kept as") as caught:
        async with opening():
            pass
    (kept,) = kept_aside(path)
    assert str(kept) in str(caught.value)
    assert "nothing was changed" not in str(caught.value)
    assert (kept.read_bytes(), log_of(path).read_bytes()) == (b"a log", b"a better log")


async def test_a_new_file_that_finds_no_room_at_its_end_is_none(
    opening: Opening, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite says nothing of it when it is closed, and leaves the log: without that the file is not one."""
    await stored(opening)
    damaged = break_tree(path)
    close = Store.close

    def left_unfinished(store: Store) -> None:
        left = {file: file.read_bytes() for file in beside(path, "journal.db.new*")}
        close(store)
        for file, data in left.items():
            file.write_bytes(data)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "close", left_unfinished)
        with pytest.raises(StorageFailed, match="nothing was changed"):
            async with opening():
                pass
    assert [file.name for file in beside(path, "journal.db*")] == ["journal.db", "journal.db.lock", "journal.db.mark"]
    assert beside(path, "journal.db")[0].read_bytes() == damaged

    async with opening() as journal:
        assert shape(await read_to_the_end(journal, "mqtt")) == list(range(1, 401))


async def test_a_log_mended_in_the_same_millisecond_does_not_stay_with_the_new_file(
    opening: Opening, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are kept aside under the time; what stayed would be read as the log of a file that it does not belong to."""
    async with opening("kafka") as journal:
        for first in range(1, 41, 10):
            await journal.append(messages(first, 10, b"x" * 3000))
        found = {path: bytes(4096), log_of(path): bytearray(log_of(path).read_bytes())}
    found[log_of(path)][len(found[log_of(path)]) // 2] ^= 1
    for file, data in found.items():
        file.write_bytes(data)
    times = ["then", "then", "later"]
    monkeypatch.setattr(salvage, "_now", lambda: times.pop(0))

    salvage.made_usable(path, 2**26)

    assert [file.name.partition("-")[2] for file in kept_aside(path)] == ["later", "later-wal", "then-wal"]
    assert not log_of(path).exists()
    assert what_is_wrong(path) is None


@pytest.mark.parametrize("steps", range(4))
async def test_a_kill_on_the_way_changes_nothing(
    opening: Opening, path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """After each of the renamings."""
    await stored(opening)
    damaged = break_tree(path)
    rename, left = Path.replace, [steps]

    def killed(file: Path, to: Path) -> Path:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return rename(file, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        if steps < 3:
            with pytest.raises(KeyboardInterrupt):
                salvage.made_usable(path, 2**26)
        else:
            salvage.made_usable(path, 2**26)

    async with opening() as journal:
        assert shape(await read_to_the_end(journal, "mqtt")) == list(range(1, 401))
    assert [file.read_bytes() for file in kept_aside(path)] == [damaged]
    assert beside(path, "*.salvaged-*") == []


async def test_what_is_kept_aside_does_not_pile_up(
    opening: Opening, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await stored(opening, 4)
    put_old_ones_aside(path)
    break_tree(path)

    async with opening():
        pass

    names = [file.name for file in kept_aside(path)]
    assert names[:4] == [f"journal.db.corrupt-2026010{n}T000000.000Z{part}" for n in (3, 4) for part in ("", "-wal")]
    assert len({name.removesuffix("-wal") for name in names}) == 3
    assert "is removed" in caplog.text


async def test_damage_that_shows_while_it_runs_ends_it_and_the_next_start_salvages(
    opening: Opening, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if it had come behind the look that the start takes."""
    await stored(opening)
    break_tree(path)
    with monkeypatch.context() as patch:
        patch.setattr(opening_module, "made_usable", lambda path, *_: salvage.Repair(path))
        with pytest.raises(StorageFailed, match="malformed"):
            async with opening():
                pass

    async with opening() as journal:
        assert shape(await read_to_the_end(journal, "mqtt")) == list(range(1, 401))
    assert kept_aside(path)


async def test_a_cut_file_gives_what_is_left_of_it(opening: Opening, path: Path) -> None:
    await stored(opening)
    cut_in_half(path)

    async with opening() as journal:
        got = shape(await read_to_the_end(journal, "mqtt"))

    told = sum(int(str(one).removeprefix("lost ")) for one in got if isinstance(one, str))
    assert 0 < told < 400
    assert told + sum(isinstance(one, int) for one in got) == 400


@pytest.mark.parametrize("gone", [("DELETE FROM session WHERE name = 'ledger'",), ("DELETE FROM cursor",), ()])
async def test_a_lost_beginning_is_told_from_whichever_place_is_left(
    opening: Opening, path: Path, gone: tuple[str, ...]
) -> None:
    """Where a sink was stands in its cursor and in the ledger, and either alone says that something is missing."""
    await stored(opening)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM chunk WHERE first < 101")
        for statement in gone:
            database.execute(statement)
    database_as_it_is_now(path)
    break_tree(path)

    async with opening() as journal:
        got = shape(await read_to_the_end(journal, "mqtt"))

        assert got == ["lost 100", *range(101, 401)]
        assert not journal.previous.forgotten


async def test_a_beginning_that_nothing_tells_of_is_told_as_forgotten(opening: Opening, path: Path) -> None:
    """Without any place it is not known whether what is gone was delivered."""
    await stored(opening)
    with closing(sqlite3.connect(path)) as database, database:
        for statement in (
            "DELETE FROM chunk WHERE first < 101",
            "DELETE FROM cursor",
            "DELETE FROM session WHERE name = 'ledger'",
        ):
            database.execute(statement)
    database_as_it_is_now(path)
    break_tree(path)

    async with opening() as journal:
        assert shape(await read_to_the_end(journal, "mqtt")) == list(range(101, 401))
        assert journal.previous.forgotten


async def test_a_file_of_which_no_event_and_no_place_is_left_is_told_as_forgotten(opening: Opening, path: Path) -> None:
    """Also when it still says up to when all was stored; the mark knows that there were events."""
    await stored(opening)
    with closing(sqlite3.connect(path)) as database, database:
        for statement in ("DELETE FROM chunk", "DELETE FROM cursor", "DELETE FROM session WHERE name = 'ledger'"):
            database.execute(statement)
    database_as_it_is_now(path)
    break_tree(path)

    async with opening() as journal:
        assert journal.previous.forgotten
        assert journal.head == 400
