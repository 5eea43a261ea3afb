"""`portos-bridge journal trim`: what is given up is told to each sink in its place, and nothing else is lost."""

import asyncio
import io
import json
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.journal import Limits, open_journal
from bridge.journal.checkup import what_is_wrong
from bridge.journal.salvage import made_usable
from bridge.journal.store import NoRoom, Store
from bridge.ledger import Account
from bridge.message import RESYNC_REQUIRED, Message
from bridge.portos.memory import VersionMemory
from bridge.source import Unreadable
from tests.unit.command_line import CommandLine
from tests.unit.journal.conftest import messages
from tests.unit.journal.test_damage import LONG, read_to_the_end, shape, spoil_rows
from tests.unit.journal.test_log import rows
from tests.unit.journal.test_salvage import beside, break_tree

LIMITS = Limits(60 * 2**20, 2**20, 100, 0.02)
SINKS = ("ahead", "behind", "middle")
PLACES = {"behind": 25, "middle": 152, "ahead": 380}
OPEN = partial(open_journal, max_bytes=2**26, limits=LIMITS)


@pytest.fixture
def trim(command_line: CommandLine) -> CommandLine:
    return partial(command_line, "journal", "trim")


def fill(path: Path, size: int = 10, places: Mapping[str, int] = PLACES) -> None:
    """Leave 400 events in commits of `size`, which the sinks have settled up to their places."""

    async def make() -> None:
        async with OPEN(path, SINKS) as journal:
            journal.ledger.received = 400
            for first in range(1, 401, size):
                await journal.append(messages(first, size, LONG), proved_at=100.0 + first)
            for sink, place in places.items():
                while (left := place - journal.cursor(sink)) > 0:
                    page = await journal.read(sink, left)
                    await journal.settle(sink, page, len(page.messages), {})
                journal.ledger.sinks[sink].delivered = place

    asyncio.run(make())


def files(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.iterdir() if file.suffix != ".lock"}


def delivered(path: Path, sinks: Sequence[str] = SINKS) -> dict[str, list[Message]]:
    """Open the journal as a bridge does, and give what each sink gets; the ledger has to balance all along."""

    async def read() -> dict[str, list[Message]]:
        async with OPEN(path, sinks) as journal:
            assert not any(journal.imbalances().values())
            got = {}
            for sink in sinks:
                got[sink] = await read_to_the_end(journal, sink)
                journal.ledger.sinks[sink].delivered += len(got[sink])
            assert not any(journal.imbalances().values())
            assert journal.corrupt_rows == 0
            return got

    return asyncio.run(read())


def shapes(path: Path) -> dict[str, list[int | str]]:
    return {sink: shape(got) for sink, got in delivered(path).items()}


@pytest.mark.parametrize("size", [1, 10, 400])
@pytest.mark.parametrize("before", [301, 302, 305, 310])
def test_each_sink_is_told_first_and_gets_the_rest_in_order(
    path: Path, trim: CommandLine, before: int, size: int
) -> None:
    """Whether the last number is at the end of a commit, at its beginning or in the middle of it."""
    fill(path, size)

    status, _ = trim("--before", str(before), "--yes")

    rest = list(range(before, 401))
    assert status == 0
    assert what_is_wrong(path) is None
    assert shapes(path) == {
        "behind": [f"lost {before - 26}", *rest],
        "middle": [f"lost {before - 26}", *rest],
        "ahead": list(range(381, 401)),
    }
    assert shapes(path) == {"behind": [], "middle": [], "ahead": []}


def test_what_is_given_up_counts_as_skipped(path: Path, trim: CommandLine) -> None:
    """But for the number that the event has which tells it."""
    fill(path)

    trim("--before", "301", "--yes")

    async def accounts() -> Mapping[str, Account]:
        async with OPEN(path, SINKS) as journal:
            return journal.ledger.sinks

    assert asyncio.run(accounts()) == {
        "behind": Account(delivered=25, skipped=274),
        "middle": Account(delivered=152, skipped=147),
        "ahead": Account(delivered=380),
    }


def test_the_event_says_what_is_given_up(path: Path, trim: CommandLine) -> None:
    """Every sink gets the same one, and it stands at the end of its window."""
    fill(path)

    trim("--before", "301", "--yes")

    got = delivered(path)
    told = got["behind"][0]
    assert got["middle"][0] == told
    assert (told.event, told.received_at) == (RESYNC_REQUIRED, 400.0)
    assert msgspec.json.decode(told.body) == {
        "window": {"id": told.id, "from": "1970-01-01T00:02:05.000Z", "to": "1970-01-01T00:06:40.000Z"},
        "cause": "trimmed",
        "resources": ["tickets"],
        "lostEvents": 275,
        "firstNumber": 26,
        "lastNumber": 300,
    }


