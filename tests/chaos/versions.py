"""What versions say, on the real hub: every withheld change is told, every repeat is dropped, and no more than that."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from random import Random
from uuid import uuid4

from tests.brokers import Change, Hub, KafkaBroker, MqttBroker, start_hub
from tests.chaos.world import FIRST, World, opened
from tests.oracle.hub import HubRecorder
from tests.oracle.kafka import KafkaReader
from tests.oracle.record import Received, identities, identity_of, identity_of_change
from tests.oracle.window import KAFKA_TOPIC
from tests.support import wait_until

__all__ = ["Outcome", "gap_events", "repeat", "settled", "versioned", "withhold"]

_IDS = 40
_WITHHELD_OF = 100
_TENTHS = 10
Version = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to in a line, and every promise that it broke; `count` is how much it was about."""

    summary: str
    problems: Sequence[str]
    count: int


@contextmanager
def versioned(kafka: KafkaBroker, mqtt: MqttBroker, mode: str) -> Iterator[World]:
    """Start a hub and a bridge in one of the modes; its site is named after its topics."""
    name = f"v{uuid4().hex[:8]}"
    hub = start_hub()
    try:
        with opened(hub, kafka, mqtt, {"VERSION__MODE": mode, "SITE": name}, base=name) as world:
            yield world
    finally:
        hub.close()


def withhold(kafka: KafkaBroker, mqtt: MqttBroker, count: int, seed: str) -> Outcome:
    """Make changes of which the hub withholds 1 %; both sinks must tell exactly those that can be known."""
    with versioned(kafka, mqtt, "contiguous") as world:
        _change(world.hub, count, Random(seed))  # noqa: S311 - a schedule
        ledger = world.hub.ledger()
        settled(world, sum(change.sent_to > 0 for change in ledger))
        expected = Counter(_interior(ledger))
        gaps = gap_events(world)
        problems = [problem for name, events in gaps.items() for problem in _told_wrongly(name, events, expected)]
        if _bearing(world.mqtt_reader.read()) != _showing(gaps["mqtt"]):
            problems.append("what bears gapfrom is not what showed the gaps")
        if world.bridge.metric("portos_bridge_gap_missing_events_total") != sum(expected.values()):
            problems.append("gap_missing_events_total is another number")
        if dropped := world.bridge.metric("portos_bridge_events_duplicate_total"):
            problems.append(f"{dropped:g} changes were dropped as repeats")
    withheld = sum(not change.sent_to for change in ledger)
    summary = f"{len(ledger)} changes, {withheld} withheld, {len(expected)} of them between others"
    return Outcome(f"{summary}; {len(gaps['mqtt'])} gaps told", problems, len(expected))


