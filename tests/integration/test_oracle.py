"""The consumers themselves, on real brokers: an oracle that loses something would accuse the bridge."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bridge.message import attributes
from tests.brokers import Hub, KafkaBroker, MqttBroker
from tests.oracle.hub import HubRecorder
from tests.oracle.kafka import KafkaReader
from tests.oracle.mqtt import MqttReader
from tests.oracle.published import ANYTHING
from tests.oracle.record import Identity
from tests.reference.events import examples
from tests.support import wait_until


@pytest.mark.kafka
def test_the_kafka_reader_gives_every_record_with_its_headers(kafka_broker: KafkaBroker) -> None:
    """Records over several partitions and topics arrive whole, each partition in its order."""
    producer = Producer({"bootstrap.servers": kafka_broker.bootstrap, "log_level": 0, "enable.idempotence": True})
    for number in range(500):
        headers: list[tuple[str, str | bytes | None]] = [("ce_id", str(number)), ("content-type", "application/json")]
        producer.produce(f"oracle.{number % 2}", str(number).encode(), str(number % 7).encode(), headers=headers)
    producer.flush(10)

    with closing(KafkaReader(kafka_broker.bootstrap, "oracle.", contents=ANYTHING)) as reader:
        records = reader.read()
        count = reader.count()

    assert count == 500
    assert sorted(int(record.value) for record in records) == list(range(500))
    assert all(record.attributes == {"id": record.value.decode()} for record in records)
    assert {record.content_type for record in records} == {"application/json"}
    for stream in {record.stream for record in records}:
        values = [int(record.value) for record in records if record.stream == stream]
        assert values == sorted(values)


_ATTRIBUTES = dict(attributes(examples()["a change of a resource"], "default"))
_NO_RESOURCE = b'{"e":"portos.resources.changed","p":{"a":2,"i":{"i":"7","v":1}}}'


@pytest.mark.kafka
def test_the_kafka_reader_does_not_take_what_is_no_published_event(kafka_broker: KafkaBroker) -> None:
    """A notification that does not say what was changed, however sound its attributes are."""
    producer = Producer({"bootstrap.servers": kafka_broker.bootstrap, "log_level": 0})
    headers: list[tuple[str, str | bytes | None]] = [(f"ce_{name}", text) for name, text in _ATTRIBUTES.items()]
    producer.produce("wrong.tickets", _NO_RESOURCE, b"7", headers=[*headers, ("content-type", "application/json")])
    producer.flush(10)

    with (
        closing(KafkaReader(kafka_broker.bootstrap, "wrong.")) as reader,
        pytest.raises(AssertionError, match=r"no valid portos.resources.changed, at p: \"n\" is a required"),
    ):
        reader.read()


def _read_wrong(broker: MqttBroker, base: str) -> None:
    client = Client(CallbackAPIVersion.VERSION2, f"{base}-publisher", protocol=MQTTProtocolVersion.MQTTv5)
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it untyped
    properties.UserProperty = list(_ATTRIBUTES.items())
    with MqttReader(broker.host, broker.port, f"{base}/#", client_id=f"{base}-reader") as reader:
        client.connect(broker.host, broker.port)
        client.loop_start()
        client.publish(f"{base}/x", _NO_RESOURCE, qos=1, properties=properties).wait_for_publish(10)
        client.disconnect()
        client.loop_stop()
        wait_until(lambda: reader.count() == 1, 10, "it has arrived")


@pytest.mark.mqtt
def test_the_mqtt_reader_does_not_take_what_is_no_published_event(mqtt_broker: MqttBroker) -> None:
    """It says so when it is left."""
    with pytest.raises(AssertionError, match=r"1 messages are no published events: .* \"n\" is a required"):
        _read_wrong(mqtt_broker, f"wrong{uuid4().hex}")


def _publish(broker: MqttBroker, numbers: range) -> None:
    client = Client(CallbackAPIVersion.VERSION2, "oracle-publisher", protocol=MQTTProtocolVersion.MQTTv5)
    client.connect(broker.host, broker.port)
    client.loop_start()
    for number in numbers:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        properties.UserProperty = [("id", str(number))]
        client.publish("oracle/x", str(number), qos=1, properties=properties).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


@pytest.mark.mqtt
@pytest.mark.slow
def test_the_mqtt_reader_misses_nothing_over_a_kill_of_the_broker(own_mqtt_broker: MqttBroker) -> None:
    """What is published after the broker's crash and before the reader is back reaches it all the same."""
    with MqttReader(own_mqtt_broker.host, own_mqtt_broker.port, "oracle/#", qos=0, contents=ANYTHING) as reader:
        _publish(own_mqtt_broker, range(50))
        wait_until(lambda: reader.count() == 50, 5, "the first half")
        own_mqtt_broker.save()
        own_mqtt_broker.kill()
        own_mqtt_broker.restart()
        _publish(own_mqtt_broker, range(50, 100))
        wait_until(lambda: reader.count() >= 100, 15, "the second half")

        assert [int(message.value) for message in reader.read()] == list(range(100))
        assert all(message.attributes == {"id": message.value.decode()} for message in reader.read())


