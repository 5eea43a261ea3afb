"""Whatever bit flips and whatever is cut off: the start succeeds, what is whole is delivered, what is lost is told.

The short form runs with the other tests; TEST_DAMAGE=1 (`make damage`) runs 600 flips, 100 cuts and foreign files.
"""

import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bridge.journal import checkup, chunk, mark, store
from bridge.journal.salvage import Repair, foreseen, made_usable
from tests.unit.damage.author import LARGEST_COMMIT
from tests.unit.damage.trial import PARTS, Master, Outcome, copied, flipped, opened, written

LONG = bool(os.environ.get("TEST_DAMAGE"))
FLIPS, CUTS = (600, 100) if LONG else (40, 16)
ANYTHING = type("Anything", (), {"__eq__": lambda *_: True, "__hash__": None})()
SIZES = ((1, 900), (2, 1500), (3, 400))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if LONG else 120)]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder in memory, where there is one: what is tried here is not the disk."""
    memory = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def masters(folder: Path) -> list[Master]:
    """Journals of processes that were killed, with events in the file and in the log."""
    return [written(folder, seed, count) for seed, count in SIZES[: None if LONG else 2]]


async def flip_trials(masters: list[Master], folder: Path, rounds: int) -> tuple[list[str], int]:
    """Flip one bit a round, in the file and in the log by turns; return what is wrong, and how much was lost."""
    problems: list[str] = []
    total = 0
    for seed in range(rounds):
        master, dice = masters[seed // 2 % len(masters)], random.Random(seed)  # noqa: S311 - a schedule
        path, what = flipped(master, folder / "flipped", dice, PARTS[seed % 2])
        found = await trial(master, path)
        lost = max(found.lost.values(), default=0)
        total += lost
        problems += [f"seed {seed}, {what}: {problem}" for problem in found.problems]
        if lost > 1 or found.forgotten:
            problems.append(f"seed {seed}, {what}: costs {lost} events, forgotten: {found.forgotten}")
    return problems, total


async def trial(master: Master, path: Path) -> Outcome:
    try:
        return await opened(master, path)
    except Exception as error:  # noqa: BLE001 - a start that fails is what this is about
        return Outcome([f"the start fails: {error!r}"], {}, forgotten=False)


async def test_a_flipped_bit_costs_one_event_at_most_and_that_is_told(masters: list[Master], folder: Path) -> None:
    problems, lost = await flip_trials(masters, folder, FLIPS)

    assert problems == []
    print(f"{FLIPS} flips: {lost} events lost and told")


async def test_a_spoilt_block_of_the_log_costs_what_lies_in_it(masters: list[Master], folder: Path) -> None:
    """A block of a disk hits the head of a frame nearly always; no page holds more than one large commit of these."""
    problems: list[str] = []
    for seed in range(FLIPS // 2):
        master, dice = masters[seed % len(masters)], random.Random(seed)  # noqa: S311 - a schedule
        path = copied(master, folder / "spoilt")
        log = path.with_name(path.name + "-wal")
        data = bytearray(log.read_bytes())
        at = dice.randrange(len(data) // 4096) * 4096
        data[at : at + 4096] = dice.choice((bytes(4096), dice.randbytes(4096)))
        log.write_bytes(data)
        found = await trial(master, path)
        lost = max(found.lost.values(), default=0)
        problems += [f"seed {seed}, block at {at}: {problem}" for problem in found.problems]
        if lost > LARGEST_COMMIT or found.forgotten:
            problems.append(f"seed {seed}, block at {at}: costs {lost} events, forgotten: {found.forgotten}")

    assert problems == []


def cut(path: Path, dice: random.Random) -> str:
    """Cut a file or its log, at any place or at a page."""
    part = dice.choice(PARTS[:2])
    file = path.with_name(path.name + part)
    size = file.stat().st_size
    to = dice.choice((dice.randrange(size), dice.randrange(size) // 4096 * 4096, 0))
    os.truncate(file, to)
    return f"journal.db{part} cut to {to} of {size}"


def foreign(path: Path, dice: random.Random) -> str:
    """Put something else in the journal's place."""
    kind = dice.choice(("noise", "text", "another database", "pages of noise", "nothing", "zeros"))
    if kind == "another database":
        path.unlink()
        path.with_name(path.name + "-wal").unlink()
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE music (title TEXT)")
            database.execute("PRAGMA user_version=9")
    elif kind == "pages of noise":
        data = bytearray(path.read_bytes())
        for _ in range(20):
            at = dice.randrange(len(data) // 512) * 512
            data[at : at + 512] = dice.randbytes(512)
        path.write_bytes(data)
    elif kind == "nothing":
        path.unlink()
    else:
        path.write_bytes({"noise": dice.randbytes(50_000), "text": b"hello\n" * 999, "zeros": bytes(99_999)}[kind])
        path.with_name(path.name + "-wal").unlink()
    return kind


@pytest.mark.parametrize("spoil", [cut, foreign], ids=["cut", "foreign"])
async def test_a_start_succeeds_with_any_file_and_keeps_what_it_finds_aside(
    masters: list[Master], folder: Path, spoil: Callable[[Path, random.Random], str]
) -> None:
    """What is not delivered is told, number by number, or all of it as forgotten."""
    problems: list[str] = []
    for seed in range(CUTS // 2):
        master = masters[seed % len(masters)]
        path = copied(master, folder / "spoilt")
        what = spoil(path, random.Random(seed))  # noqa: S311 - a schedule
        before = path.read_bytes() if path.exists() else b""
        found = await trial(master, path)
        aside = [file for file in path.parent.glob("journal.db.corrupt-*") if not file.name.endswith("-wal")]
        problems += [f"seed {seed}, {what}: {problem}" for problem in found.problems]
        if found.forgotten and before and [file.read_bytes() for file in aside] != [before]:
            problems.append(f"seed {seed}, {what}: the old file is not kept aside: {aside}")
        if not found.forgotten and not found.lost:
            problems.append(f"seed {seed}, {what}: nothing is told")

    assert problems == []


def spoilt(master: Master, folder: Path, seed: int) -> tuple[Path, str]:
    """Flip a bit, cut a file or put something else in its place, by turns."""
    dice = random.Random(seed)  # noqa: S311 - a schedule
    if seed % 4 < 2:
        return flipped(master, folder, dice, PARTS[seed % 2])
    path = copied(master, folder)
    return path, (cut, foreign)[seed % 2](path, dice)


def test_what_was_repaired_is_not_wrong_again(masters: list[Master], folder: Path) -> None:
    """Or each start would put another file aside; and a repair that is only foreseen says the same."""
    problems: list[str] = []
    for seed in range(FLIPS // 2):
        path, what = spoilt(masters[seed // 4 % len(masters)], folder / "repaired", seed)

        planned = foreseen(path)
        done = made_usable(path, 2**26)
        again = made_usable(path, 2**26)

        if again.wrong:
            problems.append(f"seed {seed}, {what}: {done.wrong}, and then {again.wrong}")
        if list(planned.wrong) != list(done.wrong[:1]):
            problems.append(f"seed {seed}, {what}: {planned.wrong} was foreseen, and {done.wrong} found")
        if done.salvaged is not None and len(done.wrong) == 1 and planned.salvaged != done.salvaged:
            problems.append(f"seed {seed}, {what}: {planned.salvaged} was foreseen, and {done.salvaged} came")

    assert problems == []


@pytest.mark.parametrize("mutant", ["no checksum of rows", "no mark", "no checksum of places", "no look at the file"])
async def test_the_trials_find_what_is_not_looked_at(
    masters: list[Master], folder: Path, monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    """A trial that cannot fail proves nothing."""
    if mutant == "no checksum of rows":
        monkeypatch.setattr(chunk.zlib, "crc32", lambda *_: 0)
        assert (await flip_trials(masters, folder, 8))[0]
    elif mutant == "no mark":
        monkeypatch.setattr(checkup, "read_mark", lambda _: None)
        monkeypatch.setattr(mark, "read_mark", lambda _: None)
        path = copied(masters[0], folder / "mutant")
        os.truncate(path.with_name(path.name + "-wal"), 20_000)
        assert (await trial(masters[0], path)).problems
    elif mutant == "no checksum of places":
        path = copied(masters[0], folder / "mutant")
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE cursor SET seq = seq + 64")
        assert not (await trial(masters[0], path)).problems
        path = copied(masters[0], folder / "mutant")
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE cursor SET seq = seq + 64")
        for module in (checkup, store):
            monkeypatch.setattr(module, "seal", lambda *_: ANYTHING)
        assert (await trial(masters[0], path)).problems
    else:
        monkeypatch.setattr("bridge.journal.opening.made_usable", lambda path, *_: Repair(path))
        assert (await flip_trials(masters, folder, 12))[0]
