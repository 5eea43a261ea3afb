"""The hub and the brokers that everything is measured on: started when first asked for, ended all together."""

from contextlib import ExitStack, closing
from types import TracebackType
from typing import Self

from tests.bench.measure import Broker
from tests.brokers import Hub, start_hub, start_kafka, start_mqtt

__all__ = ["KAFKA_JAVA", "MQTT_LOG", "SINKS", "Ground"]

SINKS = ("kafka", "mqtt")
KAFKA_JAVA = "-Xms1g -Xmx1g -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35"
"""Memory and pauses as Kafka's own start scripts have them (4.1.1). With 256 MiB, requests of half a megabyte keep the
collector busy."""
MQTT_LOG = "log_type none\n" + "\n".join(f"log_type {kind}" for kind in ("error", "warning", "notice", "information"))
"""What brokers in use log. Tests have it log each packet, which is four lines a message on the disk of all others."""
_LARGE_BYTES = 8_388_608
_PATIENCE_SECONDS = 900


class Ground:
    """A hub and brokers of our own, which can be frozen; raises pytest's `Skipped` for what cannot be started."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._hub: Hub | None = None
        self._brokers: dict[str, Broker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    @property
    def hub(self) -> Hub:
        """Give the real hub."""
        if self._hub is None:
            self._hub = self._stack.enter_context(closing(start_hub()))
        return self._hub

    def broker(self, sink: str) -> Broker:
        """Give a real broker, which takes records of 3 MB."""
        if sink not in self._brokers:
            started = _kafka() if sink == "kafka" else start_mqtt(own=True, settings=MQTT_LOG)
            self._brokers[sink] = self._stack.enter_context(closing(started))
        return self._brokers[sink]


def _kafka() -> Broker:
    """Start a Kafka that may be frozen for long; its own controller would else take it for dead."""
    patience = f"broker.session.timeout.ms={_PATIENCE_SECONDS * 1000}"
    return start_kafka(own=True, real=True, properties=f"message.max.bytes={_LARGE_BYTES} {patience}", java=KAFKA_JAVA)
