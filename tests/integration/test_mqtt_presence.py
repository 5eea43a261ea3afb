"""The installed bridge and a real broker: what it is told of the bridge, in order, and what it says for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.brokers import Hub, MqttBroker, start_simulator
from tests.chaos.bridge_process import BridgeProcess
from tests.oracle.notices import NoticeReader, kept
from tests.support import wait_until

pytestmark = [pytest.mark.mqtt, pytest.mark.slow]


@pytest.fixture
def shop() -> Iterator[Hub]:
    hub = start_simulator("--rate", "0")
    yield hub
    hub.close()


def settings(hub: Hub, broker: MqttBroker, base: str, **further: str) -> dict[str, str]:
    return {
        "SINKS": "mqtt",
        "HUB__URL": hub.url,
        "AUTH__USERNAME": hub.username,
        "AUTH__PASSWORD": hub.password,
        "AUTH__DEVICE_NAME": "BRIDGE1",
        "SUBSCRIBE__RESOURCES": "tickets,orders",
        "SINK__MQTT__URL": broker.url,
        "SINK__MQTT__BASE_TOPIC": base,
        "SINK__MQTT__CLIENT_ID": base,
        **further,
    }


@contextmanager
def bridge(folder: Path, hub: Hub, broker: MqttBroker, base: str, **further: str) -> Iterator[BridgeProcess]:
    process = BridgeProcess(folder, settings(hub, broker, base, **further))
    try:
        yield process
    finally:
        process.kill9()


def name() -> str:
    return f"p{uuid4().hex[:8]}"


def test_the_broker_is_told_first_then_come_the_events_and_last_that_the_bridge_is_gone(
    shop: Hub, mqtt_broker: MqttBroker, tmp_path: Path
) -> None:
    """On every connection: state, info, health, what waited in the journal; `offline` before DISCONNECT."""
    base = name()
    with (
        NoticeReader(mqtt_broker.host, mqtt_broker.port, base) as reader,
        bridge(tmp_path, shop, mqtt_broker, base) as process,
    ):
        process.start()
        reader.wait_for_state("online", 10)
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
    store = kept(mqtt_broker.host, mqtt_broker.port, base)
    assert set(store) == {"bridge/state", "bridge/info"}
    assert store["bridge/state"].document == {"state": "offline"}
    assert {each.content_type for each in store.values()} == {"application/json"}
    assert {each.qos for each in store.values()} == {1}


def test_a_killed_bridge_is_told_to_be_offline_by_the_broker(
    shop: Hub, mqtt_broker: MqttBroker, tmp_path: Path
) -> None:
    """The will: at once for a kill, since the kernel closes the socket."""
    base = name()
    with (
        NoticeReader(mqtt_broker.host, mqtt_broker.port, base) as reader,
        bridge(tmp_path, shop, mqtt_broker, base) as process,
    ):
        process.start()
        reader.wait_for_state("online", 10)
        process.kill9()
        reader.wait_for_state("offline", 5)
        process.start()
        reader.wait_for_state("online", 10)

    assert kept(mqtt_broker.host, mqtt_broker.port, base)["bridge/state"].content_type == "application/json"


def test_a_hub_that_is_away_degrades_the_bridge_and_its_return_mends_it(
    shop: Hub, mqtt_broker: MqttBroker, tmp_path: Path
) -> None:
    """Within three seconds, with the reason in the health."""
    base = name()
    with (
        NoticeReader(mqtt_broker.host, mqtt_broker.port, base) as reader,
        bridge(tmp_path, shop, mqtt_broker, base) as process,
    ):
        process.start()
        reader.wait_for_state("online", 10)
        shop.kill()
        reader.wait_for_state("degraded", 5)
        wait_until(lambda: reader.heard("bridge/health")[-1].document["because"] == ["hub"], 5, "the reason is told")
        shop.restart()
        reader.wait_for_state("online", 15)


def test_a_broker_that_lost_its_store_is_told_again_within_ten_seconds(
    shop: Hub, own_mqtt_broker: MqttBroker, tmp_path: Path
) -> None:
    """State and info are there for whoever asks, as soon as the bridge is back."""
    base = name()
    with bridge(tmp_path, shop, own_mqtt_broker, base) as process:
        process.start()
        own_mqtt_broker.restart()  # killed before it saved anything
        wait_until(
            lambda: set(kept(own_mqtt_broker.host, own_mqtt_broker.port, base)) == {"bridge/state", "bridge/info"},
            10,
            "the retained messages are there again",
        )
