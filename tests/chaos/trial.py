"""A bridge under a steady load whose hub, network and self break again and again: what it is judged by afterwards."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from tests.brokers import Hub, KafkaBroker, MqttBroker
from tests.chaos.load import SteadyLoad, Trickle
from tests.chaos.wire import Wire
from tests.chaos.world import CURSOR_LAG, WINDOW, World, opened
from tests.oracle import journal
from tests.oracle.coverage import Coverage, judge_coverage
from tests.oracle.judge import Judgement, judge_accepted
from tests.oracle.kafka import KafkaReader
from tests.oracle.life import Life, life_of
from tests.oracle.record import Received, identities, identity_of_change
from tests.oracle.window import KAFKA_TOPIC
from tests.support import wait_until

__all__ = ["QUICK", "Report", "Trial", "imbalances", "too_few", "trial", "unbalanced"]

QUICK = {
    "HUB__KEEPALIVE_SECONDS": "1",
    "HUB__SILENCE_SECONDS": "3",
    "HUB__CONNECT_SECONDS": "3",
    "HUB__LONGEST_PAUSE_SECONDS": "2",
}
"""Settings under which an outage takes seconds and not minutes; the hub pings once a second."""

_LEAST_ACCEPTED = 0.05
_IMBALANCE = "portos_bridge_ledger_imbalance_events"


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to in a line, and every promise that it broke."""

    summary: str
    problems: Sequence[str]
    coverage: Coverage
    accepted: int


@dataclass(slots=True)
class Trial:
    """What goes on, and what has been."""

    world: World
    wire: Wire
    load: SteadyLoad | Trickle
    site: str
    lives: list[Life] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    stalls: list[tuple[float, float]] = field(default_factory=list)
    breaks: dict[str, list[float]] = field(default_factory=dict)
    """When a sink's connection was broken, by sink; its next session may repeat a window."""
    imbalances: dict[str, float] = field(default_factory=dict)
    """What the bridge's own ledger misses, by stage, over all its lives."""

    @property
    def hub(self) -> Hub:
        return self.world.hub

    @contextmanager
    def hub_away(self) -> Iterator[None]:
        """Kill the hub, and start it anew afterwards: empty, and with other resources.

        What it did between the recording of its life and its end is told by what arrived.
        """
        assert isinstance(self.load, SteadyLoad)
        with self.load.held():
            asked = time.monotonic()
            life = life_of(self.hub)
            self.hub.kill()
            foretold = self.load.foretold(life.ledger, time.time(), time.monotonic() - asked)
            self.lives.append(Life([*life.ledger, *foretold], life.subscriptions))
            yield
            self.hub.restart()
            self.load.next_life()

    @contextmanager
    def hub_frozen(self) -> Iterator[None]:
        """Freeze the hub meanwhile: its sockets stay open and it says nothing."""
        assert isinstance(self.load, SteadyLoad)
        with self.load.held():
            frozen = time.time()
            self.hub.pause()
            try:
                yield
            finally:
                self.hub.resume()
                self.stalls.append((frozen, time.time()))

    def bridge_killed(self) -> None:
        """Kill the bridge, with all that it had accepted on record."""
        self.world.bridge.kill9()
        self.kills.append(time.time())
        copy = journal.copy(self.world.bridge.journal, self.world.folder / f"killed-{len(self.kills)}")
        self.world.journaled += journal.bodies(copy)

    def hears(self) -> bool:
        """Say whether the bridge is subscribed to what the hub changes now, as both of them see it."""
        return self.world.bridge.ready() and self.hub.subscribed(self.load.resources)

    def settle(self) -> None:
        """Let the load end, and see its last change arrive."""
        self.load.end()
        wait_until(self.hears, 60, "the bridge is subscribed")
        self.world.mark_the_end(self.load.resources)

    def finish(self) -> None:
        """Stop the bridge in order."""
        self.imbalances = imbalances(self.world.bridge.metrics())
        self.lives.append(life_of(self.hub))
        self.world.bridge.end()

    def received(self) -> dict[str, Sequence[Received]]:
        """Give all that arrived at each sink, windows among it, once MQTT's consumer has what Kafka's has."""
        site = self.site.encode()
        with closing(KafkaReader(self.world.kafka.bootstrap, KAFKA_TOPIC, besides="-")) as reader:
            told = [record for record in reader.read() if record.key == site]
        changes = self.world.kafka_reader.read()
        wanted = identities(changes)
        wait_until(lambda: wanted <= identities(self.world.mqtt_reader.read()), 10, "MQTT has what Kafka has")
        return {"kafka": [*changes, *told], "mqtt": self.world.mqtt_reader.everything()}

    def judge(self) -> Report:
        """Hold the hub's lives against what was told and what arrived."""
        coverage, judgement = self._judged()
        repeated = {sink: found.repeated for sink, found in judgement.sinks.items()}
        blind = sum(window.seconds for window in coverage.told)
        summary = (
            f"{coverage.changes} changes, {judgement.accepted} accepted, "
            f"{coverage.to_nobody} to nobody, {coverage.unread} unread; {len(coverage.told)} windows of {blind:.1f} s, "
            f"at most {coverage.excess * 1000:.0f} ms too long; repeats {repeated}"
        )
        problems = [f"{what}: {items}" for what, items in coverage.faults().items()]
        problems += [f"{sink}: {what}" for sink, what in judgement.faults().items()]
        problems += unbalanced(self.imbalances)
        for sink, count in repeated.items():
            breaks = len(self.breaks.get(sink, ()))
            most = len(self.kills) * (WINDOW[sink] + CURSOR_LAG) + breaks * WINDOW[sink]
            if count > most:
                after = f"{len(self.kills)} kills and {breaks} breaks"
                problems.append(f"{sink}: {count} repeats after {after}, at most {most} are allowed")
        problems += too_few(self.load.least(), coverage.changes, judgement.accepted)
        return Report(summary, problems, coverage, judgement.accepted)

    def _judged(self) -> tuple[Coverage, Judgement]:
        received = self.received()
        anywhere = set().union(*map(identities, received.values()))
        lives = [_made(life, anywhere) for life in self.lives]
        repeating = [*self.kills, *(at for breaks in self.breaks.values() for at in breaks)]
        coverage = judge_coverage(lives, received, journaled=self.world.journaled, kills=repeating, stalls=self.stalls)
        changes = {"kafka": self.world.kafka_reader.read(), "mqtt": self.world.mqtt_reader.read()}
        return coverage, judge_accepted([life.ledger for life in lives], changes, journaled=self.world.journaled)