def _change(number: int) -> bytes:
    return json.dumps({"p": {"n": "tickets", "a": 2, "i": {"i": str(number), "v": 1}}}).encode()


def _identities(*numbers: int) -> set[Identity]:
    return {Identity("tickets", str(number), 1, "updated") for number in numbers}


def _reader(broker: MqttBroker) -> MqttReader:
    return MqttReader(broker.host, broker.port, "oracle/#", client_id=f"oracle-{uuid4().hex}", contents=ANYTHING)


@contextmanager
def _changes(broker: MqttBroker, numbers: Iterator[int], every_seconds: float) -> Iterator[None]:
    """Publish one change after another in a thread of its own."""
    ended = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, "oracle-publisher", protocol=MQTTProtocolVersion.MQTTv5)

    def publish() -> None:
        for number in numbers:
            if ended.wait(every_seconds):
                return
            client.publish("oracle/x", _change(number), qos=1)

    client.connect(broker.host, broker.port)
    client.loop_start()
    thread = threading.Thread(target=publish, name="changes", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)
        client.disconnect()
        client.loop_stop()


@pytest.mark.mqtt
def test_the_mqtt_reader_waits_while_others_arrive(mqtt_broker: MqttBroker) -> None:
    """A change that comes late behind many others is no loss, however long these take."""
    with (
        _reader(mqtt_broker) as reader,
        _changes(mqtt_broker, iter(range(20)), 0.1),
    ):
        reader.wait_for(_identities(0, 19), quiet_seconds=1)

        assert reader.count() == 20


@pytest.mark.mqtt
def test_the_mqtt_reader_misses_what_never_comes(mqtt_broker: MqttBroker) -> None:
    """A change that does not arrive among the others is missed soon after the last of these, and named."""
    with (
        _reader(mqtt_broker) as reader,
        _changes(mqtt_broker, iter(range(3)), 0.1),
    ):
        since = time.monotonic()
        with pytest.raises(AssertionError, match=r"1 changes have not arrived .* id='7'"):
            reader.wait_for(_identities(0, 2, 7), quiet_seconds=0.5)

    assert time.monotonic() - since < 5


@pytest.mark.mqtt
def test_the_mqtt_reader_does_not_count_what_came_before(mqtt_broker: MqttBroker) -> None:
    """What is waited for has to come behind the place that is given."""
    with (
        _reader(mqtt_broker) as reader,
        _changes(mqtt_broker, iter(range(2)), 0),
    ):
        reader.wait_for(_identities(0, 1))

        with pytest.raises(AssertionError, match="id='0'"):
            reader.wait_for(_identities(0, 1), since=1, quiet_seconds=0.2)


@pytest.mark.hub
def test_the_recorder_has_the_bytes_that_the_hub_sent(hub: Hub) -> None:
    """Every change of the ledger is there, in the hub's own spelling, with its spaceless JSON and raw diacritics."""
    with HubRecorder(hub, ["tickets", "orders"]) as recorder:
        hub.wait_burst(hub.burst(100, rate=0, resources=["tickets", "orders"]), 10)
        wait_until(lambda: len(recorder.read()) == 100, 10, "all recorded")

    bodies = recorder.read()
    assert all(body.startswith(b'{"e":"portos.resources.changed","s":{') for body in bodies)
    assert len(recorder.by_identity()) == 100
    assert {change.sent_to for change in hub.ledger()} == {1}
