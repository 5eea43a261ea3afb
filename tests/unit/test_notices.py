"""What the bridge says of itself: when it is degraded, what it is, and how it is, without a secret."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.errors import Unavailable
from bridge.health import Heartbeat
from bridge.journal import Journal
from bridge.metrics import Catalogue
from bridge.notices import Notices
from bridge.ports import Notice
from bridge.settings import Settings
from bridge.settings.core import Auth, Hub, Subscribe
from bridge.settings.effective import Effective
from bridge.settings.loading import Configuration
from bridge.source import SourceActivity
from bridge.state import States
from bridge.status import Status
from tests.oracle.published import validator
from tests.unit.loops import link
from tests.unit.state.test_publishing import Broker
from tests.unit.state.test_topics import states

CANARY = "C4nary-password-of-the-notices"


def configuration(**further: object) -> Configuration:
    settings = Settings(
        sinks=("kafka", "mqtt"),
        hub=Hub(url="http://127.0.0.1:1"),
        auth=Auth(username="950", password=SecretStr(CANARY), device_name="BRIDGE1"),
        subscribe=Subscribe(resources=("tickets", "orders")),
        **further,
    )
    return Configuration(settings, {})


class Parts:
    """The bridge's links, all up, and the notices as they are for the MQTT sink's broker."""

    def __init__(self, journal: Journal, catalogue: Catalogue, states: States | None = None) -> None:
        self.stopping = False
        self.hub, self.kafka, self.mqtt = link("hub"), link(), link("sink mqtt")
        for each in (self.hub, self.kafka, self.mqtt):
            each.began()
        links = {"kafka": self.kafka, "mqtt": self.mqtt}
        whole = configuration()
        status = Status(
            whole.settings, 0.0, lambda: self.stopping, Heartbeat(), SourceActivity(), self.hub, links, journal, states
        )
        self.report = Notices(Effective(whole), status, catalogue, lambda: 3).report("mqtt")

    @property
    def state(self) -> str:
        return str(document(self.report.state())["state"])

    @property
    def because(self) -> list[str]:
        return list(document(self.report.health())["because"])


def document(notice: Notice) -> Any:
    """Read a notice, which has to be as its published schema says."""
    read = json.loads(notice.body)
    validator(f"bridge.{notice.name}").validate(read)
    return read


@pytest.fixture
def parts(journal: Journal, catalogue: Catalogue) -> Parts:
    return Parts(journal, catalogue)


async def test_a_bridge_whose_hub_and_sinks_are_there_is_online(parts: Parts) -> None:
    """And for no reason degraded."""
    assert (parts.state, parts.because) == ("online", [])


@pytest.mark.parametrize("hold", [False, True])
@pytest.mark.parametrize(("lost", "reason"), [("hub", "hub"), ("kafka", "sink kafka")])
async def test_what_keeps_events_from_a_sink_degrades_the_bridge(
    parts: Parts,
    lost: str,
    reason: str,
    hold: bool,  # noqa: FBT001
) -> None:
    """The hub, or another sink; the health names it."""
    getattr(parts, lost).ended(Unavailable("gone", reason="network", hold=hold))

    assert (parts.state, parts.because) == ("degraded", [reason])


async def test_a_sink_that_is_connected_and_still_held_degrades_the_bridge(parts: Parts) -> None:
    """A topic that may not be written lets the sink connect, and nothing through."""
    parts.kafka.ended(Unavailable("not granted", reason="unauthorized", hold=True))
    parts.kafka.began()

    assert parts.because == ["sink kafka"]


async def test_a_state_store_that_takes_nothing_degrades_the_bridge(
    journal: Journal, catalogue: Catalogue, tmp_path: Path
) -> None:
    """The journal keeps what it has to take, and would be full in the end."""
    found = states(tmp_path, Broker())
    parts = Parts(journal, catalogue, found)
    found.feeder.began()
    assert parts.state == "online"

    found.feeder.ended(Unavailable("no room", reason="storage", hold=True))

    assert (parts.state, parts.because) == ("degraded", ["state store"])


async def test_where_there_are_no_states_their_store_is_no_reason(
    journal: Journal, catalogue: Catalogue, tmp_path: Path
) -> None:
    """Nothing opens it."""
    assert Parts(journal, catalogue, states(tmp_path, None)).state == "online"


async def test_the_broker_that_is_told_is_no_reason_itself(parts: Parts) -> None:
    """It can only be told while it is there; what held it before is over."""
    parts.mqtt.ended(Unavailable("not granted", reason="unauthorized", hold=True))

    assert parts.state == "online"


async def test_a_bridge_that_stops_is_degraded_until_it_is_gone(parts: Parts) -> None:
    """It takes in nothing any more, as `/readyz` says."""
    parts.stopping = True

    assert parts.because == ["running"]


async def test_what_is_over_does_not_degrade_but_is_counted(parts: Parts, catalogue: Catalogue) -> None:
    """Blind windows and gaps."""
    catalogue.count_window("network", 4.5)
    health = document(parts.report.health())

    assert parts.state == "online"
    assert (health["blindSeconds"], health["openGaps"]) == (4.5, 3)


async def test_the_info_says_what_bridge_it_is_and_no_secret(parts: Parts) -> None:
    """Nor does anything else that is told."""
    told = [parts.report.state(), parts.report.info(), parts.report.health()]
    info = document(told[1])

    assert info["subscriptions"] == {
        "resources": ["tickets", "orders"],
        "actions": ["created", "updated", "deleted"],
        "licence": True,
    }
    assert {"version", "site", "host", "startedAt", "configuration"} <= set(info)
    assert not [notice for notice in told if CANARY.encode() in notice.body]
    assert [notice.kept for notice in told] == [True, True, False]
