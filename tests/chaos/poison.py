"""Poison among events: what the topic does not take is kept aside, all else goes on, and goes out once it is fixed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from uuid import uuid4

from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from tests.brokers import Hub, KafkaBroker, MqttBroker, start_hub
from tests.chaos.world import FIRST, WINDOW, World, opened
from tests.oracle.kafka import KafkaReader
from tests.oracle.record import Identity, Received, created_at, identity_of, identity_of_change
from tests.support import wait_until

__all__ = ["Outcome", "poison"]

_EVERY = 1_000
_IDS = 100
_LIMIT_BYTES = 100_000
_POISON_BYTES = 200_000
_FIXED_BYTES = 1_000_000
_PARTITIONS = 3
_LONGEST_LAG_SECONDS = 2.0
_REDRIVEN = "portos_bridge_dlq_redriven_events_total"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to in a line, and every promise that it broke; `letters` is how many there were."""

    summary: str
    problems: Sequence[str]
    letters: int


def poison(kafka: KafkaBroker, mqtt: MqttBroker, thousands: int, rate: float) -> Outcome:
    """Make so many thousands of changes, one of each too large for its topic; then raise the limit and retry.

    Every second of the large ones is followed by a newer change of the same resource, so that it is overtaken; the
    others are two versions each of resources that nothing else changes.
    """
    name = f"p{uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    topics = [f"{name}.{resource}" for resource in FIRST]
    _make(admin, topics)
    hub = start_hub()
    try:
        settings = {
            "ADMIN__TOKEN": "the token of the run",
            "EVENT__OVERSIZE": "dead_letter",
            "SINK__KAFKA__DLQ_TOPIC": f"copies-{name}",
        }
        with opened(hub, kafka, mqtt, settings, base=name) as world:
            large = _change(hub, thousands, rate)
            problems = list(_set_aside(world, large, thousands * _EVERY))
            delivered = _first(world.kafka_reader.read()).values()
            lag = _percentile([record.at - created_at(record.value) for record in delivered], 0.99)
            lost = world.bridge.metric("portos_bridge_sink_disconnects_total", sink="kafka")
            problems += [f"lag p99 {lag:.2f} s"] * (lag >= _LONGEST_LAG_SECONDS)
            problems += _copied(kafka, f"copies-{name}", set(large))
            _limit(admin, topics, _FIXED_BYTES)
            problems += _sent_again(world, large, thousands * _EVERY)
            status = world.bridge.terminate()
            problems += [f"the bridge ended with {status}"] * (status != 0)
    finally:
        hub.close()
    told = f"{len(large)} too large, {lost:g} connections lost; lag p99 {lag * 1000:.0f} ms"
    return Outcome(f"{thousands * _EVERY} changes at {rate:g}/s, {told}", problems, len(large))


def _make(admin: AdminClient, topics: Sequence[str]) -> None:
    new = [NewTopic(topic, _PARTITIONS, 1, config={"max.message.bytes": str(_LIMIT_BYTES)}) for topic in topics]
    for future in admin.create_topics(new).values():
        future.result(30)


def _limit(admin: AdminClient, topics: Sequence[str], size: int) -> None:
    """Let larger records through, as an operator does."""
    entry = {"name": "max.message.bytes", "value": str(size), "incremental_operation": AlterConfigOpType.SET}
    resources = [
        ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[ConfigEntry(**entry)]) for topic in topics
    ]
    for future in admin.incremental_alter_configs(resources).values():
        future.result(30)


def _change(hub: Hub, thousands: int, rate: float) -> dict[Identity, bool]:
    """Make the changes; give the large ones, and whether something newer overtakes them."""
    large: dict[Identity, bool] = {}
    for number in range(thousands):
        overtaken = number % 2 == 0
        name = f"{number % _IDS:024x}" if overtaken else f"large-{number // 4}"
        change = hub.change(FIRST[0], id=name, size=_POISON_BYTES)
        large[identity_of_change(change)] = overtaken
        hub.wait_burst(hub.burst(_EVERY - 1, rate=rate, ids=_IDS, resources=FIRST), 120)
    return large


