"""The soak: one process under load for long, with a fault every few seconds, and nothing of it grows.

What is accepted reaches both sinks in order, as a tally shows that needs no memory worth the name; and whenever the
bridge has recovered from a fault it is looked at from outside: memory, file descriptors, threads, tasks.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random

from tests.brokers import KafkaBroker, MqttBroker, start_hub
from tests.chaos import outages
from tests.chaos.trial import QUICK, Trial, imbalances, trial, unbalanced
from tests.chaos.vitals import Vitals, growth, vitals
from tests.chaos.wires import Wires, wired
from tests.chaos.world import WINDOW
from tests.oracle.tally import Tally
from tests.support import wait_until

__all__ = ["HOUR", "SHORT", "TEN_MINUTES", "Outcome", "Plan", "soak"]

_RATE = 500
_LEAST_SHARE = 0.5
_CALM_LAG = 50
_RECOVERY_SECONDS = 60
_LAG = "portos_bridge_sink_lag_events"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long it goes on, how often something breaks, for how long at most, and what the memory may grow by."""

    name: str
    seconds: float
    every_seconds: float
    most_seconds: float
    most_bytes: int


SHORT = Plan("soak of a minute", 60, 6, 1.5, 8 << 20)
TEN_MINUTES = Plan("soak of 10 minutes", 600, 30, 8, 4 << 20)
HOUR = Plan("soak of an hour", 3600, 30, 8, 2 << 20)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to in a line, and every promise that it broke."""

    summary: str
    problems: list[str]
    changes: int


@dataclass(slots=True)
class _Soak:
    trial: Trial
    wires: Wires
    plan: Plan
    dice: Random
    lives: int = 1
    tallies: dict[str, Tally] = field(default_factory=lambda: {"kafka": Tally(), "mqtt": Tally()})
    looks: list[Vitals] = field(default_factory=list)

    def run(self) -> int:
        """Break one thing after another until it has lasted, and give how many were broken."""
        faults: dict[str, Callable[[], None]] = {
            "hub aborts": lambda: outages.hub_aborts(self.trial, self.dice),
            "network breaks": lambda: outages.network_breaks(self.trial, self.dice),
            "network cut": lambda: outages.network_cut(self.trial, self.dice),
            "subscription forgotten": lambda: outages.subscription_forgotten(self.trial, self.dice),
            "hub frozen": partial(self._for_a_while, self.trial.hub_frozen),
            "hub killed": partial(self._for_a_while, self._hub_away),
            "Kafka away": partial(self._for_a_while, partial(self._away, "kafka")),
            "MQTT away": partial(self._for_a_while, partial(self._away, "mqtt")),
            "both away": partial(self._for_a_while, partial(self._away, "kafka", "mqtt")),
            "Kafka frozen": partial(self._for_a_while, partial(_frozen, self.trial.world.kafka)),
            "MQTT frozen": partial(self._for_a_while, partial(_frozen, self.trial.world.mqtt)),
        }
        started, number = time.monotonic(), 0
        names: list[str] = []
        while time.monotonic() - started < self.plan.seconds:
            names = names or self.dice.sample(list(faults), len(faults))
            name = names.pop()
            if name != "hub killed" or self.lives < _lives(self.plan):
                faults[name]()
                number += 1
            wait_until(self._calm, _RECOVERY_SECONDS, f"the bridge has recovered from {name!r}")
            self._take()
            self._look()
            time.sleep(max(0.0, started + number * self.plan.every_seconds - time.monotonic()))
        return number

    def _for_a_while(self, away: Callable[[], "contextmanager[None]"]) -> None:
        with away():
            time.sleep(self.dice.uniform(0.2, self.plan.most_seconds))

    @contextmanager
    def _away(self, *sinks: str) -> Iterator[None]:
        for sink in sinks:
            self.wires[sink].down()
        yield
        for sink in sinks:
            self.wires[sink].up()

    @contextmanager
    def _hub_away(self) -> Iterator[None]:
        with self.trial.load.held():
            self.trial.hub.kill()
            yield
            self.trial.hub.restart()
            self.trial.load.next_life()
            self.lives += 1

    def _calm(self) -> bool:
        return self.trial.hears() and self.trial.world.bridge.metric(_LAG) < _CALM_LAG

    def _take(self) -> None:
        self.tallies["mqtt"].add(self.trial.world.mqtt_reader.take())
        self.tallies["kafka"].add(self.trial.world.kafka_reader.take())

    def _look(self) -> None:
        bridge = self.trial.world.bridge
        self.looks.append(vitals(bridge.pid, time.monotonic(), bridge.status()["process"]["tasks"]))

    def end(self) -> list[str]:
        """Let the load end and stop the bridge in order; say what its own ledger misses."""
        world = self.trial.world
        self.trial.settle()
        missed = imbalances(world.bridge.metrics())
        world.bridge.end()
        self._take()
        kafka, mqtt = self.tallies["kafka"], self.tallies["mqtt"]
        wait_until(lambda: self._take() or not mqtt.lacking(kafka), 10, "MQTT has what Kafka has")
        return unbalanced(missed)


@contextmanager
def _frozen(broker: KafkaBroker | MqttBroker) -> Iterator[None]:
    broker.pause()
    try:
        yield
    finally:
        broker.resume()


def _lives(plan: Plan) -> int:
    return 2 + int(plan.seconds / plan.every_seconds / 11)  # each fault in turn, of which one kills the hub


def soak(kafka: KafkaBroker, mqtt: MqttBroker, plan: Plan, seed: str) -> Outcome:
    """Let a bridge work for as long as planned, and judge what it did and what it became."""
    dice = Random(seed)  # noqa: S311 - the moment of a fault is no secret
    hub = start_hub(KeepAliveSeconds=1)
    try:
        with (
            wired(kafka, mqtt) as (wires, wiring),
            trial(kafka, mqtt, hub, QUICK | wiring, lives=_lives(plan), rate=_RATE) as run,
        ):
            course = _Soak(run, wires, plan, dice)
            started = time.monotonic()
            faults = course.run()
            seconds = time.monotonic() - started
            problems = course.end()
    finally:
        hub.close()
    told, grown = growth(course.looks, plan.most_bytes)
    for sink, tally in course.tallies.items():
        lacking = max(tally.lacking(other) for other in course.tallies.values())
        most = WINDOW[sink] * wires[sink].breaks
        if lacking or tally.disorder or tally.unknown or tally.repeats > most:
            problems.append(
                f"{sink}: {lacking} missing, {tally.disorder} out of order, {tally.unknown} that are no changes,"
                f" {tally.repeats} repeats, at most {most} are allowed"
            )
    changes = course.tallies["mqtt"].changes
    if changes < _LEAST_SHARE * _RATE * seconds:
        problems.append(f"only {changes} changes in {seconds:.0f} s")
    repeats = {sink: tally.repeats for sink, tally in course.tallies.items()}
    summary = f"seed {seed}, {seconds:.0f} s, {faults} faults, {changes} changes, repeats {repeats}; {told}"
    return Outcome(summary, [*problems, *grown], changes)
