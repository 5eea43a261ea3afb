"""What a long outage has taken of the disk is given back, and never while events come."""

import asyncio
import time
from pathlib import Path

import pytest

from bridge.errors import StorageFailed
from bridge.journal import shrinking
from bridge.journal.store import Store
from tests.support import until
from tests.unit.journal.conftest import Opening, messages
from tests.unit.journal.test_log import read_all


def size(path: Path) -> int:
    return path.stat().st_size


async def test_the_file_shrinks_again_when_all_is_settled(
    opening: Opening, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shrinking, "_IDLE_SECONDS", 0.02)
    monkeypatch.setattr(shrinking, "_QUIET_SECONDS", 0.0)
    async with opening("kafka") as journal:
        for first in range(1, 12_001, 500):
            await journal.append(messages(first, 500, b"x" * 1000))
        grown = size(path)
        assert grown > 10 * 2**20
        await read_all(journal, "kafka", 12_000)

        task = asyncio.create_task(journal.shrink())
        await until(lambda: size(path) < grown * 2 / 3, 20, "the file is shorter")
        task.cancel()

        await journal.append(messages(12_001, 3))
        assert [m.version for m in await read_all(journal, "kafka", 3)] == [12_001, 12_002, 12_003]


@pytest.mark.parametrize("settles", [False, True], ids=["it is stored", "it is settled"])
async def test_nothing_is_shrunk_soon_after_much_was_done(
    opening: Opening, monkeypatch: pytest.MonkeyPatch, *, settles: bool
) -> None:
    """The next burst would take the same disk again; however slowly it came, or was drained."""
    monkeypatch.setattr(shrinking, "_IDLE_SECONDS", 0.05)
    monkeypatch.setattr(shrinking, "_QUIET_SECONDS", 0.8)
    steps: list[float] = []
    monkeypatch.setattr(Store, "shrink", lambda _: steps.append(time.monotonic()))
    async with opening("kafka") as journal:
        if settles:
            await journal.append(messages(1, 1200))
        task = asyncio.create_task(journal.shrink())
        for first in range(1, 1200, 200):
            await asyncio.sleep(0.12)
            if first == 801:  # a thousand since the start, once this is done
                done_at = time.monotonic()
            if settles:
                await read_all(journal, "kafka", 200)
            else:
                await journal.append(messages(first, 200))

        await until(lambda: steps, 5, "a step once it was quiet for a while")
        task.cancel()

        assert steps[0] - done_at >= 0.8


async def test_a_few_events_now_and_then_do_not_put_it_off(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shrinking, "_IDLE_SECONDS", 0.02)
    monkeypatch.setattr(shrinking, "_QUIET_SECONDS", 0.5)
    steps: list[bool] = []
    monkeypatch.setattr(Store, "shrink", lambda _: steps.append(True))
    async with opening("kafka") as journal:
        task = asyncio.create_task(journal.shrink())
        for number in range(1, 21):
            await journal.append(messages(number, 1))
            await asyncio.sleep(0.05)
        task.cancel()

        assert steps


@pytest.mark.parametrize("settles", [False, True], ids=["stored", "settled"])
async def test_a_shrinking_ends_where_something_is_done(
    opening: Opening, monkeypatch: pytest.MonkeyPatch, *, settles: bool
) -> None:
    """It is at it for minutes after a long outage, and whatever comes shares the one thread with it.

    So does what one sink settles, where another is away.
    """
    monkeypatch.setattr(shrinking, "_IDLE_SECONDS", 0.3)
    monkeypatch.setattr(shrinking, "_QUIET_SECONDS", 0.0)
    steps: list[bool] = []
    monkeypatch.setattr(Store, "shrink", lambda _: steps.append(True) is None)
    async with opening("kafka", "mqtt") as journal:
        await journal.append(messages(1, 10))
        task = asyncio.create_task(journal.shrink())
        await until(lambda: steps, 5, "a first step")

        await (read_all(journal, "kafka", 10) if settles else journal.append(messages(11, 1)))
        await asyncio.sleep(0.05)
        so_far = len(steps)
        await asyncio.sleep(0.1)

        assert len(steps) == so_far
        task.cancel()


async def test_nothing_is_shrunk_while_events_come(
    opening: Opening, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event would wait for it."""
    monkeypatch.setattr(shrinking, "_IDLE_SECONDS", 0.2)
    monkeypatch.setattr(shrinking, "_QUIET_SECONDS", 0.0)
    steps: list[bool] = []
    monkeypatch.setattr("bridge.journal.store.Store.shrink", lambda _: steps.append(True))
    async with opening("kafka") as journal:
        task = asyncio.create_task(journal.shrink())
        for number in range(1, 60):
            await journal.append(messages(number, 1))
            await asyncio.sleep(0.01)
        assert steps == []

        await until(lambda: steps, 5, "a step once it is quiet")
        task.cancel()


async def test_after_a_shrinking_that_failed_nothing_is_accepted(
    opening: Opening, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been the sync: what is written after it proves nothing."""

    def fail(store: Store) -> bool:
        raise StorageFailed("shrinking failed")

    monkeypatch.setattr(shrinking, "_IDLE_SECONDS", 0.02)
    monkeypatch.setattr(shrinking, "_QUIET_SECONDS", 0.0)
    async with opening("kafka") as journal:
        await journal.append(messages(1, 1))
        monkeypatch.setattr(Store, "shrink", fail)
        with pytest.raises(StorageFailed, match="shrinking"):
            await journal.shrink()

        with pytest.raises(StorageFailed, match="shrinking"):
            await journal.append(messages(2, 1))

    async with opening("kafka") as journal:
        assert (journal.head, journal.previous.clean) == (1, False)
