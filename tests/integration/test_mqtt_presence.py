"""The installed bridge and real brokers: what they are told of the bridge, in order, and what they say for it."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from tests.brokers import Hub, MqttBroker, start_simulator
from tests.brokers.mqtt5 import MQTT_5, start_mqtt5
from tests.brokers.second_mqtt import HiveMq
from tests.chaos.bridge_process import BridgeProcess
from tests.oracle.notices import NoticeReader, kept
from tests.support import wait_until

pytestmark = [pytest.mark.mqtt, pytest.mark.slow]


@pytest.fixture(scope="module", params=MQTT_5)
def broker(request: pytest.FixtureRequest) -> Iterator[MqttBroker]:
    """One broker for the whole file: topics and client ids are each test's own."""
    started = start_mqtt5(request.param)
    yield started
    started.close()


@pytest.fixture
def shop() -> Iterator[Hub]:
    hub = start_simulator("--rate", "0")
    yield hub
    hub.close()


def settings(hub: Hub, broker: MqttBroker, base: str, **further: str) -> dict[str, str]:
    return {
        "SINKS": "mqtt",
        **hub.login,
        "SUBSCRIBE__RESOURCES": "tickets,orders",
        "SINK__MQTT__URL": broker.url,
        "SINK__MQTT__BASE_TOPIC": base,
        "SINK__MQTT__CLIENT_ID": base,
        **further,
    }


@contextmanager
def bridge(folder: Path, hub: Hub, broker: MqttBroker, base: str, **further: str) -> Iterator[BridgeProcess]:
    folder.mkdir(exist_ok=True)
    process = BridgeProcess(folder, settings(hub, broker, base, **further))
    try:
        yield process
    finally:
        process.kill9()


@contextmanager
def online(
    folder: Path, hub: Hub, broker: MqttBroker, base: str, **further: str
) -> Iterator[tuple[NoticeReader, BridgeProcess]]:
    """Give a reader that was there before the bridge, and a bridge that has said that it is online."""
    with (
        NoticeReader(broker.host, broker.port, base) as reader,
        bridge(folder, hub, broker, base, **further) as process,
    ):
        process.start()
        reader.wait_for_state("online", 10)
        yield reader, process


def name() -> str:
    return f"p{uuid4().hex[:8]}"


def test_the_broker_is_told_first_then_come_the_events_and_last_that_the_bridge_is_gone(
    shop: Hub, broker: MqttBroker, tmp_path: Path
) -> None:
    """On every connection: state, info, health, what waited in the journal; `offline` before DISCONNECT."""
    base = name()
    with online(tmp_path, shop, broker, base) as (reader, process):
        shop.change("tickets")
        wait_until(lambda: reader.heard("resources/tickets"), 10, "the event has arrived")
        assert process.terminate() == 0
        reader.wait_for_state("offline", 5)

    topics = [each.topic for each in reader.heard()]
    assert topics[:3] == ["bridge/state", "bridge/info", "bridge/health"]
    assert topics[-1] == "bridge/state"
    assert reader.states().count("offline") == 1
    assert {each.topic: each.kept for each in reader.heard()} == {
        "bridge/state": True,
        "bridge/info": True,
        "bridge/health": False,
        "resources/tickets": False,
        **({"bridge/resync": False} if "bridge/resync" in topics else {}),
    }
    store = kept(broker.host, broker.port, base)
    assert set(store) == {"bridge/state", "bridge/info"}
    assert store["bridge/state"].document == {"state": "offline"}
    assert {each.content_type for each in store.values()} == {"application/json"}
    assert {each.qos for each in store.values()} == {1}


def test_a_killed_bridge_is_told_to_be_offline_by_the_broker(shop: Hub, broker: MqttBroker, tmp_path: Path) -> None:
    """The will: at once for a kill, since the kernel closes the socket."""
    base = name()
    with online(tmp_path, shop, broker, base) as (reader, process):
        process.kill9()
        reader.wait_for_state("offline", 5)
        process.start()
        reader.wait_for_state("online", 10)

    assert kept(broker.host, broker.port, base)["bridge/state"].content_type == "application/json"


def test_a_broker_that_does_not_answer_does_not_hold_up_the_stop(shop: Hub, broker: MqttBroker, tmp_path: Path) -> None:
    """The last word has the deadline of closing; what the broker then says is for it to say, by the will.

    That is for a bridge that has nothing else to say: an event that waits is worth STOP__DRAIN_SECONDS.
    """
    base = name()
    with online(tmp_path, shop, broker, base, DELIVERY__CLOSE_SECONDS="1") as (reader, process):
        wait_until(lambda: _has_delivered_all(process), 20, "the window of the first start is confirmed")
        broker.pause()
        try:
            begun = time.monotonic()
            assert process.terminate() == 0
            took = time.monotonic() - begun
        finally:
            broker.resume()
        reader.wait_for_state("offline", 20)

    assert took < 10


def test_a_hub_that_is_away_degrades_the_bridge_and_its_return_mends_it(
    shop: Hub, broker: MqttBroker, tmp_path: Path
) -> None:
    """Within three seconds, with the reason in the health."""
    base = name()
    with online(tmp_path, shop, broker, base) as (reader, _):
        shop.kill()
        reader.wait_for_state("degraded", 5)
        wait_until(lambda: reader.heard("bridge/health")[-1].document["because"] == ["hub"], 5, "the reason is told")
        shop.restart()
        reader.wait_for_state("online", 15)