def repeat(kafka: KafkaBroker, mqtt: MqttBroker, mode: str, count: int, seed: str) -> Outcome:
    """Send 30 % of the changes again, soon or late; what is published must be what is distinct."""
    repeats = 0
    with versioned(kafka, mqtt, mode) as world, HubRecorder(world.hub, FIRST) as recorder:
        dice = Random(seed)  # noqa: S311 - a schedule
        for tenth in range(1, _TENTHS + 1):
            world.hub.wait_burst(world.hub.burst(count // _TENTHS, rate=0, ids=_IDS, resources=FIRST), 60)
            heard = _heard(recorder, tenth * count // _TENTHS + repeats)
            repeats += _again(world.hub, heard, count // _TENTHS, dice)
        _received(world, count + repeats)
        settled(world, count)
        ledger = world.hub.ledger()
        published = {"mqtt": world.mqtt_reader.read(), "kafka": world.kafka_reader.read()}
        dropped = world.bridge.metric("portos_bridge_events_duplicate_total")
        gaps = len(gap_events(world)["mqtt"])
    distinct = {identity_of_change(change) for change in ledger}
    problems = [
        f"{name}: {len(records)} published, {len(distinct)} are distinct"
        for name, records in published.items()
        if len(records) != len(distinct) or identities(records) != distinct
    ]
    problems += [f"{dropped:g} dropped of {repeats} repeats"] * (dropped != repeats)
    problems += [f"{gaps} gaps told"] * (gaps > 0)
    return Outcome(f"{mode}: {len(distinct)} distinct changes, {repeats} repeats", problems, repeats)


def settled(world: World, count: int) -> None:
    """Wait until so many changes have reached both consumers, and no more are on their way."""
    world.arrived(count, 120)
    wait_until(lambda: world.kafka_reader.count() >= count, 120, f"{count} changes in Kafka")
    wait_until(lambda: all(not sink["lagEvents"] for sink in world.bridge.status()["sinks"].values()), 30, "settled")


def gap_events(world: World) -> dict[str, list[Received]]:
    """Give what was told of gaps, by sink."""
    site = f"/portos/{world.mqtt_reader.own()[0].topic.partition('/')[0]}"
    with closing(KafkaReader(world.kafka.bootstrap, KAFKA_TOPIC, besides="-")) as reader:
        told = [record for record in reader.read() if record.attributes["source"] == site]
    return {
        "kafka": [record for record in told if ".gap." in record.attributes["type"]],
        "mqtt": [record for record in world.mqtt_reader.own() if record.topic.endswith("/bridge/gap")],
    }


def _change(hub: Hub, count: int, dice: Random) -> None:
    """Make so many changes, of which the hub withholds one in a hundred, wherever it falls."""
    made = 0
    while made < count:
        told = min(dice.randint(_WITHHELD_OF // 2, _WITHHELD_OF * 3 // 2 - 2), count - made)
        hub.wait_burst(hub.burst(told, rate=0, ids=_IDS, resources=FIRST), 60)
        made += told
        if made < count:
            hub.change(dice.choice(FIRST), id=f"{dice.randrange(_IDS):024x}", silent=True)
            made += 1


def _interior(ledger: Sequence[Change]) -> set[Version]:
    """Find what was withheld between two changes of the same resource that were told: only that can be known."""
    first: dict[tuple[str, str], int] = {}
    last: dict[tuple[str, str], int] = {}
    for change in ledger:
        if change.sent_to:
            first.setdefault((change.resource, change.id), change.version)
            last[change.resource, change.id] = change.version
    return {
        (change.resource, change.id, change.version)
        for change in ledger
        if not change.sent_to
        and (change.resource, change.id) in first
        and first[change.resource, change.id] < change.version < last[change.resource, change.id]
    }


def _told_wrongly(sink: str, gaps: Sequence[Received], expected: Counter[Version]) -> Iterator[str]:
    """Say what is wrong with what a sink tells: each missing version once, and nothing else."""
    found: Counter[Version] = Counter()
    for gap in gaps:
        data = json.loads(gap.value)
        after, until, missing = data["fromVersion"], data["toVersion"], data["missing"]
        found.update((data["resource"], data["id"], version) for version in missing)
        whole = (list(range(after + 1, until)), until - after - 1, "version", None)
        if (missing, data["missingEvents"], data["cause"], data["window"]) != whole:
            yield f"{sink}: an event that does not agree with itself: {data}"
    if untold := expected - found:
        yield f"{sink}: {sum(untold.values())} missing versions untold: {list(untold)[:3]}"
    if false := found - expected:
        yield f"{sink}: {sum(false.values())} versions told that were not missing, or twice: {list(false)[:3]}"


def _bearing(records: Sequence[Received]) -> set[tuple[Version, str]]:
    """Name the changes that bear a `gapfrom`, and its value."""
    flagged = [(identity_of(record.value), record.attributes["gapfrom"]) for record in records if _flagged(record)]
    return {((found.resource, found.id, found.version), value) for found, value in flagged if found is not None}


def _flagged(record: Received) -> bool:
    return "gapfrom" in record.attributes


def _showing(gaps: Sequence[Received]) -> set[tuple[Version, str]]:
    """Name the changes that showed the gaps, and the version before each gap."""
    told = [json.loads(gap.value) for gap in gaps]
    return {((data["resource"], data["id"], data["toVersion"]), str(data["fromVersion"])) for data in told}


def _heard(recorder: HubRecorder, count: int) -> list[bytes]:
    wait_until(lambda: len(recorder.read()) >= count, 20, f"the recorder has all {count}")
    return recorder.read()


def _again(hub: Hub, heard: Sequence[bytes], fresh: int, dice: Random) -> int:
    """Send 30 % of what is fresh again: two thirds of it are fresh indeed, the rest are of any age."""
    again = dice.choices(heard[-fresh:], k=fresh * 2 // 10) + dice.choices(heard, k=fresh // 10)
    for body in again:
        hub.raw("OnEvent", json.loads(body))
    return len(again)


def _received(world: World, count: int) -> None:
    wait_until(lambda: world.bridge.metric("portos_bridge_events_received_total") == count, 60, f"{count} are in")