def imbalances(metrics: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Give what the bridge's ledger misses, by stage; a bridge that shows no ledger proves nothing."""
    shown = {stage: count for (name, stage), count in metrics.items() if name == _IMBALANCE}
    assert shown, f"there is no {_IMBALANCE}"
    return {stage: count for stage, count in shown.items() if count}


def unbalanced(missed: Mapping[str, float]) -> list[str]:
    """Say what the bridge's ledger misses."""
    return [f"the bridge's ledger misses {count:g} events, {stage}" for stage, count in missed.items()]


def too_few(least: int, changes: int, accepted: int) -> list[str]:
    """Say what a run is not worth: without its load, or with a bridge that heard next to nothing, it proves nothing."""
    found = []
    if changes < least:
        found.append(f"the hub made {changes} changes, its load is {least} at least")
    if accepted < _LEAST_ACCEPTED * least:
        found.append(f"{accepted} changes were accepted, of {changes}")
    return found


def _made(life: Life, anywhere: set[object]) -> Life:
    """Cut off what was foretold of a killed hub and did not come to be, as far as anybody can know."""
    last = max((n for n, c in enumerate(life.ledger) if c.sequence or identity_of_change(c) in anywhere), default=-1)
    return Life(life.ledger[: last + 1], life.subscriptions)


@contextmanager
def trial(
    kafka: KafkaBroker,
    mqtt: MqttBroker,
    hub: Hub,
    settings: Mapping[str, str],
    *,
    lives: int = 1,
    pause: Callable[[], float] | None = None,
    rate: float = 200,
) -> Iterator[Trial]:
    """Start a bridge behind a wire, and the load: so many changes/s, or with a pause before each that `pause` gives.

    The bridge names its site after its topics.
    """
    name = f"t{uuid4().hex[:8]}"
    resources = [(f"tickets{number}", f"orders{number}") for number in range(1, lives + 1)]
    wanted = {"SUBSCRIBE__RESOURCES": ",".join(one for life in resources for one in life), "SITE": name}
    with Wire(hub.port) as wire:
        chosen = {"HUB__URL": wire.url} | wanted | dict(settings)
        with (
            opened(hub, kafka, mqtt, chosen, base=name) as world,
            SteadyLoad(hub, resources, rate) if pause is None else Trickle(hub, resources[0], pause) as load,
        ):
            yield Trial(world, wire, load, name)
