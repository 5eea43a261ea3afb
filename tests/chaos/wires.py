"""The brokers behind wires, so that a sink can be away without a broker being stopped."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.brokers import KafkaBroker, MqttBroker
from tests.chaos.wire import Wire
from tests.support import unavailable, wait_until

__all__ = ["QUICK_SINKS", "Wires", "quiet", "wired"]

QUICK_SINKS = {"DELIVERY__FIRST_PAUSE_SECONDS": "0.1", "DELIVERY__LONGEST_PAUSE_SECONDS": "1"}
"""Settings under which a sink is back soon after its broker."""
_IDLE_SECONDS = 5

Wires = Mapping[str, Wire]
"""A wire for each sink, by the sink's name."""


@contextmanager
def wired(kafka: KafkaBroker, mqtt: MqttBroker) -> Iterator[tuple[Wires, dict[str, str]]]:
    """Put a wire before each broker; give them, and the settings that lead a bridge over them."""
    if not kafka.wired_port:
        unavailable("kafka", f"needs a Kafka with a second port, not a {kafka.level} one: set TEST_KAFKA_BROKER")
    with Wire(kafka.wired_port) as to_kafka, Wire(mqtt.port) as to_mqtt:
        yield (
            {"kafka": to_kafka, "mqtt": to_mqtt},
            {
                "SINK__KAFKA__BOOTSTRAP_SERVERS": f"{to_kafka.host}:{to_kafka.port}",
                "SINK__MQTT__URL": f"mqtt://{to_mqtt.host}:{to_mqtt.port}",
            }
            | QUICK_SINKS,
        )


def quiet(wires: Wires) -> None:
    """Wait until all that a dead bridge had sent is with the brokers."""
    wait_until(lambda: all(wire.idle for wire in wires.values()), _IDLE_SECONDS, "the wires are idle")
