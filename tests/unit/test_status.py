"""What `/status` and the probes tell."""

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bridge import log
from bridge import status as module
from bridge.admin import Check
from bridge.blind import Sight
from bridge.errors import Rejected, Unavailable
from bridge.health import Heartbeat, Workers
from bridge.journal import Buried, Journal
from bridge.settings import Settings
from bridge.settings.core import Auth, Hub, Subscribe
from bridge.settings.effective import Effective
from bridge.settings.loading import Configuration
from bridge.source import SourceActivity
from bridge.status import Status, journal_numbers
from tests.support import until
from tests.unit.journal.conftest import messages
from tests.unit.loops import link

CANARY = "C4nary-of-the-status"
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


async def test_what_the_alerts_call_for_is_among_the_problems(journal: Journal) -> None:
    """A ledger that does not come out even, and clocks that differ."""
    hub, activity = link("hub"), SourceActivity(clock_offset_seconds=-90.0)
    hub.began()
    parts = (SETTINGS, 0.0, lambda: False, Heartbeat(), activity, hub, {}, journal)
    status = Status(*parts, unbalanced=lambda: ["intake"])

    problems = status.whole()["problems"]

    assert [(problem["part"], problem["level"]) for problem in problems] == [
        ("ledger", "critical"),
        ("clock", "warning"),
    ]


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


async def test_the_status_says_what_is_wrong_with_settings_that_are_not_taken_up(journal: Journal) -> None:
    """For as long as they are there: the alert on it ends after a quarter of an hour, and the next start fails."""
    effective = Effective(Configuration(SETTINGS, {}))
    hub = link("hub")
    hub.began()
    status = Status(
        *(SETTINGS, 0.0, lambda: False, Heartbeat(), SourceActivity(), hub, {}, journal), effective=effective
    )

    effective.reject(["PORTOS_BRIDGE_LOG__LEVEL: should be ..."])

    whole = status.whole()
    assert whole["rejected"] == ["PORTOS_BRIDGE_LOG__LEVEL: should be ..."]
    assert [problem["detail"] for problem in whole["problems"]] == whole["rejected"]
    effective.unanswered = "the settings directory /x"
    assert [problem["detail"] for problem in status.whole()["problems"]] == [*whole["rejected"], effective.unanswered]
    effective.unanswered = ""
    effective.turn_to(effective.configuration, [])
    assert (status.whole()["rejected"], status.whole()["problems"]) == ([], [])


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
    assert journal_numbers(journal)["busy_seconds"] >= 0.1
    mended.set()
    await asking
    await until(lambda: not failing(status.ready()), 5, "the disk is back")


async def test_a_disk_that_answers_one_after_another_is_no_disk_that_does_not_answer(journal: Journal) -> None:
    """Many are served in one go, and each of them is an answer."""
    ends = [threading.Event() for _ in range(3)]
    asking = [journal._ask(lambda _, end=end: end.wait(10)) for end in ends]
    for end, ask in zip(ends[:2], asking[:2], strict=True):
        await until(lambda: journal.busy_seconds > 0.1, 5, "the disk works")
        last_ended_at = time.monotonic()
        end.set()
        await ask

    # The answer may be here before the thread has begun with the next one.
    await until(lambda: journal.busy_seconds <= time.monotonic() - last_ended_at, 5, "busy since the last answer")

    ends[2].set()
    await asking[2]


def status(journal: Journal, **further: Any) -> Mapping[str, Any]:
    """What a bridge with that journal and all its links up tells."""
    hub, sinks = link("hub"), {"kafka": link(), "mqtt": link("sink mqtt")}
    for each in (hub, *sinks.values()):
        each.began()
    return Status(SETTINGS, 0.0, lambda: False, Heartbeat(), SourceActivity(), hub, sinks, journal, **further).whole()


async def test_the_status_tells_of_blind_windows_and_of_the_one_that_is_not_over(journal: Journal) -> None:
    sight = Sight(40.0, "stopped")
    before = status(journal, sight=sight)["hub"]["blind"]
    window = sight.window(43.0)
    assert window is not None
    sight.told(window)

    after = status(journal, sight=sight)["hub"]["blind"]

    assert before == {"now": {"from": 40.0, "cause": "stopped"}, "windows": 0, "seconds": 0.0, "recent": []}
    told = {"from": 40.0, "to": 43.0, "cause": "stopped"}
    assert after == {"now": None, "windows": 1, "seconds": 3.0, "recent": [told]}


async def test_the_status_counts_open_gaps_by_resource_and_says_since_when(journal: Journal) -> None:
    told = [("tickets", 9.0), ("orders", 7.0), ("tickets", 8.0)]

    whole = status(journal, gaps=lambda: iter(told))

    by_resource = {"orders": {"open": 1, "oldestAt": 7.0}, "tickets": {"open": 2, "oldestAt": 8.0}}
    assert whole["gaps"] == {"open": 3, "resources": by_resource}
    assert (whole["level"], whole["problems"][0]["part"]) == ("warning", "gaps")


async def test_the_status_counts_what_sinks_have_delivered_and_what_they_never_will(journal: Journal) -> None:
    await journal.append(messages(1, 3))
    page = await journal.read("kafka", 3)
    journal.ledger.sinks["kafka"].delivered += 2
    await journal.settle("kafka", page, 3, {1: Buried(Rejected("2 MB", reason="too_large"), 1)})

    whole = status(journal)

    assert whole["sinks"]["kafka"]["deliveredEvents"] == 2
    letters = whole["deadLetters"]
    assert (letters["kafka"]["events"], letters["kafka"]["reasons"]) == (1, {"too_large": 1})
    assert [letters[name]["reasons"] for name in ("mqtt", "journal", "source")] == [{}, {}, {}]


async def test_the_status_says_how_bad_it_is_and_what_to_do(journal: Journal) -> None:
    """In words that hold no secret, also where those of a library do."""
    hub = link("hub")
    hub.ended(Unavailable(f"refused for {CANARY}", reason="unauthorized", hold=True))
    log.redact_for("test of the status", [CANARY])

    whole = Status(SETTINGS, 0.0, lambda: False, Heartbeat(), SourceActivity(), hub, {}, journal).whole()
    log.redact_for("test of the status", [])

    assert (whole["level"], whole["headline"]) == ("critical", whole["problems"][0]["text"])
    assert "AUTH__PASSWORD" in whole["problems"][0]["whatToDo"]
    assert whole["hub"]["lastReason"] == "unauthorized"
    assert "refused for" in whole["problems"][0]["detail"]
    assert CANARY not in str(whole)
