"""The long runs: what takes minutes, and an hour where a promise is about an hour."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from sinks.kafka import KafkaConfig
from sinks.kafka import plugin as kafka_plugin
from sinks.mqtt import plugin as mqtt_plugin
from sinks.mqtt.config import MqttConfig
from tests.brokers import KafkaBroker, MqttBroker
from tests.brokers.cluster import KafkaCluster
from tests.chaos import (
    coverage,
    crashes,
    damage,
    deaf,
    discards,
    disk,
    leaders,
    neighbour,
    poison,
    power,
    rotation,
    soak,
    states,
    versions,
)
from tests.chaos.trial import Report
from tests.chaos.vandalism import KINDS
from tests.chaos.zombies import haunt

__all__ = ["LONG_RUNS", "LongRun"]

_ROTATIONS = 100
_FORGOTTEN = 20
_CALM_SECONDS = 3600.0
_POWER_CUTS = 50
_DISK_TROUBLES = 20
_KILLS = 200

_DISCARDED_CLIENTS = 1000
_POISON_THOUSANDS = 100
_POISON_RATE = 500
_NEIGHBOUR_ROUNDS = 3
_NEIGHBOUR_SECONDS = 15.0
_WITHHELD_CHANGES = 50_000
_REPEATED_CHANGES = 10_000
_STATE_KEYS = 10_000


class Told(Protocol):
    """What a run came to in a line, and every promise that it broke."""

    @property
    def summary(self) -> str: ...

    @property
    def problems(self) -> Sequence[str]: ...


Run = Callable[[KafkaBroker, MqttBroker, str], Sequence[Told]]


@dataclass(frozen=True, slots=True)
class LongRun:
    """One that is repeated in every round, or is made once; `asked` ones only when they are named."""

    name: str
    run: Run
    each_round: bool = False
    asked: bool = False


def _cover(kafka: KafkaBroker, mqtt: MqttBroker, seed: str) -> list[Report]:
    return [coverage.cover(kafka, mqtt, coverage.LONG, seed)]


def _rotate(kind: rotation.Rotation, kafka: KafkaBroker, mqtt: MqttBroker, _: str) -> list[Report]:
    return [rotation.rotate(kafka, mqtt, kind, _ROTATIONS)]


def _forget(kafka: KafkaBroker, mqtt: MqttBroker, seed: str) -> list[Report]:
    return [deaf.forget(kafka, mqtt, deaf.LOADED, _FORGOTTEN, seed)]


def _forget_sparsely(kafka: KafkaBroker, mqtt: MqttBroker, seed: str) -> list[Report]:
    return deaf.forget_sparsely(kafka, mqtt, _FORGOTTEN, seed)


def _withhold(kafka: KafkaBroker, mqtt: MqttBroker, seed: str) -> list[versions.Outcome]:
    return [versions.withhold(kafka, mqtt, _WITHHELD_CHANGES, seed)]


def _poison(kafka: KafkaBroker, mqtt: MqttBroker, _: str) -> list[poison.Outcome]:
    return [poison.poison(kafka, mqtt, _POISON_THOUSANDS, _POISON_RATE)]


def _repeat(kafka: KafkaBroker, mqtt: MqttBroker, seed: str) -> list[versions.Outcome]:
    modes = ("monotonic", "contiguous")
    return [versions.repeat(kafka, mqtt, mode, _REPEATED_CHANGES, seed) for mode in modes]


def _be_calm(kafka: KafkaBroker, mqtt: MqttBroker, seed: str) -> list[Report]:
    return deaf.be_calm(kafka, mqtt, _CALM_SECONDS, seed)


def _kill(kafka: KafkaBroker, mqtt: MqttBroker, seed: str) -> list[Report]:
    runs = _KILLS // crashes.PER_RUN
    return [crashes.kill(kafka, mqtt, crashes.PER_RUN, f"{seed}/{number}") for number in range(runs)]


def _cut_power(way: power.Way, kafka: KafkaBroker, mqtt: MqttBroker, seed: str) -> list[power.Outcome]:
    return [power.cut_power(kafka, mqtt, way, _POWER_CUTS, seed)]


def _damage(kafka: KafkaBroker, mqtt: MqttBroker, seed: str) -> list[damage.Outcome]:
    return [damage.damage(kafka, mqtt, KINDS, seed)]


def _discard(kafka: KafkaBroker, mqtt: MqttBroker, _: str) -> list[discards.Leftovers]:
    brokers = KafkaConfig(bootstrap_servers=(kafka.bootstrap,), topic_template="discards.{resource}")
    broker = MqttConfig(url=mqtt.url, client_id="discards", base_topic="discards")
    return [
        asyncio.run(discards.discard(kafka_plugin, brokers, _DISCARDED_CLIENTS)),
        asyncio.run(discards.discard(mqtt_plugin, broker, _DISCARDED_CLIENTS)),
    ]


def _soak(plan: soak.Plan, kafka: KafkaBroker, mqtt: MqttBroker, seed: str) -> list[soak.Outcome]:
    return [soak.soak(kafka, mqtt, plan, seed)]


def _haunt(kafka: KafkaBroker, mqtt: MqttBroker, _: str) -> list[haunt.Outcome]:
    with haunt.haunted(kafka, mqtt) as begun:
        return [outcome.result() for outcome in begun.values()]


def _restart_brokers(_kafka: KafkaBroker, _mqtt: MqttBroker, _: str) -> list[leaders.Outcome]:
    cluster = KafkaCluster()
    try:
        with TemporaryDirectory() as folder:
            return [asyncio.run(leaders.under_load(cluster, leaders.restart_one_after_another, Path(folder)))]
    finally:
        cluster.close()


def _keep_states(kafka: KafkaBroker, mqtt: MqttBroker, seed: str) -> list[states.Outcome]:
    return [states.keep(kafka, mqtt, _STATE_KEYS, seed)]


def _stay_a_neighbour(kafka: KafkaBroker, mqtt: MqttBroker, _: str) -> list[neighbour.Neighbour]:
    return [neighbour.measure(kafka, mqtt, _NEIGHBOUR_ROUNDS, _NEIGHBOUR_SECONDS)]


def _trouble(kind: disk.Trouble, kafka: KafkaBroker, mqtt: MqttBroker, seed: str) -> list[disk.Outcome]:
    return [disk.trouble(kafka, mqtt, kind, _DISK_TROUBLES, seed)]


LONG_RUNS = (
    LongRun("coverage", _cover, each_round=True),
    *(LongRun(name, partial(_rotate, kind)) for name, kind in rotation.ROTATIONS.items()),
    LongRun("deaf under load", _forget),
    LongRun("poison", _poison),
    LongRun("withheld versions", _withhold),
    LongRun("repeated changes", _repeat),
    LongRun("discarded clients", _discard),
    LongRun("rolling restart", _restart_brokers),
    LongRun("other sink", _stay_a_neighbour),
    LongRun("zombies", _haunt),
    LongRun("states", _keep_states, each_round=True, asked=True),
    LongRun("kill -9", _kill),
    *(LongRun(name, partial(_cut_power, way)) for name, way in power.WAYS.items()),
    LongRun("damage", _damage, each_round=True),
    *(LongRun(kind.name, partial(_trouble, kind)) for kind in disk.TROUBLES),
    LongRun("deaf under sparse traffic", _forget_sparsely, asked=True),
    LongRun("calm for an hour", _be_calm, asked=True),
    *(LongRun(plan.name, partial(_soak, plan), asked=True) for plan in (soak.TEN_MINUTES, soak.HOUR)),
)