def test_it_says_how_much_every_sink_gives_up(path: Path, trim: CommandLine) -> None:
    fill(path)

    status, said = trim("--before", "301", "--yes")

    received = "from 1970-01-01T00:02:05.000Z to 1970-01-01T00:06:40.000Z"
    assert status == 0
    assert said.splitlines() == [
        f"275 events are to be given up, numbers 26 to 300, received {received}",
        "sink ahead: none, it has settled them",
        "sink behind: 275 events",
        "sink middle: 148 events",
        "they are given up; next: start the bridge, which tells it to the sinks",
    ]


@pytest.mark.parametrize("limit", ["1970-01-01T00:06:41Z", "1970-01-01T01:06:41+01:00"])
def test_a_moment_gives_up_what_was_received_before_it(path: Path, trim: CommandLine, limit: str) -> None:
    fill(path)

    shown = json.loads(trim("--before", limit, "--yes", "--json")[1])

    assert (shown["done"], shown["firstNumber"], shown["lastNumber"]) == (True, 26, 300)
    assert shown["sinks"] == {"ahead": 0, "behind": 275, "middle": 148}
    assert shapes(path)["behind"] == ["lost 275", *range(301, 401)]


def test_all_may_be_given_up_and_the_numbers_go_on(path: Path, trim: CommandLine) -> None:
    fill(path)

    trim("--before", "1000", "--yes")

    assert shapes(path) == {"behind": ["lost 375"], "middle": ["lost 375"], "ahead": ["lost 375"]}

    async def more() -> None:
        async with OPEN(path, SINKS) as journal:
            journal.ledger.received += 3
            await journal.append(messages(401, 3, LONG))

    asyncio.run(more())
    assert shapes(path)["behind"] == [401, 402, 403]


def test_one_event_that_is_in_the_way_is_given_up_alone(path: Path, trim: CommandLine) -> None:
    fill(path)

    trim("--before", "27", "--yes")

    assert shapes(path) == {
        "behind": ["lost 1", *range(27, 401)],
        "middle": list(range(153, 401)),
        "ahead": list(range(381, 401)),
    }


@pytest.mark.parametrize("options", [("--dry-run",), ("--dry-run", "--yes"), ("--dry-run", "--json"), ()])
def test_nothing_is_written_without_a_yes(path: Path, trim: CommandLine, options: tuple[str, ...]) -> None:
    """Nor can anybody be asked where there is no terminal."""
    fill(path)
    before = files(path)

    status, said = trim("--before", "301", *options)

    assert (status, files(path)) == (0 if options else 1, before)
    assert "275" in said
    assert ("--yes gives them up" in said) is not bool(options)


@pytest.mark.parametrize(("answer", "status"), [("yes\n", 0), ("y\n", 0), ("no\n", 1), ("\n", 1), ("", 1)])
def test_on_a_terminal_it_asks(
    path: Path, trim: CommandLine, monkeypatch: pytest.MonkeyPatch, answer: str, status: int
) -> None:
    fill(path)
    before = files(path)
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)

    done, said = trim("--before", "301")

    assert done == status
    assert "give them up for good?" in said
    assert (files(path) == before) is bool(status)


@pytest.mark.parametrize("limit", ["1", "26", "1970-01-01", "2h"])
def test_where_nothing_is_that_old_it_says_so(path: Path, trim: CommandLine, limit: str) -> None:
    fill(path, places={"behind": 400, "middle": 400, "ahead": 400} if limit == "2h" else PLACES)
    before = files(path)

    status, said = trim("--before", limit)

    assert (status, files(path)) == (0, before)
    assert said == ("nothing is there to be given up: no sink waits for an event that is older\nnothing is changed\n")


def test_what_was_given_up_is_not_given_up_again(path: Path, trim: CommandLine) -> None:
    fill(path)
    trim("--before", "301", "--yes")
    before = files(path)

    status, said = trim("--before", "301", "--yes")

    assert (status, files(path)) == (0, before)
    assert said.startswith("nothing is there to be given up")


