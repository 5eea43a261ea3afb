"""A client that is thrown away leaves nothing behind, in whatever state it was."""

import pytest

from sinks.kafka import KafkaConfig
from sinks.kafka import plugin as kafka
from sinks.mqtt import plugin as mqtt
from sinks.mqtt.config import MqttConfig
from tests.brokers import KafkaBroker, MqttBroker
from tests.chaos.discards import discard

_CLIENTS = 150


@pytest.mark.kafka
async def test_discarded_kafka_producers_leave_nothing(kafka_broker: KafkaBroker) -> None:
    """No task, thread, socket or memory stays, whether it had delivered, was delivering or was connecting."""
    config = KafkaConfig(bootstrap_servers=(kafka_broker.bootstrap,), topic_template="discards.{resource}")

    assert (left := await discard(kafka, config, _CLIENTS)).problems == [], left.summary


@pytest.mark.mqtt
async def test_discarded_mqtt_clients_leave_nothing(mqtt_broker: MqttBroker) -> None:
    """The same over MQTT, whose clients have no thread at all."""
    config = MqttConfig(url=mqtt_broker.url, client_id="discards", base_topic="discards")

    assert (left := await discard(mqtt, config, _CLIENTS)).problems == [], left.summary
