"""The version memory and the journal together: what a kill at any moment leaves is neither too little nor too much."""

import asyncio
import sys
from pathlib import Path

import pytest

from bridge.journal import Limits, open_journal
from bridge.message import Message
from bridge.portos.memory import VersionMemory
from tests.unit.portos.changes import change, told

LIMITS = Limits(60 * 2**20, 2**20, 10, 0.001)
IDS = 7

CHILD = """
import asyncio
from pathlib import Path
from tests.unit.portos.test_memory_restart import endless
asyncio.run(endless(Path({path!r}), {batch}))
"""


def numbered(number: int) -> Message:
    """The changes in their order, from number 1 on: each resource in turn, each with its next version."""
    return change(number // IDS + 1, float(number), resource_id=str(number % IDS), received_at=float(number))


async def endless(path: Path, batch: int) -> None:
    """Take in, deliver and free without end; print how many are stored."""
    memory = VersionMemory("contiguous", "default", 1e9)
    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS, memory=memory) as journal:
        while True:
            first = journal.head + 1
            sifted = memory.sift([numbered(number) for number in range(first, first + batch)])
            assert sifted.passed == len(sifted.messages) == batch
            assert await journal.append(sifted.messages)
            print(journal.head, flush=True)
            page = await journal.read("kafka", batch)
            await journal.settle("kafka", page, len(page.messages), {})


@pytest.mark.parametrize("batch", [3, 400], ids=["small batches", "large batches"])
async def test_after_a_kill_every_repeat_is_known_and_nothing_new_is_dropped(tmp_path: Path, batch: int) -> None:
    """Killed in the middle of its work, and again; what is on disk is judged, not what was acknowledged."""
    path, stored = tmp_path / "journal.db", 0
    for _ in range(2):
        stored = await _until_killed(path, batch, stored + 10 * batch)

        memory = VersionMemory("contiguous", "default", 1e9)
        async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS, memory=memory) as journal:
            assert journal.head >= stored
            stored = journal.head
            again = memory.sift([numbered(number) for number in range(1, stored + 1)])
            assert told(again.messages) == []
            assert again.exact + again.stale == stored
            news = memory.sift([numbered(number) for number in range(stored + 1, stored + IDS + 1)])
            assert (news.passed, len(news.messages)) == (IDS, IDS)


async def _until_killed(path: Path, batch: int, least: int) -> int:
    """Run the child until it has stored so many; give how many it had acknowledged when it was killed."""
    code = CHILD.format(path=str(path), batch=batch)
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    acknowledged = 0
    while acknowledged < least:
        acknowledged = int(await asyncio.wait_for(child.stdout.readline(), 20))
    child.kill()
    rest = await child.stdout.read()
    await child.wait()
    complete = [line for line in rest.split(b"\n")[:-1] if line]
    return int(complete[-1]) if complete else acknowledged
