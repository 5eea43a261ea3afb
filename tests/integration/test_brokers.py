"""The ladder itself: a broker object that does not do what it says would make every fault test a lie."""

import socket
import time

import pytest
from confluent_kafka import Producer

from tests.brokers import KafkaBroker, MqttBroker

pytestmark = pytest.mark.slow


def _confirmed(bootstrap: str, seconds: float) -> bool:
    reports: list[object] = []
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0, "message.timeout.ms": int(seconds * 1000)})
    producer.produce("ladder", b"x", on_delivery=lambda error, _: reports.append(error))
    producer.flush(seconds + 1)
    return bool(reports) and reports[0] is None  # comparing a KafkaError with None by == is an error (2.16.1)


def _mqtt_connack(broker: MqttBroker, seconds: float) -> bool:
    packet = bytes.fromhex("100f00044d51545405020014000002") + b"ab"
    try:
        with socket.create_connection((broker.host, broker.port), timeout=seconds) as connection:
            connection.sendall(packet)
            return connection.recv(1) == b"\x20"
    except OSError:
        return False


@pytest.mark.kafka
def test_a_paused_kafka_confirms_nothing_and_goes_on_when_resumed(own_kafka_broker: KafkaBroker) -> None:
    """A pause reaches the broker itself, not only the script that started it."""
    assert _confirmed(own_kafka_broker.bootstrap, 10)

    own_kafka_broker.pause()
    frozen = _confirmed(own_kafka_broker.bootstrap, 2)
    own_kafka_broker.resume()

    assert not frozen
    assert _confirmed(own_kafka_broker.bootstrap, 10)


@pytest.mark.mqtt
def test_a_paused_mosquitto_says_nothing_and_goes_on_when_resumed(own_mqtt_broker: MqttBroker) -> None:
    """A pause keeps the port open and the broker silent."""
    assert _mqtt_connack(own_mqtt_broker, 5)

    own_mqtt_broker.pause()
    frozen = _mqtt_connack(own_mqtt_broker, 1)
    own_mqtt_broker.resume()

    assert not frozen
    assert _mqtt_connack(own_mqtt_broker, 5)


@pytest.mark.mqtt
def test_a_killed_mosquitto_comes_back_on_its_port(own_mqtt_broker: MqttBroker) -> None:
    """After a kill nobody listens; after a restart the same address works."""
    own_mqtt_broker.kill()
    gone = not _mqtt_connack(own_mqtt_broker, 1)

    started = time.monotonic()
    own_mqtt_broker.restart()

    assert gone
    assert _mqtt_connack(own_mqtt_broker, 5)
    assert time.monotonic() - started < 15