def test_what_an_earlier_trim_has_told_is_in_the_next_one(path: Path, trim: CommandLine) -> None:
    fill(path)
    trim("--before", "101", "--yes")
    said = trim("--before", "301", "--yes")[1]

    got = delivered(path)
    data = msgspec.json.decode(got["behind"][0].body)
    assert said.startswith("275 events are to be given up, numbers 26 to 300, received from 1970-01-01T00:02:05.000Z ")
    assert "sink behind: 200 events" in said
    assert data["window"]["from"] == "1970-01-01T00:02:05.000Z"
    assert (data["lostEvents"], data["firstNumber"], data["lastNumber"]) == (275, 26, 300)
    assert shape(got["behind"]) == shape(got["middle"]) == ["lost 275", *range(301, 401)]


@pytest.mark.parametrize("size", [1, 10, 400])
@pytest.mark.parametrize("before", [301, 302, 305])
def test_a_salvage_afterwards_does_not_find_again_what_was_given_up(
    path: Path, trim: CommandLine, before: int, size: int
) -> None:
    """It lies in free pages of the file yet, as whole as ever."""
    fill(path, size)
    trim("--before", str(before), "--yes")
    break_tree(path)

    got = shapes(path)

    assert beside(path, "journal.db.corrupt-*")
    assert got["behind"] == got["middle"] == [f"lost {before - 26}", *range(before, 401)]
    assert got["ahead"] == list(range(381, 401))


def test_versions_are_remembered_of_what_is_given_up(path: Path, trim: CommandLine) -> None:
    """Or a repeat that the hub sends would be taken for news."""
    fill(path, places={})
    trim("--before", "1000", "--yes")
    memory = VersionMemory("monotonic", "default", 86_400)

    async def reopened() -> None:
        async with OPEN(path, SINKS, memory=memory):
            pass

    asyncio.run(reopened())

    sifted = memory.sift(messages(390, 11, LONG))
    assert (sifted.exact + sifted.stale, len(sifted.messages)) == (11, 0)


def test_damage_in_it_is_given_up_too_and_damage_behind_it_is_told(path: Path, trim: CommandLine) -> None:
    """What cannot be read may have been of any resource that the bridge is set to ask for."""
    fill(path)
    spoil_rows(path, 300, 304, 308)

    said = trim("--before", "306", "--yes")[1]

    async def read() -> list[Message]:
        async with OPEN(path, SINKS) as journal:
            got = await read_to_the_end(journal, "behind")
            assert journal.corrupt_rows == 1
            return got

    got = asyncio.run(read())
    assert said.startswith("280 events are to be given up, numbers 26 to 305, ")
    assert shape(got) == ["lost 280", 306, 307, "lost 1", *range(309, 401)]
    assert msgspec.json.decode(got[0].body)["resources"] == ["tickets"]
    assert rows(path, "SELECT seq FROM dead_letter") == [(308,)]


def test_dead_letters_are_left_alone(path: Path, trim: CommandLine) -> None:
    fill(path)

    async def bury() -> None:
        async with OPEN(path, SINKS) as journal:
            await journal.append((), [Unreadable("json", "cut", b'{"p":', 5.0)])

    asyncio.run(bury())

    said = trim("--before", "301", "--yes")[1]

    assert "1 dead letter is left alone, of source" in said
    assert rows(path, "SELECT count(*) FROM dead_letter") == [(1,)]


@pytest.mark.parametrize("salvaged", [False, True])
def test_a_sink_that_is_off_loses_no_word(
    path: Path, trim: CommandLine, capsys: pytest.CaptureFixture[str], *, salvaged: bool
) -> None:
    """What it misses is logged when it comes back, and it is told too, as long as that waits for another."""
    fill(path)
    delivered(path, ["ahead"])

    async def add() -> None:
        async with OPEN(path, ["ahead"]) as journal:
            journal.ledger.received += 20
            await journal.append(messages(401, 20, LONG))

    asyncio.run(add())

    said = trim("--before", "411", "--yes")[1]

    if salvaged:
        path.write_bytes(bytes(16) + path.read_bytes()[16:])

    assert "behind" not in said
    assert {sink: got[0] for sink, got in shapes(path).items()} == dict.fromkeys(SINKS, "lost 10")
    assert "sink behind missed 384 events" in capsys.readouterr().err


def test_the_room_is_given_back(path: Path, trim: CommandLine) -> None:
    async def make() -> None:
        async with OPEN(path, SINKS) as journal:
            journal.ledger.received += 4000
            for first in range(1, 4001, 100):
                await journal.append(messages(first, 100, LONG * 20))

    asyncio.run(make())
    before = path.stat().st_size

    trim("--before", "4000", "--yes")

    assert path.stat().st_size < before * 2 // 3
    assert {sink: len(got) for sink, got in delivered(path).items()} == dict.fromkeys(SINKS, 2)


