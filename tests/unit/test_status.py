"""What `/status` and the probes tell."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from bridge import status as module
from bridge.admin import Check
from bridge.errors import Unavailable
from bridge.health import Heartbeat, Workers
from bridge.journal import Journal
from bridge.settings import Settings
from bridge.settings.core import Auth, Hub, Subscribe
from bridge.settings.effective import Effective
from bridge.settings.loading import Configuration
from bridge.source import SourceActivity
from bridge.status import Status
from tests.support import until
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


def failing(checks: Sequence[Check]) -> dict[str, str]:
    return {name: text for name, ok, text in checks if not ok}


async def test_a_task_that_ends_before_the_stop_is_named_by_the_liveness_probe(journal: Journal) -> None:
    """Also one that is cancelled, or returns: nothing raises then, and nothing waits for it."""
    workers, stopping = Workers(), asyncio.Event()
    status = Status(
        *(SETTINGS, 0.0, stopping.is_set, Heartbeat(), SourceActivity(), link("hub"), {}, journal), workers=workers
    )
    tasks = {name: asyncio.create_task(asyncio.sleep(60), name=name) for name in ("audit", "sink kafka", "sink mqtt")}
    for task in tasks.values():
        workers.add_task(task)
    before = failing(status.alive())

    tasks["sink mqtt"].cancel()
    await asyncio.wait(tasks.values(), timeout=1, return_when=asyncio.FIRST_COMPLETED)

    assert before == {}
    assert failing(status.alive()) == {"tasks and threads": "task sink mqtt ended: only a restart brings that back"}
    stopping.set()
    assert failing(status.alive()) == {}, "an orderly stop ends them all"
    for task in tasks.values():
        task.cancel()


async def test_a_peer_that_is_away_does_not_fail_the_liveness_probe_nor_a_broker_readiness(journal: Journal) -> None:
    """A restart would cure neither, and would make each of them worse."""
    hub, broker = link("hub"), link("sink mqtt")
    hub.began()
    status = Status(SETTINGS, 0.0, lambda: False, Heartbeat(), SourceActivity(), hub, {"mqtt": broker}, journal)

    broker.ended(Unavailable("the broker is away", reason="network"))

    assert failing(status.alive()) == failing(status.ready()) == {}
    hub.ended(Unavailable("the name hub.example cannot be resolved", reason="network"))
    assert failing(status.alive()) == {}
    (text,) = failing(status.ready()).values()
    assert text == "not subscribed for 0 s, and tried again and again: the name hub.example cannot be resolved"


async def test_readiness_says_what_a_full_journal_means_and_when_the_stop_has_come(journal: Journal) -> None:
    hub, stopping = link("hub"), asyncio.Event()
    hub.began()
    status = Status(SETTINGS, 0.0, stopping.is_set, Heartbeat(), SourceActivity(), hub, {}, journal)
    assert failing(status.ready()) == {}

    journal.room.lacking = "its file system is full"

    assert failing(status.ready())["journal"].startswith("its file system is full, ")
    journal.room.lacking = ""
    assert not journal.room.takes(2**40)
    assert failing(status.ready())["journal"].startswith("full, ")
    stopping.set()
    assert set(failing(status.ready())) == {"journal", "running"}


async def test_a_disk_that_does_not_answer_is_not_writable(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart would not cure it, so it is no matter of liveness."""
    monkeypatch.setattr(module, "_STALLED_SECONDS", 0.1)
    hub, mended = link("hub"), threading.Event()
    hub.began()
    status = Status(SETTINGS, 0.0, lambda: False, Heartbeat(), SourceActivity(), hub, {}, journal)
    assert failing(status.ready()) == {}

    asking = journal._ask(lambda _: mended.wait(10))

    await until(lambda: failing(status.ready()), 5, "the disk is missed")
    assert failing(status.ready())["journal"].startswith("the disk has not answered for 0 s: ")
    assert failing(status.alive()) == {}
    mended.set()
    await asking
    await until(lambda: not failing(status.ready()), 5, "the disk is back")
