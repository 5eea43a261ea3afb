"""A shop beside the node: the real hub, Kafka and Mosquitto, a load on the hub, and the judge of what arrived.

One shop serves all tests of a run, one after another; the judge looks at all that has been so far.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.brokers import Hub, KafkaBroker, MqttBroker, start_hub, start_kafka, start_mqtt
from tests.chaos.load import SteadyLoad
from tests.chaos.trial import Report, Trial, imbalances
from tests.chaos.wire import Wire
from tests.chaos.world import World
from tests.kubernetes.release import ACCOUNT, Release
from tests.oracle.kafka import KafkaReader
from tests.oracle.life import life_of
from tests.oracle.mqtt import MqttReader
from tests.support import unavailable, wait_until

__all__ = ["RESOURCES", "Shop", "opened"]

RESOURCES = ("tickets", "orders")
_SITE = "default"
_KAFKA_LAG = ("portos_bridge_sink_lag_events", 'sink="kafka"')
_RATE = 200


@dataclass(slots=True)
class _Burst:
    """A load of so many changes at once, as the judge wants to know of it."""

    resources: Sequence[str]
    count: int

    def least(self) -> int:
        return self.count


@dataclass(frozen=True, slots=True)
class Shop:
    """What the pod talks to, each behind a wire at the node's address, since hub and brokers listen on the loopback."""

    hub: Hub
    kafka: KafkaBroker
    mqtt: MqttBroker
    hub_wire: Wire
    kafka_wire: Wire
    mqtt_wire: Wire
    release: Release
    trial: Trial

    def values(self, *, secrets: Mapping[str, str] | None = None, **config: object) -> dict[str, Any]:
        """Give the chart's values for a bridge here, with further settings and secrets."""
        usual = {
            "HUB__URL": self.hub_wire.url,
            "SUBSCRIBE__RESOURCES": ",".join(RESOURCES),
            "SINK__KAFKA__BOOTSTRAP_SERVERS": f"{self.kafka_wire.host}:{self.kafka_wire.port}",
            "SINK__MQTT__URL": f"mqtt://{self.mqtt_wire.host}:{self.mqtt_wire.port}",
        }
        return {"config": usual | config, "hub": {"existingSecret": ACCOUNT}, "secrets": secrets or {}}

    @contextmanager
    def load(self) -> Iterator[None]:
        """Change things steadily, and see the last change arrive at the end."""
        with SteadyLoad(self.hub, [RESOURCES], _RATE) as load:
            self.trial.load = load
            yield
            self.trial.settle()

    def burst(self, count: int, rate: float) -> float:
        """Change so many things, and see the last change arrive; give the seconds from the first to that."""
        began = time.monotonic()
        number = self.hub.burst(count, rate=rate, resources=RESOURCES)
        self.hub.wait_burst(number, 120)
        self.trial.load = _Burst(RESOURCES, count)
        self.trial.world.mark_the_end(RESOURCES)
        return time.monotonic() - began

    def heard(self, count: int) -> None:
        """Wait until so many more changes have arrived over MQTT."""
        self.trial.world.arrived(self.trial.world.mqtt_reader.count() + count)

    @contextmanager
    def hub_away(self) -> Iterator[None]:
        """Break the connections to the hub, and let none in meanwhile."""
        self.hub_wire.down()
        try:
            yield
        finally:
            self.hub_wire.up()

    @contextmanager
    def kafka_away(self) -> Iterator[None]:
        """Kill Kafka, and start it anew afterwards."""
        self.trial.breaks.setdefault("kafka", []).append(time.time())
        self.kafka.kill()
        try:
            yield
        finally:
            self.kafka.restart()

    @contextmanager
    def mqtt_away(self) -> Iterator[None]:
        """Break the connections to Mosquitto, and let none in meanwhile."""
        self.trial.breaks.setdefault("mqtt", []).append(time.time())
        self.mqtt_wire.down()
        try:
            yield
        finally:
            self.mqtt_wire.up()

    def kill_bridge(self) -> None:
        """Kill the bridge's process, with all that it had accepted on record."""
        trial = self.trial
        at, held = self.release.kill_process(trial.world.folder / f"killed-{len(trial.kills)}")
        trial.kills.append(at)
        trial.world.journaled += held

    def judge(self) -> Report:
        """Hold all that the hub has changed against what was told and what arrived."""
        trial, bridge = self.trial, self.release
        wait_until(lambda: bridge.metrics().get(_KAFKA_LAG) == 0, 60, "the bridge has handed all over to Kafka")
        trial.imbalances = imbalances(bridge.metrics())
        trial.lives = [life_of(self.hub)]
        return trial.judge()


@contextmanager
def opened(release: Release) -> Iterator[Shop]:
    """Open a shop for the bridge of a release; all is gone afterwards but the release."""
    with ExitStack() as stack:
        address = release.node.address
        hub = start_hub(KeepAliveSeconds=1)
        stack.callback(hub.close)
        kafka = start_kafka(own=True, real=True, wired_host=address)
        stack.callback(kafka.close)
        if not kafka.wired_port:
            unavailable(
                "kubernetes", f"needs a Kafka with a second port, not a {kafka.level} one: set TEST_KAFKA_BROKER"
            )
        mqtt = start_mqtt(own=True)
        stack.callback(mqtt.close)
        hub_wire, kafka_wire, mqtt_wire = (
            stack.enter_context(Wire(port, address)) for port in (hub.port, kafka.wired_port, mqtt.port)
        )
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="shop-")))
        kafka_reader = stack.enter_context(closing(KafkaReader(kafka.bootstrap)))
        mqtt_reader = stack.enter_context(MqttReader(mqtt.host, mqtt.port, "portos/#"))
        world = World(folder, hub, kafka, mqtt, release, kafka_reader, mqtt_reader)
        trial = Trial(world, hub_wire, _Burst(RESOURCES, 0), _SITE)
        yield Shop(hub, kafka, mqtt, hub_wire, kafka_wire, mqtt_wire, release, trial)