class _Copied(sqlite3.Connection):
    """Copies the files as a kill would leave them, before each of the statements that write and behind the last."""

    copies: Callable[[], None]

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql.startswith(("DELETE", "INSERT", "COMMIT", "PRAGMA page_count")):
            _Copied.copies()
        return super().execute(sql, *values)


def test_a_kill_in_the_middle_leaves_all_or_nothing(
    path: Path, trim: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path)
    left: list[dict[str, bytes]] = []
    monkeypatch.setattr(_Copied, "copies", lambda: left.append(files(path)), raising=False)
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=_Copied))
        trim("--before", "305", "--yes")

    done = []
    for copied in left:
        for file in beside(path, "journal.db*"):
            file.unlink()
        for name, data in copied.items():
            path.with_name(name).write_bytes(data)
        got = shapes(path)["behind"]
        done.append(got == ["lost 279", *range(305, 401)])
        assert done[-1] or got == list(range(26, 401))
        assert not beside(path, "journal.db.corrupt-*")

    assert done == sorted(done)
    assert done.count(False) > 5
    assert done.count(True) >= 1


async def test_a_bridge_that_runs_is_left_alone_and_named(path: Path, trim: CommandLine) -> None:
    async with OPEN(path, SINKS) as journal:
        await journal.append(messages(1, 4))

        status, said = await asyncio.to_thread(trim, "--before", "3", "--yes")
        page = await journal.read("behind", 9)

    assert status == 75
    assert f"belongs to another running process, pid {os.getpid()} on " in said
    assert len(page.messages) == 4


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 400)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 8192 * 4096)


@pytest.mark.parametrize("spoil", [noise, cut, break_tree])
def test_a_damaged_file_has_to_be_repaired_first(
    path: Path, trim: CommandLine, spoil: Callable[[Path], object]
) -> None:
    fill(path)
    spoil(path)
    before = files(path)

    status, said = trim("--before", "301", "--yes")

    assert (status, files(path)) == (74, before)
    assert "`portos-bridge journal repair` puts it right" in said


def test_without_room_nothing_is_changed(path: Path, trim: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(path)

    def full(*_: object, **__: object) -> None:
        raise NoRoom(disk=True)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", full)
        status, said = trim("--before", "301", "--yes")

    assert status == 74
    assert "nothing is changed" in said
    assert shapes(path)["behind"] == list(range(26, 401))


def test_it_needs_little_room(path: Path, trim: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would be of no use on a full volume: half of the pages of small commits have to be written to be freed."""
    sizes = []
    fold = Store.fold

    async def make() -> None:
        async with OPEN(path, SINKS) as journal:
            journal.ledger.received = 4000
            await asyncio.gather(*(journal.append([one]) for one in messages(1, 4000, LONG * 10)))

    def watched(store: Store) -> None:
        sizes.append(path.with_name("journal.db-wal").stat().st_size)
        fold(store)

    asyncio.run(make())
    size = path.stat().st_size
    monkeypatch.setattr(Store, "fold", watched)

    trim("--before", "3990", "--yes")

    assert max(sizes) < size // 10
    assert {sink: len(got) for sink, got in delivered(path).items()} == dict.fromkeys(SINKS, 12)


def test_what_is_left_of_a_hole_is_told_behind_it(path: Path, trim: CommandLine) -> None:
    """It was there before, is known, and no reason to salvage the file again."""
    fill(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM chunk WHERE first = 101")
    made_usable(path, 2**26)

    trim("--before", "105", "--yes")

    async def read() -> list[Message]:
        async with OPEN(path, SINKS) as journal:
            return await read_to_the_end(journal, "behind")

    assert what_is_wrong(path) is None
    assert shape(asyncio.run(read())) == ["lost 79", "lost 6", *range(111, 401)]


def test_where_there_is_no_journal_none_is_made(path: Path, trim: CommandLine) -> None:
    status, said = trim("--before", "301", "--yes")

    assert (status, files(path)) == (74, {})
    assert "PORTOS_BRIDGE_JOURNAL__PATH" in said


@pytest.mark.parametrize("limit", ["yesterday", "-5", "4.5"])
def test_a_limit_that_is_none_is_refused(trim: CommandLine, limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        trim("--before", limit)

    assert "expected one argument" in (said := capsys.readouterr().err) or "neither a number" in said
