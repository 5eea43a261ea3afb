"""`portos-bridge journal repair`: what a start would do for a file that it cannot use, and no more."""

import asyncio
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bridge.journal import Journal, Limits, open_journal
from bridge.source import Unreadable
from tests.unit.command_line import CommandLine
from tests.unit.journal.conftest import messages
from tests.unit.journal.test_damage import LONG, read_to_the_end, shape
from tests.unit.journal.test_salvage import beside, break_tree, cut_in_half, kept_aside
from tests.unit.journal.test_schema import FIRST_RELEASE

LIMITS = Limits(60 * 2**20, 2**20, 100, 0.02)
SINKS = ("kafka", "mqtt")
FRAME_BYTES = 24 + 4096


@pytest.fixture
def repair(command_line: CommandLine) -> CommandLine:
    return partial(command_line, "journal", "repair")


async def write(journal: Journal) -> None:
    """Leave 400 events in forty commits and a dead letter; kafka has settled 25, mqtt nothing."""
    for first in range(1, 400, 10):
        journal.ledger.received += 10
        await journal.append(messages(first, 10, LONG), proved_at=100.0 + first)
    await journal.append((), [Unreadable("json", "cut", b'{"p":', 5.0)])
    page = await journal.read("kafka", 25)
    journal.ledger.sinks["kafka"].delivered += 25
    await journal.settle("kafka", page, 25, {})


def fill(path: Path) -> None:
    async def make() -> None:
        async with open_journal(path, SINKS, 2**26, LIMITS) as journal:
            await write(journal)

    asyncio.run(make())


def kill(path: Path) -> None:
    """Leave what a killed bridge leaves: nearly all is in the log yet."""
    left = path.with_name("left")
    left.mkdir()

    async def make() -> None:
        async with open_journal(path, SINKS, 2**26, LIMITS) as journal:
            await write(journal)
            await journal._recorder.all_written()
            await journal._writer.call(lambda _: None)
            for file in beside(path, "journal.db*"):
                shutil.copy(file, left)

    asyncio.run(make())
    for file in left.iterdir():
        shutil.move(file, path.with_name(file.name))
    left.rmdir()


def flip_in_log(path: Path) -> None:
    """Flip a bit in a frame in the middle of the log, so that SQLite would read no further."""
    log = path.with_name(path.name + "-wal")
    data = bytearray(log.read_bytes())
    data[32 + len(data) // FRAME_BYTES // 2 * FRAME_BYTES + 1000] ^= 0x10
    log.write_bytes(data)


def files(path: Path) -> dict[str, bytes]:
    """Give every byte that lies in the folder, but for the owner's name."""
    return {file.name: file.read_bytes() for file in path.parent.iterdir() if file.suffix != ".lock"}


def delivered(path: Path) -> dict[str, list[int | str]]:
    """Open the journal as a bridge does, and give what each sink gets."""

    async def read() -> dict[str, list[int | str]]:
        async with open_journal(path, SINKS, 2**26, LIMITS) as journal:
            return {sink: shape(await read_to_the_end(journal, sink)) for sink in SINKS}

    return asyncio.run(read())


def told(got: list[int | str]) -> int:
    """Count the events that came and those that were said to be lost."""
    return sum(int(one.removeprefix("lost ")) if isinstance(one, str) else 1 for one in got)


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
@pytest.mark.parametrize("left_by", [fill, kill])
def test_a_whole_file_is_not_touched(
    path: Path, repair: CommandLine, left_by: Callable[[Path], None], options: tuple[str, ...]
) -> None:
    left_by(path)
    before = files(path)

    status, said = repair(*options)

    assert (status, files(path)) == (0, before)
    assert said.splitlines() == [
        f"journal {path}: 400 events are stored and whole, up to number 400",
        "sink kafka: settled up to number 25, 375 events wait for it",
        "sink mqtt: settled up to number 0, 400 events wait for it",
        "1 dead letter of source: `portos-bridge dlq list --sink source` shows them",
        "the file can be used as it is: nothing is changed",
    ]


def test_a_row_that_is_damaged_in_its_place_needs_no_repair(path: Path, repair: CommandLine) -> None:
    fill(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "UPDATE chunk SET rows = CAST(substr(rows, 1, length(rows) - 3) || x'000000' AS BLOB) WHERE first = 101"
        )
    before = files(path)

    status, said = repair()

    assert (status, files(path)) == (0, before)
    assert "lost: numbers 110 to 110, " in said
    assert "the bridge tells it to the sinks in their place\nthe file can be used as it is" in said
    assert delivered(path)["mqtt"] == [*range(1, 110), "lost 1", *range(111, 401)]


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 400)


