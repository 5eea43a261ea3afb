"""What `/status` tells."""

import asyncio

import pytest

from bridge.health import Heartbeat
from bridge.journal import Journal
from bridge.settings import Settings
from bridge.settings.core import Auth, Hub, Subscribe
from bridge.settings.effective import Effective
from bridge.settings.loading import Configuration
from bridge.source import SourceActivity
from bridge.status import Status
from tests.unit.loops import link

SETTINGS = Settings(
    sinks=("none",),
    hub=Hub(url="http://127.0.0.1:1"),
    auth=Auth(username="950", password="secret", device_name="BRIDGE1"),
    subscribe=Subscribe(resources=("tickets",)),
)


@pytest.mark.parametrize("seconds", [None, 0.0, -3.5])
async def test_the_status_tells_how_far_the_hubs_clock_is_ahead(journal: Journal, seconds: float | None) -> None:
    """Not known is something else than not at all."""
    activity = SourceActivity(clock_offset_seconds=seconds)
    status = Status(SETTINGS, 0.0, lambda: False, Heartbeat(), activity, link("hub"), {}, journal)

    assert status.whole()["hub"]["clockOffsetSeconds"] == seconds


async def test_the_status_counts_the_tasks_and_threads_of_the_process(journal: Journal) -> None:
    """What a library leaves behind is seen in these numbers before it is felt."""
    status = Status(SETTINGS, 0.0, lambda: False, Heartbeat(), SourceActivity(), link("hub"), {}, journal)
    before = status.whole()["process"]
    left = [asyncio.create_task(asyncio.sleep(60)) for _ in range(3)]

    after = status.whole()["process"]
    for task in left:
        task.cancel()

    assert after["tasks"] - before["tasks"] == 3
    assert before["threads"] >= 2  # this one and the journal's


async def test_the_status_names_what_waits_for_a_restart(journal: Journal) -> None:
    """By variable, and tells the configuration in effect from others."""
    effective = Effective(Configuration(SETTINGS, {}))
    parts = (SETTINGS, 0.0, lambda: False, Heartbeat(), SourceActivity(), link("hub"), {}, journal)
    status = Status(*parts, effective=effective)
    assert status.whole()["restartNeeded"] == []

    effective.turn_to(effective.configuration, ["PORTOS_BRIDGE_SITE"])

    whole = status.whole()
    assert whole["restartNeeded"] == ["PORTOS_BRIDGE_SITE"]
    assert whole["configuration"] == effective.fingerprint
