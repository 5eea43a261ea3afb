"""One trial: a journal that a killed process has left is damaged, opened, and read to its end as a sink does."""

import asyncio
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bridge.journal import Journal, Limits, open_journal
from bridge.message import RESYNC_REQUIRED, Message
from tests.unit.damage.author import SINKS
from tests.unit.journal.conftest import message

PARTS = ("", "-wal", ".mark")


@dataclass(frozen=True, slots=True)
class Master:
    """A journal as a kill has left it: how many events were accepted, and how many each sink has settled."""

    path: Path
    accepted: int
    settled: dict[str, int]


def written(folder: Path, seed: int, count: int) -> Master:
    """Let a process write a journal and kill it."""
    path = folder / f"master-{seed}" / "journal.db"
    code = [sys.executable, "-m", "tests.unit.damage.author", str(path), str(seed), str(count)]
    with subprocess.Popen(code, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        accepted, *settled = map(int, process.stdout.readline().split())
        process.kill()
    return Master(path, accepted, dict(zip(SINKS, settled, strict=True)))


def flipped(master: Master, folder: Path, dice: random.Random, part: str) -> tuple[Path, str]:
    """Copy a journal and flip one bit of one of its files."""
    path = copied(master, folder)
    file = path.with_name(path.name + part)
    data = bytearray(file.read_bytes())
    at, bit = dice.randrange(len(data)), dice.randrange(8)
    data[at] ^= 1 << bit
    file.write_bytes(data)
    return path, f"bit {bit} of byte {at} of journal.db{part}"


def copied(master: Master, folder: Path) -> Path:
    """Copy a journal to where it may be damaged."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for part in PARTS:
        shutil.copy(master.path.with_name(master.path.name + part), folder / (master.path.name + part))
    return folder / master.path.name


@dataclass(slots=True)
class Outcome:
    """What came of it: what is wrong, how many events each sink was told to have lost, and whether all is forgotten."""

    problems: list[str]
    lost: dict[str, int]
    forgotten: bool


async def opened(master: Master, path: Path) -> Outcome:
    """Open a damaged journal and compare every event that comes with those that were accepted."""
    problems: list[str] = []
    lost: dict[str, int] = {}
    limits = Limits(2**26, 2**20, 10_000, 0.02)
    async with asyncio.timeout(60), open_journal(path, SINKS, 2**26, limits) as journal:
        forgotten = journal.previous.forgotten
        for sink in SINKS:
            got = await _read(journal, sink)
            found, lost[sink] = _compared(master, sink, got, forgotten=forgotten)
            problems += found
        assert await journal.append([message(999_999)])
        for sink in SINKS:
            (last,) = await _read(journal, sink)
            if last.version != 999_999:
                problems.append(f"{sink}: what is stored afterwards is not delivered")
    async with asyncio.timeout(60), open_journal(path, SINKS, 2**26, limits) as journal:
        problems += [f"{sink}: {journal.lag(sink).events} events again" for sink in SINKS if journal.lag(sink).events]
    return Outcome(problems, lost, forgotten)


async def _read(journal: Journal, sink: str) -> Sequence[Message]:
    got: list[Message] = []
    while journal.lag(sink).events:
        page = await journal.read(sink, 200)
        got += page.messages
        await journal.settle(sink, page, len(page.messages), {})
    return got


def _compared(master: Master, sink: str, got: Sequence[Message], *, forgotten: bool) -> tuple[list[str], int]:
    """Walk along the numbers: each is delivered in its place, or covered by an event that says it is lost.

    A sink whose place is lost may begin earlier, never later.
    """
    steps = [(msgspec.json.decode(one.body)["lostEvents"] if one.event == RESYNC_REQUIRED else 0, one) for one in got]
    begun = next((number for number, (lost, _) in enumerate(steps) if not lost), None)
    at = master.settled[sink]
    if begun is not None:
        at = (got[begun].version or 0) - 1 - sum(lost for lost, _ in steps[:begun])
    problems = (
        [] if at <= master.settled[sink] else [f"{sink}: begins behind {at}, and has settled {master.settled[sink]}"]
    )
    for lost, one in steps:
        at += lost or 1
        if not lost and (one.id, one.version, one.received_at) != (f"id-{at}", at, 100.0 + at):
            problems.append(f"{sink}: {one.id} in the place of {at}, and nobody says why")
            at = one.version or 0
    if at != master.accepted:
        problems.append(f"{sink}: the end is {at} and not {master.accepted}")
    return ([] if forgotten else problems), sum(lost for lost, _ in steps)
