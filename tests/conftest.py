"""What all tests share: a scrubbed environment, the brokers of the ladder, and a header that names the rungs taken."""

import os
from collections.abc import Iterator

import hypothesis
import pytest

from tests.brokers import (
    Hub,
    KafkaBroker,
    MqttBroker,
    hub_level,
    kafka_level,
    mqtt_level,
    start_hub,
    start_kafka,
    start_mqtt,
)
from tests.brokers.second_mqtt import second_mqtt_level

_PEERS = ("TEST_DOTNET_BRIDGE", "TEST_NODE_BRIDGE", "TEST_NAIVE_BRIDGE")

for _name in [name for name in os.environ if name.upper().startswith("PORTOS_BRIDGE_")]:
    del os.environ[_name]  # an operator's settings must not reach a test


# Two busy cores are no property of the code; the time-outs of tests are those of pytest.
hypothesis.settings.register_profile("bridge", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("bridge")


def pytest_report_header() -> list[str]:
    """Name the level of each part of the outside world that this run uses."""
    peers = ", ".join(name for name in _PEERS if os.environ.get(name)) or "none"
    return [
        f"brokers: kafka={kafka_level()} mqtt={mqtt_level()},{second_mqtt_level()} hub={hub_level()} peers={peers}",
        f"required: {os.environ.get('TEST_REQUIRE') or 'nothing'}",
    ]


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[KafkaBroker]:
    """A Kafka broker that all tests share: use topic names of your own, never pause or kill it."""
    broker = start_kafka()
    yield broker
    broker.close()


@pytest.fixture(scope="session")
def mqtt_broker() -> Iterator[MqttBroker]:
    """An MQTT broker that all tests share: use topics and client ids of your own, never pause or kill it."""
    broker = start_mqtt()
    yield broker
    broker.close()


@pytest.fixture
def own_kafka_broker() -> Iterator[KafkaBroker]:
    """A Kafka broker for one test, which may pause, kill and restart it."""
    broker = start_kafka(own=True)
    yield broker
    broker.close()


@pytest.fixture
def own_mqtt_broker() -> Iterator[MqttBroker]:
    """An MQTT broker for one test, which may pause, kill and restart it."""
    broker = start_mqtt(own=True)
    yield broker
    broker.close()


@pytest.fixture
def hub() -> Iterator[Hub]:
    """The real ASP.NET Core server, for one test alone: its ledger begins empty."""
    server = start_hub()
    yield server
    server.close()
