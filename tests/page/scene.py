"""A real bridge between a simulated hub and brokers of its own, each of which can be taken away."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from tests.brokers import Hub, MqttBroker, start_mqtt, start_simulator
from tests.brokers.kafka import KafkaMock
from tests.chaos.bridge_process import BridgeProcess
from tests.support import wait_until

__all__ = ["RESOURCES", "Scene", "scene"]

RESOURCES = ("tickets", "orders", "customers")


@dataclass(frozen=True, slots=True)
class Scene:
    """The parts, all up and the bridge subscribed when it begins."""

    hub: Hub
    kafka: KafkaMock | None
    mqtt: MqttBroker
    bridge: BridgeProcess

    @property
    def url(self) -> str:
        """Give the address of the status page."""
        return f"{self.bridge.url}/"

    def refuse(self, sink: str, count: int) -> None:
        """Have a sink refuse some events for good, for their size; see `_SMALL`."""
        for _ in range(count):
            self.hub.change("orders", size=20_000)
        wait_until(lambda: self.bridge.status()["deadLetters"][sink]["events"] >= count, 20, "dead letters are kept")

    def purge(self) -> None:
        """Throw all dead letters away."""
        done = self.bridge.command("dlq", "purge", "--all", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr


_SMALL = {"SINK__MQTT__MAX_PACKET_BYTES": "8000", "EVENT__OVERSIZE": "dead_letter"}
_TOKEN = {"ADMIN__TOKEN": "token-of-the-status-page"}
"""With which dead letters can be thrown away again."""


@contextmanager
def scene(settings: Mapping[str, str] | None = None, *, kafka: bool = False, rate: float = 0) -> Iterator[Scene]:
    """Start all of it; `rate` is that of the shop, in changes a second."""
    folder = Path(tempfile.mkdtemp(prefix="page-"))
    with ExitStack() as stack:
        stack.callback(rmtree, folder, ignore_errors=True)
        hub = stack.enter_context(closing(start_simulator("--rate", str(rate), "--seed", "7")))
        mqtt = stack.enter_context(closing(start_mqtt(own=True)))
        cluster = stack.enter_context(closing(KafkaMock())) if kafka else None
        own = {
            **hub.login,
            "SUBSCRIBE__RESOURCES": ",".join(RESOURCES),
            "SINKS": "kafka,mqtt" if cluster else "mqtt",
            "SINK__MQTT__URL": mqtt.url,
            **_SMALL,
            **_TOKEN,
        }
        if cluster is not None:
            own["SINK__KAFKA__BOOTSTRAP_SERVERS"] = cluster.bootstrap
        bridge = BridgeProcess(folder, own | dict(settings or {}))
        stack.callback(bridge.kill9)
        bridge.start()
        wait_until(lambda: bridge.status()["level"] == "ok", 20, "all is well")
        yield Scene(hub, cluster, mqtt, bridge)
