"""Real brokers and a real hub as Python objects: started on a free port, ready when they answer, paused and killed.

The ladder, best rung first: an address given by the environment, a container, a local program, for Kafka librdkafka's
mock cluster; else the test is skipped, or fails where TEST_REQUIRE asks for it.
"""

from tests.brokers.hub import Change, Hub, hub_level, start_hub, start_simulator
from tests.brokers.kafka import KafkaBroker, kafka_level, start_kafka
from tests.brokers.mqtt import MqttBroker, mqtt_level, start_mqtt

__all__ = [
    "Change",
    "Hub",
    "KafkaBroker",
    "MqttBroker",
    "hub_level",
    "kafka_level",
    "mqtt_level",
    "start_hub",
    "start_kafka",
    "start_mqtt",
    "start_simulator",
]
