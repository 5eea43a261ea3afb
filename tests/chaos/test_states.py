"""State topics: the short form of the run of `tests.chaos.states`, and a broker that loses what it held."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

import pytest

from tests.brokers import KafkaBroker, MqttBroker, start_simulator
from tests.brokers.kafka import GivenKafka
from tests.chaos.states import (
    Resource,
    ended,
    gone_back,
    keep,
    newest,
    notification,
    retained,
    send,
    settings,
)
from tests.chaos.world import FIRST, World, opened
from tests.oracle.mqtt import MqttReader
from tests.support import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.mqtt, pytest.mark.slow, pytest.mark.timeout(240)]

_BACK_SECONDS = 10


@pytest.mark.parametrize("seed", ["1", "4"])
def test_the_last_of_each_resource_is_its_newest_version(
    seed: str, faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker
) -> None:
    """Whatever order, repeats, kills and dead letters that are sent again; and no state is ever seen to go back."""
    outcome = keep(faulty_kafka, faulty_mqtt, 300, seed)
    print(outcome.summary)

    assert outcome.problems == []


@contextmanager
def stated(mqtt: MqttBroker) -> Iterator[tuple[World, str]]:
    """A bridge to MQTT alone that publishes states."""
    name = f"s{uuid4().hex[:8]}"
    hub = start_simulator("--rate", "0")
    own = {key: value for key, value in settings(name).items() if "KAFKA" not in key}
    nowhere = GivenKafka("127.0.0.1:9")
    try:
        with opened(hub, nowhere, mqtt, {"SINKS": "mqtt"} | own, base=name) as world:
            yield world, name
    finally:
        hub.close()


def change(world: World, resources: Sequence[Resource], version: int) -> None:
    send(world.hub, [notification(one, version) for one in resources])
    received = version * len(resources)
    wait_until(lambda: world.bridge.metric("portos_bridge_events_received_total") >= received, 20, "all is received")
    ended(world)


@pytest.mark.parametrize("saved", [False, True], ids=["empty", "old"])
def test_a_broker_that_lost_states_has_the_newest_again_within_10_seconds(
    own_mqtt_broker: MqttBroker, *, saved: bool
) -> None:
    """All of them where its store is empty, the last ones where it comes back with an old one; and none goes back."""
    resources = [Resource(FIRST[number % 3], f"{number:024x}", 2, deleted=number % 5 == 0) for number in range(300)]
    with stated(own_mqtt_broker) as (world, name):
        change(world, resources, 1)
        if saved:
            time.sleep(6)  # for a mark: one is kept every 5 seconds
            own_mqtt_broker.save()
        change(world, resources, 2)
        own_mqtt_broker.kill()
        own_mqtt_broker.restart()
        begun = time.monotonic()
        watch = MqttReader(own_mqtt_broker.host, own_mqtt_broker.port, f"{name}/state/#", client_id=f"watch-{name}")
        with watch:
            wait_until(lambda: retained(own_mqtt_broker, name, 0.2) == newest(resources), _BACK_SECONDS, "all again")
        seconds = time.monotonic() - begun

        print(f"{len(newest(resources))} states are there again {seconds:.1f} s after the broker")
        assert seconds < _BACK_SECONDS
        assert gone_back("mqtt", watch.read()) == []
