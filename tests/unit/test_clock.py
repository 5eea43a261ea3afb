"""A clock that is set is noticed at once, and what is known of the hub's clock with it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import pytest

from bridge import clock
from bridge.source import SourceActivity
from tests.support import until

Setting = Callable[[float], None]


@pytest.fixture
async def activity() -> AsyncIterator[SourceActivity]:
    """What is known of a hub whose clock is half a second ahead, while ours is watched."""
    activity = SourceActivity()
    activity.clock_measured(0.5, clock.ahead())
    watching = asyncio.create_task(clock.watch(activity))
    await asyncio.sleep(0)  # it has looked once
    yield activity
    watching.cancel()


@pytest.mark.parametrize(("seconds", "told"), [(3600.0, "forwards by 3600"), (-3600.0, "back by 3600"), (2.0, "by 2")])
async def test_a_clock_that_is_set_moves_away_from_the_hubs(
    seconds: float, told: str, activity: SourceActivity, set_clock: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    """No request is needed to know."""
    set_clock(seconds)

    await until(lambda: told in caplog.text, 5, "it is told")
    assert activity.clock_offset_seconds == pytest.approx(0.5 - seconds, abs=0.1)


async def test_what_is_measured_on_a_clock_that_was_just_set_is_right(
    activity: SourceActivity, set_clock: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    """A login may come before the next look, which must not move it once more."""
    set_clock(3600)
    activity.clock_measured(-3599.5, clock.ahead())

    await until(lambda: "forwards by 3600" in caplog.text, 5, "it is told")

    assert activity.clock_offset_seconds == pytest.approx(-3599.5, abs=0.1)


async def test_a_clock_that_is_slewed_is_followed_without_a_word(
    activity: SourceActivity, set_clock: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for number in range(1, 5):
        set_clock(0.4)
        so_far = 0.5 - 0.4 * number
        await until(lambda so_far=so_far: abs((activity.clock_offset_seconds or 0) - so_far) < 0.1, 5, "it is followed")

    assert caplog.text == ""


async def test_a_hub_whose_clock_is_not_known_stays_so(
    activity: SourceActivity, set_clock: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    activity.clock_measured(None, clock.ahead())

    set_clock(3600)

    await until(lambda: "forwards by 3600" in caplog.text, 5, "it is told")
    assert activity.clock_offset_seconds is None
