"""A hub that sends anything: what is bad is counted once and costs its neighbours nothing, no name leaves its place."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.brokers import KafkaBroker, MqttBroker, start_simulator
from tests.chaos.world import World, opened
from tests.oracle.mqtt import MqttReader
from tests.support import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.mqtt, pytest.mark.slow]

_END = b"\x1e"
_DEEP = 50_000
_LARGE = 3_000_000


def _argument(resource: object = "tickets", key: object = "1", version: object = 1, **further: object) -> bytes:
    payload = {"n": resource, "a": 2, "i": {"i": key, "n": resource, "v": version}, "r": []}
    members = {"e": "portos.resources.changed", "ca": "2025-03-04T09:15:27.104Z", "ea": None, "p": payload, **further}
    return json.dumps(members, separators=(",", ":")).encode()


def _event(argument: bytes) -> bytes:
    return b'{"type":1,"target":"OnEvent","arguments":[' + argument + b"]}" + _END


_RECORDS = {
    "invocation": _event(_argument())[:-1],
    "completion": b'{"type":3,"invocationId":"77","result":null}',
    "ping": b'{"type":6}',
    "close": b'{"type":7,"error":"gone","allowReconnect":true}',
    "ack": b'{"type":8,"sequenceId":1}',
    "sequence": b'{"type":9,"sequenceId":1}',
}
BAD = {
    **{f"{kind} cut": record[: len(record) * 2 // 3] + _END for kind, record in _RECORDS.items()},
    **{f"{kind} in an array": b"[" + record + b"]" + _END for kind, record in _RECORDS.items()},
    **{f"{kind} without its last byte": record[:-1] + _END for kind, record in _RECORDS.items()},
    "record null": b"null" + _END,
    "record a number": b"5" + _END,
    "record a text": b'"type"' + _END,
    "type a text": b'{"type":"1"}' + _END,
    "arguments null": b'{"type":1,"target":"OnEvent","arguments":null}' + _END,
    "arguments an object": b'{"type":1,"target":"OnEvent","arguments":{}}' + _END,
    "no arguments": b'{"type":1,"target":"OnEvent","arguments":[]}' + _END,
    "two arguments": _event(_argument() + b"," + _argument()),
    "argument null": _event(b"null"),
    "argument an array": _event(b"[" + _argument() + b"]"),
    "argument cut": _event(_argument()[:60]),
    "event null": _event(_argument(e=None)),
    "event empty": _event(_argument(e="")),
    "payload null": _event(_argument(p=None)),
    "payload an array": _event(_argument(p=[])),
    "resource null": _event(_argument(None)),
    "resource a number": _event(_argument(5)),
    "version a text": _event(_argument(version="4")),
    "not UTF-8": _event(_argument("tickets", "\u00ff").replace(b"\\u00ff", b"\xff\xfe")),
    "half a surrogate in bytes": _event(_argument("tickets", "?").replace(b'"?"', b'"\xed\xa0\x80"')),
    "50,000 levels": _event(b"[" * _DEEP + b"]" * _DEEP),
    "50,000 levels in a field": _event(_argument()[:-1] + b',"x":' + b"[" * _DEEP + b"]" * _DEEP + b"}"),
    "50,000 levels without an end": _event(b"[" * _DEEP),
    "3 MB of nothing": _event(b"x" * _LARGE),
}
NAMES = ("a/b", "+", "#", "$SYS/x", "..", "n" * 300, "", "portos/#", "mPOS Link", "č\u0000ž", "bridge")


@pytest.fixture(scope="module")
def world(faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker) -> Iterator[World]:
    """A bridge on a simulated hub that keeps still until it is told to speak."""
    hub = start_simulator("--rate", "0")
    try:
        with opened(hub, faulty_kafka, faulty_mqtt, base="portos") as made:
            hub.change("tickets", id="first")
            wait_until(lambda: made.kafka_reader.count() == 1, 20, "the first change is in Kafka")
            yield made
    finally:
        hub.close()


def _dead_letters(world: World, sink: str) -> float:
    return world.bridge.metric("portos_bridge_sink_dead_lettered_events_total", sink=sink)


def _invalid(world: World) -> float:
    return world.bridge.metric("portos_bridge_events_invalid_total")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_is_counted_once_and_its_neighbours_arrive(world: World, name: str) -> None:
    """One change before, the bad record, one change after: two arrive on both brokers, over the same connection."""
    connections, invalid = world.connections(), _invalid(world)
    mqtt, kafka = world.mqtt_reader.count(), world.kafka_reader.count()

    before = world.hub.change("tickets", id=f"before {name}")
    world.hub.send(BAD[name])
    after = world.hub.change("tickets", id=f"after {name}")

    wait_until(lambda: world.mqtt_reader.count() >= mqtt + 2, 10, "both neighbours over MQTT")
    wait_until(lambda: world.kafka_reader.count() >= kafka + 2, 10, "both neighbours in Kafka")
    ids = [json.loads(message.value)["p"]["i"]["i"] for message in world.mqtt_reader.last(2)]
    assert ids == [before.id, after.id]
    assert _invalid(world) - invalid == 1
    assert world.connections() == connections


_HARMLESS = {
    "an unknown event": _argument(e="portos.tables.moved", p={"any": [1, 2]}),
    "an unknown field": _argument(key="unknown field", x={"deep": [None]}),
    "an unknown action": _argument(key="unknown action").replace(b'"a":2', b'"a":9'),
}


@pytest.mark.parametrize("name", _HARMLESS)
def test_what_is_unknown_passes_through_untouched(world: World, name: str) -> None:
    """A newer Portos may say more than this bridge knows: it reaches both brokers byte for byte and is not invalid."""
    invalid, kafka = _invalid(world), world.kafka_reader.count()

    world.hub.send(_event(_HARMLESS[name]))

    wait_until(lambda: world.mqtt_reader.last(1)[0].value == _HARMLESS[name], 10, f"{name} over MQTT")
    wait_until(lambda: world.kafka_reader.count() == kafka + 1, 10, f"{name} in Kafka")
    assert _HARMLESS[name] in {record.value for record in world.kafka_reader.read()}
    assert _invalid(world) == invalid


@pytest.mark.parametrize("record", [b'{"type":99}', b'{"type":1,"target":"Other","arguments":[1,2]}', b'{"x":1}', b""])
def test_a_record_of_an_unknown_kind_is_no_event(world: World, record: bytes) -> None:
    """Types and targets that a later SignalR may add are passed over: nothing is counted, the connection stays."""
    connections, invalid, mqtt = world.connections(), _invalid(world), world.mqtt_reader.count()

    world.hub.send(record + _END)
    world.hub.change("tickets", id="after unknown")

    wait_until(lambda: world.mqtt_reader.count() > mqtt, 10, "the neighbour over MQTT")
    assert world.mqtt_reader.count() == mqtt + 1
    assert _invalid(world) == invalid
    assert world.connections() == connections


@pytest.mark.parametrize("name", NAMES, ids=lambda name: f"{name[:10]!r}")
def test_a_hostile_name_never_leaves_its_place(world: World, name: str) -> None:
    """As a resource and as an id it is one level below the resources, and one legal topic of its own in Kafka."""
    bodies = {_argument(name, "1"), _argument("orders", name)}
    with MqttReader(
        world.mqtt.host, world.mqtt.port, "#", client_id=f"everything-{len(name)}{hash(name)}"
    ) as everything:
        for body in bodies:
            world.hub.send(_event(body))
        wait_until(lambda: everything.count() >= 2, 10, "both over MQTT")
        wait_until(lambda: bodies <= {record.value for record in world.kafka_reader.read()}, 10, "both in Kafka")

        assert {message.value for message in everything.read()} == bodies
        for message in everything.read():
            assert re.fullmatch(r"portos/resources/[A-Za-z0-9._~%-]+", message.topic)
    topics = {record.topic for record in world.kafka_reader.read() if record.value in bodies}
    assert len(topics) == 2
    assert all(re.fullmatch(r"portos\.[A-Za-z0-9-]+", topic) and len(topic) <= 249 for topic in topics)


def test_a_resource_named_as_a_topic_of_the_bridge_does_not_reach_it(world: World) -> None:
    """A resource called `licence` is a dead letter of Kafka's, where licences lie, and over MQTT just a change."""
    letters = _dead_letters(world, "kafka"), _dead_letters(world, "mqtt")
    body = _argument("licence", "1")

    world.hub.send(_event(body))
    wait_until(lambda: world.mqtt_reader.last(1)[0].value == body, 10, "it is over MQTT")
    wait_until(lambda: _dead_letters(world, "kafka") == letters[0] + 1, 10, "it is a dead letter of Kafka's")

    assert world.mqtt_reader.last(1)[0].topic == "portos/resources/licence"
    assert _dead_letters(world, "mqtt") == letters[1]
    assert "portos.licence" not in {record.topic for record in world.kafka_reader.read()}


def test_a_notification_too_large_for_kafka_costs_mqtt_nothing(world: World) -> None:
    """3 MB arrive whole over MQTT and as a reference in Kafka, and the next change arrives on both."""
    kafka, letters = world.kafka_reader.count(), (_dead_letters(world, "kafka"), _dead_letters(world, "mqtt"))
    body = _argument(key="large", x="x" * _LARGE)

    world.hub.send(_event(body))
    world.hub.change("tickets", id="after large")

    wait_until(lambda: world.mqtt_reader.last(2)[0].value == body, 20, "3 MB over MQTT")
    wait_until(lambda: world.kafka_reader.count() == kafka + 2, 20, "both changes in Kafka")
    (shed,) = (record for record in world.kafka_reader.read() if "bodyshed" in record.attributes)
    assert json.loads(shed.value)["id"] == json.loads(body)["p"]["i"]["i"]
    assert world.bridge.metric("portos_bridge_sink_shed_events_total") == 1
    assert (_dead_letters(world, "kafka"), _dead_letters(world, "mqtt")) == letters