def another_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE music (title TEXT)")


def lose_commits(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM chunk WHERE first IN (101, 301)")


def flip_places(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE cursor SET seq = seq + 64")


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "tree": (break_tree, "Page"),
    "cut": (cut_in_half, "malformed"),
    "noise": (noise, "its header is not that of a journal"),
    "another database": (another_database, "its header is not that of a journal"),
    "lost commits": (lose_commits, "events 101 to 110 are not where they belong"),
    "places": (flip_places, "what it says of kafka is damaged"),
    "gone": (Path.unlink, "the file is gone"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_dry_run_says_what_a_repair_does_and_writes_nothing(path: Path, repair: CommandLine, name: str) -> None:
    fill(path)
    SPOILT[name][0](path)
    before = files(path)

    foreseen = repair("--dry-run", "--json")
    untouched = files(path) == before
    done = repair("--json")

    planned, came = json.loads(foreseen[1]), json.loads(done[1])
    assert (foreseen[0], done[0], untouched) == (1, 0, True)
    assert SPOILT[name][1] in planned["wrong"][0]
    assert (planned["dryRun"], came["dryRun"], planned["aside"]) == (True, False, [])
    assert compared(planned) == compared(came)


def compared(shown: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a dry run cannot know: the new names, and what a file that is not there yet says of itself."""
    return {name: value for name, value in shown.items() if name not in ("dryRun", "aside", "freed", *_OF_A_FILE)}


_OF_A_FILE = ("orderlyEnd", "provedAt")


@pytest.mark.parametrize("name", SPOILT)
def test_a_start_after_a_repair_delivers_all_that_can_be_read_and_repairs_no_more(
    path: Path, repair: CommandLine, name: str
) -> None:
    fill(path)
    SPOILT[name][0](path)
    old = path.read_bytes() if path.exists() else None

    shown = json.loads(repair("--json")[1])
    aside = kept_aside(path)
    again = repair()
    got = delivered(path)

    assert shown["aside"] == list(map(str, aside))
    assert [file.read_bytes() for file in aside] == ([] if old is None else [old])
    assert again[1].endswith("the file can be used as it is: nothing is changed\n")
    assert kept_aside(path) == aside
    assert sum(isinstance(one, int) for one in got["mqtt"]) == shown["events"]
    assert told(got["mqtt"]) == shown["events"] + shown["lost"] == (0 if shown["forgotten"] else 400)


def test_a_log_that_was_removed_is_named(path: Path, repair: CommandLine) -> None:
    """What a killed bridge leaves holds the newest events in the log alone."""
    kill(path)
    with closing(sqlite3.connect(path.with_name("journal.db"))) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        database.execute("DELETE FROM chunk WHERE first > 300")
        database.commit()
    path.with_name("journal.db-wal").unlink(missing_ok=True)

    said = repair("--dry-run")[1]

    assert "wrong: nothing is there of its log, and events 301 to 400, the newest, are missing\n" in said


def test_a_repair_says_what_is_lost_and_where_the_old_file_is(path: Path, repair: CommandLine) -> None:
    fill(path)
    lose_commits(path)

    status, said = repair()

    (aside,) = kept_aside(path)
    assert status == 0
    assert said.splitlines() == [
        "wrong: events 101 to 110 are not where they belong",
        f"journal {path}: 380 events are stored and whole, up to number 400",
        "sink kafka: settled up to number 25, 375 events wait for it",
        "sink mqtt: settled up to number 0, 400 events wait for it",
        "1 dead letter of source: `portos-bridge dlq list --sink source` shows them",
        "lost: numbers 101 to 110",
        "lost: numbers 301 to 310",
        "20 events are lost; nothing is to be done: the bridge tells it to the sinks in their place",
        f"the old file is kept as {aside}",
        "repaired; next: look for the cause, the disk or the file system, then start the bridge",
    ]


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_how_much_may_be_lost_is_said_where_nothing_is_left(
    path: Path, repair: CommandLine, options: tuple[str, ...]
) -> None:
    """The mark beside the file knows how far the numbers went, and nothing knows what of them was settled."""
    fill(path)
    path.unlink()

    said = repair(*options)[1]
    shown = json.loads(repair("--dry-run", "--json")[1]) if options else {"lostAtMost": 400}

    assert "up to 400 events may be lost: so far the numbers went\n" in said
    assert shown["lostAtMost"] == 400


def test_what_lies_behind_a_damage_in_the_log_is_used(path: Path, repair: CommandLine) -> None:
    """And whoever only looks, or would write, takes nothing of it away before."""
    kill(path)
    flip_in_log(path)
    before = files(path)

    foreseen = repair("--dry-run", "--json")
    with_it_aside = files(path) == before
    done = repair("--json")

    assert (foreseen[0], done[0], with_it_aside) == (1, 0, True)
    assert compared(json.loads(foreseen[1])).items() >= {"wrong": ["its log is damaged before its end"]}.items()
    assert json.loads(foreseen[1])["events"] == json.loads(done[1])["events"] == 400
    assert [file.name for file in kept_aside(path)] == [Path(json.loads(done[1])["aside"][0]).name]
    assert delivered(path) == {"kafka": list(range(26, 401)), "mqtt": list(range(1, 401))}


def empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("arguments", [("journal", "verify"), ("journal", "repair", "--dry-run"), ("dlq", "list")])
def test_the_log_of_an_empty_file_is_left_where_it_is(
    path: Path, command_line: CommandLine, arguments: tuple[str, ...]
) -> None:
    """SQLite deletes it, also where it may only read; all events are in it."""
    kill(path)
    empty(path)
    before = files(path)

    command_line(*arguments)

    assert files(path) == before
    shown = json.loads(command_line("journal", "repair", "--json")[1])
    assert shown["wrong"] == ["the file is empty, and its log is not"]
    assert (shown["events"], len(shown["aside"])) == (400, 2)


def empty_beside_its_log(path: Path) -> None:
    for file in beside(path, "journal.db*"):
        file.unlink()
    kill(path)
    empty(path)


UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    **{name: spoilt for name, spoilt in SPOILT.items() if name not in ("lost commits", "places")},
    "empty beside its log": (empty_beside_its_log, "the file is empty, and its log is not"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_verification_of_what_cannot_be_opened_says_what_a_repair_would_do(
    path: Path, command_line: CommandLine, name: str
) -> None:
    fill(path)
    UNUSABLE[name][0](path)
    before = files(path)

    status, said = command_line("journal", "verify")
    foreseen = command_line("journal", "repair", "--dry-run")[1]

    assert (status, files(path)) == (1, before)
    assert UNUSABLE[name][1] in said.splitlines()[0]
    assert said.splitlines()[:-1] == foreseen.splitlines()[:-1]
    assert said.splitlines()[-1].startswith("this is what a repair would leave; next: `portos-bridge journal repair`")
    assert "Error(" not in said
    assert "earlier release" not in said


@pytest.mark.parametrize("name", UNUSABLE)
def test_every_other_command_says_what_is_wrong_and_what_to_do(
    path: Path, command_line: CommandLine, name: str
) -> None:
    """And makes no journal of what is none."""
    fill(path)
    UNUSABLE[name][0](path)
    before = files(path)

    for arguments in (("journal", "ls"), ("dlq", "list"), ("dlq", "purge", "--all", "--yes")):
        status, said = command_line(*arguments)

        assert (status, files(path).keys()) == (74, before.keys()), arguments
        assert f"journal {path} cannot be used: " in said
        assert UNUSABLE[name][1] in said
        assert "; `portos-bridge journal repair` puts it right, as the next start does" in said
    assert name == "tree" or files(path) == before


def test_a_damaged_file_that_is_named_is_verified_by_itself(path: Path, command_line: CommandLine) -> None:
    """It was moved aside: nothing is to be repaired."""
    fill(path)
    break_tree(path)
    aside = path.rename(path.with_name("aside.db"))

    status, said = command_line("journal", "verify", "--file", str(aside))

    assert status == 1
    assert said.splitlines()[0].startswith("wrong: ")
    assert said.splitlines()[-1] == "this is what can be read of it"


def test_a_file_that_is_named_and_not_there_is_named_again(
    path: Path, command_line: CommandLine, caplog: pytest.LogCaptureFixture
) -> None:
    """The variable of the bridge's journal has nothing to do with it."""
    status, said = command_line("journal", "verify", "--file", str(path))

    assert status == 74
    assert f"there is no file {path}" in said + caplog.text
    assert "JOURNAL__PATH" not in said + caplog.text


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("journal", "verify"), 1, "lost: numbers "),
        (("journal", "show", "26"), 0, "id-26"),
        (("dlq", "purge", "--all", "--yes"), 74, "`portos-bridge journal repair` puts it right"),
    ],
)
def test_no_other_command_takes_away_what_a_repair_can_read(
    path: Path, command_line: CommandLine, arguments: tuple[str, ...], status: int, says: str
) -> None:
    """What only looks shows what SQLite reads, and what would write is refused."""
    kill(path)
    flip_in_log(path)
    before = files(path)

    found, said = command_line(*arguments)

    assert (found, files(path)) == (status, before)
    assert says in said


async def test_a_bridge_that_runs_is_left_alone_and_named(path: Path, repair: CommandLine) -> None:
    async with open_journal(path, SINKS, 2**26, LIMITS) as journal:
        await write(journal)

        status, said = await asyncio.to_thread(repair)

    assert status == 75
    assert f"belongs to another running process, pid {os.getpid()} on " in said


@pytest.mark.parametrize("steps", [1, 2])
def test_a_repair_that_was_not_finished_is_finished(
    path: Path, repair: CommandLine, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """Before and after the old file was moved away."""
    fill(path)
    path.with_name("journal.db.mark").unlink()
    damaged = break_tree(path)
    rename, left = Path.replace, [steps]

    def killed(file: Path, to: Path) -> Path:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return rename(file, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        assert repair()[0] == 130
    before = files(path)

    foreseen = repair("--dry-run")
    untouched = files(path) == before
    done = repair()

    assert (foreseen[0], done[0], untouched) == (1, 0, True)
    assert "wrong: a salvage of it was not finished" in foreseen[1]
    assert [file.read_bytes() for file in kept_aside(path)] == [damaged]
    assert delivered(path)["mqtt"] == list(range(1, 401))


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_journal_of_another_release_is_left_as_it_is(
    path: Path, repair: CommandLine, options: tuple[str, ...]
) -> None:
    shutil.copy(FIRST_RELEASE, path)
    before = files(path)

    earlier = repair(*options)

    assert (earlier[0], files(path)) == (0, before)
    assert "is of an earlier release" in earlier[1]
    fill(path.with_name("later.db"))
    shutil.copy(path.with_name("later.db"), path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA user_version=3")
        database.execute("UPDATE session SET value = 3 WHERE name = 'schema'")
    before = files(path)

    later = repair(*options)

    assert (later[0], files(path)) == (74, before)
    assert "written by a later release" in later[1]


def test_a_journal_that_is_half_of_an_earlier_release_gives_all_that_it_holds(path: Path, repair: CommandLine) -> None:
    shutil.copy(FIRST_RELEASE, path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA user_version=2")

    status, said = repair()

    assert status == 0
    assert "wrong: its table cursor is not a journal's" in said
    assert [len(delivered(path)[sink]) for sink in SINKS] == [8, 0]


def test_where_there_is_nothing_nothing_is_made(path: Path, repair: CommandLine) -> None:
    status, said = repair()

    assert (status, files(path)) == (74, {})
    assert "PORTOS_BRIDGE_JOURNAL__PATH" in said
