"""A pause that ends early: for what has changed, or for whoever cannot wait any longer."""

import asyncio

import pytest

from bridge import pausing
from bridge.pausing import Pausing, unchanged
from tests.support import until


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pausing, "_LOOK_SECONDS", 0.01)


async def test_a_pause_lasts_its_time_where_nothing_changes() -> None:
    pause, clock = Pausing(), asyncio.get_running_loop().time
    since = clock()

    said = await pause.wait(0.1, unchanged)

    assert said == ""
    assert clock() - since >= 0.1
    assert pause.seconds_left == 0


async def test_what_changes_ends_a_pause() -> None:
    """It is asked for again and again, and whoever waits is told."""
    answers = ["PASSWORD", "", ""]

    async def changed() -> str:
        return answers.pop()

    said = await asyncio.wait_for(Pausing().wait(60, changed), 5)

    assert said == "PASSWORD"
    assert answers == []


async def test_a_pause_that_is_ended_is_over_at_once() -> None:
    """Also for who asks how long it lasts before the one who waits has noticed."""
    pause = Pausing()
    waiting = asyncio.create_task(pause.wait(60, unchanged))
    await until(lambda: pause.seconds_left > 50, 5, "it waits")

    pause.end()

    assert pause.seconds_left == 0
    assert await asyncio.wait_for(waiting, 5) == ""


async def test_ending_no_pause_shortens_none_to_come() -> None:
    pause = Pausing()
    pause.end()

    waiting = asyncio.create_task(pause.wait(60, unchanged))
    await until(lambda: pause.seconds_left > 50, 5, "it waits")
    waiting.cancel()


@pytest.mark.parametrize("seconds", [0.1, 60])
async def test_a_pause_is_over_though_what_it_asks_does_not_answer(seconds: float) -> None:
    """At its end, and when it is ended."""
    pause, asked = Pausing(), asyncio.Event()

    async def changed() -> str:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody answers")

    waiting = asyncio.create_task(pause.wait(seconds, changed))
    await asked.wait()
    if seconds == 60:
        pause.end()

    assert await asyncio.wait_for(waiting, 5) == ""
    assert pause.seconds_left == 0
