"""One bridge between its own hub and the brokers, with the oracle beside it: what every fault run happens in."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from uuid import uuid4

from tests.brokers import Change, Hub, KafkaBroker, MqttBroker
from tests.chaos.bridge_process import BridgeProcess
from tests.oracle.judge import Judgement, judge
from tests.oracle.kafka import KafkaReader
from tests.oracle.mqtt import MqttReader
from tests.oracle.record import Identity, identities, identity_of_change
from tests.support import wait_until

__all__ = ["CURSOR_LAG", "FIRST", "SECOND", "WINDOW", "Load", "World", "opened"]

FIRST = ("tickets", "orders", "stocks")
SECOND = ("articles", "devices", "customers")
"""What the hub changes in its second life: it begins again with version 1, which must not look like a repeat."""
WINDOW = {"kafka": 200, "mqtt": 100}
CURSOR_LAG = 100
"""Less than the bridge has unless told otherwise, so that a repeat too many shows."""


@dataclass(frozen=True, slots=True)
class Load:
    """A burst as the hub was asked for it; the hub fills it in an order that is known beforehand."""

    number: int
    count: int
    resources: Sequence[str]
    ids: int = 100

    def expected(self) -> list[Identity]:
        """Tell which changes it makes, in order, on a hub that starts empty."""
        width = len(self.resources)
        return [
            Identity(self.resources[i % width], f"{i // width % self.ids:024x}", i // width // self.ids + 1, "updated")
            for i in range(self.count)
        ]


@dataclass(slots=True)
class World:
    """The parts of one run. `lives` are the ledgers of hubs that are no more."""

    folder: Path
    hub: Hub
    kafka: KafkaBroker
    mqtt: MqttBroker
    bridge: BridgeProcess
    kafka_reader: KafkaReader
    mqtt_reader: MqttReader
    lives: list[list[Change]] = field(default_factory=list)
    subscriptions: list[list[float]] = field(default_factory=list)
    """When the bridge subscribed, for each life."""
    journaled: list[bytes] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    """Seconds from a hub that can be reached to a confirmed subscription, one for each time."""

    def load(self, count: int, *, rate: float = 200, resources: Sequence[str] = FIRST, size: int = 600) -> Load:
        """Begin a burst."""
        return Load(self.hub.burst(count, rate=rate, size=size, resources=resources), count, resources)

    def arrived(self, count: int, seconds: float = 30) -> None:
        """Wait until so many messages have reached the MQTT consumer."""
        wait_until(lambda: self.mqtt_reader.count() >= count, seconds, f"{count} messages have arrived over MQTT")

    def subscribed(self, *, since: frozenset[str] = frozenset()) -> bool:
        """Say whether a connection, none of `since`, is subscribed to everything."""
        wanted = {f"portos.resources.changed/{name}/updated" for name in (*FIRST, *SECOND)}
        connections = self.hub.state()["connections"]
        return any(line["id"] not in since and wanted <= set(line["topics"]) for line in connections)

    def connections(self) -> frozenset[str]:
        """Name the hub's connections as they are now."""
        return frozenset(line["id"] for line in self.hub.state()["connections"])

    def mark_the_end(self, resources: Sequence[str], *, mark: str = "end", quiet_seconds: float = 60) -> None:
        """Change every resource once more, and see these changes arrive over MQTT, behind all that came before."""
        before = self.mqtt_reader.count()
        marks = {identity_of_change(self.hub.change(name, id=mark)) for name in resources}
        self.mqtt_reader.wait_for(marks, before, quiet_seconds)

    def finish(self, load: Load) -> None:
        """Let a burst end, mark the end in every resource, wait for the marks, and stop the bridge in order."""
        self.hub.wait_burst(load.number, 120)
        wait_until(self.subscribed, 60, "the bridge is subscribed")
        self.mark_the_end(FIRST)
        arrived = len(identities(self.mqtt_reader.read()))
        wait_until(lambda: self.kafka_reader.count() >= arrived, 60, "Kafka has as many records")
        self.subscriptions = [[] for _ in self.lives] + [self.hub.subscriptions()]
        self.lives.append(self.hub.ledger())
        self.bridge.end()

    def judge(
        self, *, tail_seconds: float = 0.0, sent: Mapping[Identity, bytes] | None = None, connections: int = 1
    ) -> Judgement:
        """Hold the ledgers against both consumers, once the MQTT consumer has what Kafka's has, or 5 s later."""
        kafka = self.kafka_reader.read()
        wanted = identities(kafka)
        with suppress(AssertionError):  # what is still not there then is for the judge to name
            wait_until(lambda: wanted <= identities(self.mqtt_reader.read()), 5, "all over MQTT")
        return judge(
            self.lives,
            {"kafka": kafka, "mqtt": self.mqtt_reader.read()},
            sent=sent,
            journaled=self.journaled,
            tail_seconds=tail_seconds,
            connections=connections,
            subscribed=self.subscriptions,
        )


@contextmanager
def opened(
    hub: Hub,
    kafka: KafkaBroker,
    mqtt: MqttBroker,
    settings: Mapping[str, str] | None = None,
    *,
    base: str = "",
    qos: int = 1,
    script: str = "",
) -> Iterator[World]:
    """Start a bridge and the consumers; all is gone afterwards but hub and brokers.

    Topics are below `base`, or below a name of this world's own, so that worlds can share brokers. `qos` is that of the
    MQTT consumer, `script` another console script than the installed one.
    """
    name = base or f"w{uuid4().hex[:8]}"
    folder = Path(tempfile.mkdtemp(prefix="world-"))
    usual = {
        "SINKS": "kafka,mqtt",
        **hub.login,
        "SUBSCRIBE__RESOURCES": ",".join((*FIRST, *SECOND)),
        "SINK__KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap,
        "SINK__KAFKA__TOPIC_TEMPLATE": f"{name}.{{resource}}",
        "SINK__MQTT__URL": mqtt.url,
        "SINK__MQTT__BASE_TOPIC": name,
        "SINK__MQTT__CLIENT_ID": name,
        "SINK__KAFKA__WINDOW_EVENTS": str(WINDOW["kafka"]),
        "SINK__MQTT__WINDOW_EVENTS": str(WINDOW["mqtt"]),
        "DELIVERY__CURSOR_EVERY_EVENTS": str(CURSOR_LAG),
    }
    bridge = BridgeProcess(folder, usual | dict(settings or {}), script)
    contents = [(settings or {}).get("EVENT__CONTENT", "notification")]
    kafka_reader = KafkaReader(kafka.bootstrap, f"{name}.", contents=contents)
    try:
        with MqttReader(
            mqtt.host, mqtt.port, f"{name}/#", client_id=f"oracle-{name}", qos=qos, contents=contents
        ) as mqtt_reader:
            bridge.start()
            yield World(folder, hub, kafka, mqtt, bridge, kafka_reader, mqtt_reader)
    finally:
        bridge.kill9()
        kafka_reader.close()
        rmtree(folder, ignore_errors=True)