def _set_aside(world: World, large: dict[Identity, bool], changes: int) -> Iterator[str]:
    """Wait until all is settled; say what is wrong with what was delivered and with what was not."""
    wait_until(lambda: world.kafka_reader.count() >= changes - len(large), 120, "all that fits is in Kafka")
    wait_until(lambda: not world.bridge.status()["sinks"]["kafka"]["lagEvents"], 30, "settled")
    letters = world.bridge.metric("portos_bridge_sink_dead_lettered_events_total", sink="kafka", reason="too_large")
    if letters != len(large):
        yield f"{letters:g} dead letters of {len(large)}"
    yield from _wrong(world, changes, set(large))


def _copied(kafka: KafkaBroker, topic: str, large: set[Identity]) -> Iterator[str]:
    """Say what is wrong with the copies of dead letters."""
    with closing(KafkaReader(kafka.bootstrap, topic)) as reader:
        wait_until(lambda: reader.count() >= len(large), 30, "the copies are in their topic")
        copies = reader.read()
    if {identity_of(copy.value) for copy in copies} != large or len(copies) != len(large):
        yield f"{len(copies)} copies of {len(large)} dead letters"
    if wrong := [copy.attributes for copy in copies if copy.attributes.get("bridge-dlq-reason") != "too_large"]:
        yield f"{len(wrong)} copies say another reason: {wrong[0]}"


def _sent_again(world: World, large: dict[Identity, bool], changes: int) -> Iterator[str]:
    """Retry twice with the command; say what is wrong with what came of it."""
    overtaken = {identity for identity, newer in large.items() if newer}
    due = len(large) - len(overtaken)
    said = _dlq(world, "retry", "--sink", "kafka")
    if f"{due} dead letters are sent now" not in said or f"{len(overtaken)} are skipped" not in said:
        yield f"the first retry said {said!r}"
    wait_until(lambda: world.bridge.metric(_REDRIVEN, sink="kafka") >= due, 60, "the letters are sent")
    if world.bridge.metric(_REDRIVEN, sink="kafka", result="delivered") != due:
        yield f"not all letters were delivered: {_dlq(world, 'list')}"
    yield from _wrong(world, changes, overtaken)
    before = world.kafka_reader.count()
    said = _dlq(world, "retry", "--all")
    if "nothing has changed" not in said or world.kafka_reader.count() != before:
        yield f"the second retry changed something: {said!r}"
    if world.bridge.metric("portos_bridge_dlq_events", sink="kafka") != len(overtaken):
        yield f"the letters left are not the overtaken: {_dlq(world, 'list')}"
    if imbalance := world.bridge.metric("portos_bridge_ledger_imbalance_events"):
        yield f"the ledger does not balance: {imbalance:g}"


def _wrong(world: World, changes: int, absent: set[Identity]) -> Iterator[str]:
    """Say what is missing, there against expectation, repeated too often, or out of order in Kafka."""
    records = world.kafka_reader.read()
    first = _first(records)
    expected = {identity_of_change(change) for change in world.hub.ledger()} - absent
    if len(first) != changes - len(absent) or first.keys() != expected:
        missing, false = expected - first.keys(), first.keys() - expected
        yield f"{len(first)} events; missing {sorted(missing)[:3]}, false {sorted(false)[:3]}"
    repeats = len(records) - len(first)
    lost = world.bridge.metric("portos_bridge_sink_disconnects_total", sink="kafka")
    if repeats > lost * WINDOW["kafka"]:
        yield f"{repeats} repeats after {lost:g} connections"
    if disordered := _disordered(first):
        yield f"{len(disordered)} out of order: {disordered[:3]}"


def _first(records: Sequence[Received]) -> dict[Identity, Received]:
    """Give the first record of each event, in their order within a partition."""
    first: dict[Identity, Received] = {}
    for record in records:
        identity = identity_of(record.value)
        if identity is not None:
            first.setdefault(identity, record)
    return first


def _disordered(first: Mapping[Identity, Received]) -> list[Identity]:
    newest: dict[tuple[str, str, str], int] = {}
    wrong = []
    for identity, record in first.items():
        key = record.stream, identity.resource, identity.id
        if identity.version < newest.get(key, 0):
            wrong.append(identity)
        newest[key] = max(identity.version, newest.get(key, 0))
    return wrong


def _dlq(world: World, *words: str) -> str:
    ended = world.bridge.command("dlq", *words)
    return ended.stdout + ended.stderr


def _percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]
