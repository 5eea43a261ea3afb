"""Two connections that are being compared when something else happens: what the first one may have missed is told."""

import asyncio
from typing import Literal

import pytest

from tests.unit.model.test_windows import model_time, traffic
from tests.unit.model.verdict import faults_of
from tests.unit.model.virtual import run
from tests.unit.model.world import Faults, ModelHub, World

__all__ = ["model_time"]  # a fixture of these tests too


async def forgotten_in_a_quiet_shop(then: Literal["stop", "end"]) -> World:
    """A change is heard by the second connection alone, which ends or is stopped before that is conclusive."""
    world = World(Faults(recycle_seconds=60.0))
    hub, clock = world.hub, asyncio.get_running_loop().time
    began_at = clock()

    async def changes(*moments: float) -> None:
        for moment in moments:
            await asyncio.sleep(began_at + moment - clock())
            hub.change()

    await changes(1, 12, 24, 36, 48)
    hub.forget()
    await changes(55, 67)
    await asyncio.sleep(1)
    assert len(hub.wires) == 2
    if then == "stop":
        await world.restart(1.0)
    else:
        hub.wires[-1].end(lose=True)
    await changes(75, 85)
    await asyncio.sleep(1)
    await world.close()
    return world


@pytest.mark.parametrize("then", ["stop", "end"])
def test_what_the_second_has_heard_alone_is_no_secret(then: Literal["stop", "end"]) -> None:
    world = run(forgotten_in_a_quiet_shop(then))

    assert faults_of(world) == []
    assert "deaf" in [cause for _, _, cause in world.windows]


async def end_second_ones(hub: ModelHub) -> None:
    """End every second connection soon after it is subscribed."""
    while True:
        await asyncio.sleep(0.01)
        if len(hub.wires) > 1 and hub.wires[-1].subscribed:
            await asyncio.sleep(0.02)  # the bridge knows that it is
            hub.wires[-1].end(lose=True)


async def no_second_one_lives() -> World:
    world = World()
    await asyncio.sleep(0.1)
    await traffic(world.hub, 150, 0.5)
    ending = asyncio.create_task(end_second_ones(world.hub))
    world.hub.forget()
    await traffic(world.hub, 150, 0.5)
    ending.cancel()
    await world.close()
    return world


def test_a_deaf_connection_is_left_though_no_second_one_lives() -> None:
    """It would be deaf for as long as that lasts."""
    world = run(no_second_one_lives())

    assert faults_of(world) == []
    assert len(world.numbers) > 250
