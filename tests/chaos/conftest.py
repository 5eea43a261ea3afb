"""Brokers that all fault runs share: they may be paused and killed, and topics are each run's own."""

from collections.abc import Iterator

import pytest

from tests.brokers import KafkaBroker, MqttBroker, start_kafka, start_mqtt


@pytest.fixture(scope="module")
def faulty_kafka() -> Iterator[KafkaBroker]:
    """A Kafka broker that may be paused."""
    broker = start_kafka(own=True)
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def faulty_mqtt() -> Iterator[MqttBroker]:
    """An MQTT broker that may be killed."""
    broker = start_mqtt(own=True)
    yield broker
    broker.close()