def test_a_broker_that_lost_its_store_is_told_again_within_ten_seconds(
    shop: Hub, broker: MqttBroker, tmp_path: Path
) -> None:
    """State and info are there for whoever asks, as soon as the bridge is back."""
    base = name()
    # HiveMQ may take more than the half minute after which pauses grow.
    with bridge(tmp_path, shop, broker, base, DELIVERY__LONGEST_PAUSE_SECONDS="2") as process:
        process.start()
        broker.restart()  # killed before it saved anything
        wait_until(
            lambda: set(kept(broker.host, broker.port, base)) == {"bridge/state", "bridge/info"},
            10,
            "the retained messages are there again",
        )


@pytest.mark.parametrize("kind", MQTT_5)
def test_a_broker_that_grants_the_events_alone_gets_them_at_once(shop: Hub, tmp_path: Path, kind: str) -> None:
    """Both brokers end the connection over a refused notice: HiveMQ with a reason, Mosquitto 2.0.11 without a word."""
    rights = tmp_path / "acl"
    rights.write_text("topic read #\ntopic write rights/resources/#\ntopic write rights/bridge/resync\n")
    broker = start_mqtt5(kind, f"acl_file {rights}" if kind == "mosquitto" else "")
    if isinstance(broker, HiveMq):  # whose will would be refused as well, and with it the connection
        broker.deny("puback", "rights/bridge/info", "rights/bridge/health")
    try:
        with (
            NoticeReader(broker.host, broker.port, "rights") as reader,
            bridge(tmp_path, shop, broker, "rights") as process,
        ):
            process.start()
            shop.change("tickets")
            wait_until(lambda: reader.heard("resources/tickets"), 10, "the event has arrived")
            log = process.log()
    finally:
        broker.close()

    assert not reader.heard("bridge/info", "bridge/health")
    assert log.count("does not take the") == (2 if kind == "hivemq" else 3)


def test_a_will_that_is_refused_holds_the_sink_and_names_the_setting(
    shop: Hub, broker: MqttBroker, tmp_path: Path
) -> None:
    """The broker refuses the connection for it, and cannot say that it is for the will."""
    if not isinstance(broker, HiveMq):
        pytest.skip("Mosquitto 2.0.11 takes a will that may not be published, and forgets it")
    base = name()
    broker.deny("puback", f"{base}/bridge")
    with bridge(tmp_path, shop, broker, base) as process:
        process.start()
        wait_until(lambda: process.status()["sinks"]["mqtt"]["held"], 20, "the sink is held")
        assert "ANNOUNCE" in process.status()["sinks"]["mqtt"]["lastError"]


@dataclass(frozen=True, slots=True)
class Quarrel:
    """What came of two bridges with one client id: how often each was connected again, and what they said of it."""

    connects: Sequence[float]
    errors: Sequence[str]


@pytest.fixture(scope="module")
def quarrels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[Quarrel]]]:
    """A quarrel on each kind of broker; both at once, since each is a minute of waiting."""
    with ThreadPoolExecutor() as pool:
        yield {kind: pool.submit(quarrel, kind, tmp_path_factory.mktemp(kind)) for kind in MQTT_5}


def quarrel(kind: str, folder: Path) -> Quarrel:
    """Let two bridges have one client id for a minute."""
    base = name()
    with (
        closing(start_mqtt5(kind)) as broker,
        closing(start_simulator("--rate", "0")) as hub,
        bridge(folder / "a", hub, broker, base) as first,
        bridge(folder / "b", hub, broker, base, AUTH__DEVICE_NAME="BRIDGE2") as second,
    ):
        both = (first, second)
        first.start()
        wait_until(lambda: _connects(first) == 1, 10, "the first is connected")
        second.start()
        begun = time.monotonic()
        wait_until(lambda: any("CLIENT_ID" in process.log() and _held(process) for process in both), 20, "an alarm")
        time.sleep(max(0.0, 60 - (time.monotonic() - begun)))
        errors = [text for process in both for text in _errors(process)]
        return Quarrel([_connects(first) - 1, _connects(second)], errors)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", MQTT_5)
def test_two_bridges_of_one_client_id_are_an_alarm_and_no_storm(
    kind: str, quarrels: Mapping[str, Future[Quarrel]]
) -> None:
    """Each is held, says so in the log with the setting's name, and connects three times in a minute at most."""
    found = quarrels[kind].result()
    print(f"{kind}: {found.connects} connections in a minute")

    assert max(found.connects) <= 3
    assert sum(found.connects) >= 2
    assert any("CLIENT_ID" in text for text in found.errors)


def _has_delivered_all(process: BridgeProcess) -> bool:
    accepted = process.metric("portos_bridge_events_accepted_total")
    return accepted > 0 and process.metric("portos_bridge_sink_lag_events", sink="mqtt") == 0


def _errors(process: BridgeProcess) -> list[str]:
    lines = map(json.loads, process.log().splitlines())
    return [line["message"] for line in lines if line["level"] == "error"]


def _connects(process: BridgeProcess) -> float:
    return process.metric("portos_bridge_sink_connects_total", sink="mqtt", result="ok")


def _held(process: BridgeProcess) -> bool:
    return process.metric("portos_bridge_sink_held", sink="mqtt") == 1
