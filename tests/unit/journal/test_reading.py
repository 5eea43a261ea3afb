"""However two sinks read a damaged journal, each gets every event once and in order, or is told that it is lost."""

import asyncio
import random
import sqlite3
from pathlib import Path

import msgspec
import pytest

from bridge.journal import Journal, Page, log
from bridge.message import RESYNC_REQUIRED, Message
from tests.unit.journal.conftest import Opening, messages
from tests.unit.journal.test_damage import change, spoil_rows

_BEFORE, _ALL = 150, 300
_BODY = b"y" * 6000
_MEMORY_BYTES = 200_000  # thirty of them


@pytest.fixture(autouse=True)
def _short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_READ_AHEAD_EVENTS", 50)


def spoil(path: Path, dice: random.Random) -> None:
    """Flip bits in rows, and take whole chunks away."""
    spoil_rows(path, *dice.sample(range(1, _BEFORE), dice.randint(0, 12)))

    def delete(database: sqlite3.Connection) -> None:
        firsts = [first for (first,) in database.execute("SELECT first FROM chunk ORDER BY first")]
        for first in dice.sample(firsts[1:-1], dice.randint(0, 3)):
            database.execute("DELETE FROM chunk WHERE first = ?", (first,))

    change(path, delete)


async def read(journal: Journal, sink: str, dice: random.Random) -> Page:
    """Read a page of any size; now and then the reading is given up first, after some turns of the loop."""
    if dice.random() < 0.3:
        reading = asyncio.create_task(journal.read(sink, dice.randint(1, 40), 100))
        for _ in range(dice.randint(0, 5)):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait({reading})
    return await asyncio.wait_for(journal.read(sink, dice.randint(1, 40), 100), 10)


def checked(got: list[tuple[int, Message]]) -> list[tuple[int, str]]:
    """Check that each number comes once or is told; give what was told."""
    covered = 0
    for number, one in got:
        covered += msgspec.json.decode(one.body)["lostEvents"] if one.event == RESYNC_REQUIRED else 1
        assert covered == number
        assert one.event == RESYNC_REQUIRED or one.version == number
    assert covered == _ALL
    return [(number, one.id) for number, one in got if one.event == RESYNC_REQUIRED]


@pytest.mark.parametrize("seed", range(25))
async def test_every_event_comes_once_or_is_told(opening: Opening, path: Path, seed: int) -> None:
    """With pages of any size, settled in part, read again, while more comes."""
    dice, number = random.Random(seed), 0  # noqa: S311 - a test's

    async def append(journal: Journal, most: int, upto: int) -> None:
        nonlocal number
        count = min(dice.randint(1, most), upto - number)
        await journal.append(messages(number + 1, count, _BODY))
        number += count

    async with opening(memory_max_bytes=_MEMORY_BYTES) as journal:
        while number < _BEFORE:
            await append(journal, 12, _BEFORE)
    spoil(path, dice)

    got: dict[str, list[tuple[int, Message]]] = {"kafka": [], "mqtt": []}
    async with opening(memory_max_bytes=_MEMORY_BYTES) as journal:
        while number < _ALL or any(journal.lag(sink).events for sink in got):
            if number < _ALL and dice.random() < 0.6:
                await append(journal, 30, _ALL)
            sink = dice.choice(["kafka", "kafka", "mqtt"])
            if not journal.lag(sink).events:
                continue
            page = await read(journal, sink, dice)
            settled = len(page.seqs) if dice.random() < 0.6 else dice.randrange(len(page.seqs))
            got[sink] += zip(page.seqs[:settled], page.messages[:settled], strict=True)
            await journal.settle(sink, page, settled, {})
        balance = journal.imbalances()

    told = [checked(one) for one in got.values()]
    assert told[0] == told[1]
    assert all(balance[sink] == len(events) for sink, events in got.items())
