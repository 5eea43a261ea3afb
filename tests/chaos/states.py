"""State topics under everything at once: the last of each resource is its newest version, and none ever goes back.

Versions come in any order and again, some with bodies that the sinks refuse at first, the bridge is killed in between,
and its dead letters are sent again; a consumer of the retained states watches all the time.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import uuid4

from confluent_kafka.admin import AdminClient, NewTopic

from tests.brokers import Hub, KafkaBroker, MqttBroker, start_simulator
from tests.chaos.world import FIRST, World, opened
from tests.oracle.kafka import KafkaReader
from tests.oracle.mqtt import MqttReader
from tests.oracle.record import Received
from tests.support import wait_until

__all__ = [
    "Outcome",
    "Resource",
    "ended",
    "gone_back",
    "keep",
    "newest",
    "notification",
    "retained",
    "send",
    "settings",
]

_SLICES = 6
_KILLED_IN = (1, 3)
_DELETED, _LARGE = 0.2, 0.2
_LIMIT_BYTES, _LARGE_BYTES = 16_384, 20_000
_AT_ONCE = 200
_REDRIVEN = "portos_bridge_dlq_redriven_events_total"
Key = tuple[str, str]
_NOW = datetime(2026, 3, 4, 9, 15, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to in a line, and every promise that it broke."""

    summary: str
    problems: Sequence[str]


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource, its newest version, which of its versions is too large at first, and whether it ends deleted."""

    name: str
    id: str
    newest: int
    large: int = 0
    deleted: bool = False


def settings(name: str) -> Mapping[str, str]:
    """Give what switches states on for a world with such topics."""
    return {
        "SINK__KAFKA__STATE_TOPIC_TEMPLATE": f"portos.state.{name}.{{resource}}",
        "SINK__MQTT__STATE_TOPIC_TEMPLATE": "{base}/state/{resource}/{resource_id}",
        "ADMIN__TOKEN": "a token of the state runs",
    }


def keep(kafka: KafkaBroker, mqtt: MqttBroker, keys: int, seed: str) -> Outcome:
    """Make changes of so many resources, and hold what the brokers keep against the newest versions."""
    dice = Random(seed)  # noqa: S311 - a schedule
    name = f"s{uuid4().hex[:8]}"
    _create(kafka, [f"portos.state.{name}.{resource}" for resource in FIRST])
    resources = [_resource(number, dice) for number in range(keys)]
    mode = dice.choice(("monotonic", "contiguous"))
    own = {"VERSION__MODE": mode, "EVENT__OVERSIZE": "dead_letter"}
    own |= {"SINK__KAFKA__MAX_REQUEST_BYTES": str(_LIMIT_BYTES)}
    own |= {"SINK__MQTT__MAX_PACKET_BYTES": str(_LIMIT_BYTES), "SINK__KAFKA__BATCH_BYTES": str(_LIMIT_BYTES)}
    hub = start_simulator("--rate", "0")
    watch = MqttReader(mqtt.host, mqtt.port, f"{name}/state/#", client_id=f"watch-{name}")
    try:
        with watch, opened(hub, kafka, mqtt, settings(name) | own, base=name) as world:
            sent, redriven = _play(world, list(_schedule(resources, dice)), dice)
            ended(world)
            time.sleep(1)  # what would come after the end, and must not
            problems = [*_wrong_on_kafka(kafka, name, resources), *_wrong_on_mqtt(mqtt, name, resources)]
            problems += gone_back("mqtt", watch.read())
            problems += ["no dead letter was sent again: the run has not tried it"] * (redriven == 0)
    finally:
        hub.close()
    summary = f"{mode}: {keys} resources, {sent} changes in any order, {len(_KILLED_IN)} kills"
    return Outcome(f"{summary}, {redriven:g} letters re-driven; {len(watch.read())} states seen over MQTT", problems)


def _create(kafka: KafkaBroker, topics: Sequence[str]) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    wanted = [NewTopic(topic, 3, 1, config={"cleanup.policy": "compact"}) for topic in topics]
    for made in admin.create_topics(wanted).values():
        made.result(30)


def _resource(number: int, dice: Random) -> Resource:
    newest = dice.randint(2, 4)
    large = dice.randint(1, newest - 1) if dice.random() < _LARGE else 0
    return Resource(FIRST[number % 3], f"{number:024x}", newest, large, deleted=dice.random() < _DELETED)


def _schedule(resources: Sequence[Resource], dice: Random) -> Iterator[bytes]:
    """Yield every version of each resource, some of them twice, in any order."""
    changes = [(one, version) for one in resources for version in range(1, one.newest + 1)]
    changes += dice.sample(changes, len(changes) // 4)
    dice.shuffle(changes)
    return (notification(*change) for change in changes)


def notification(one: Resource, version: int) -> bytes:
    """Write a version of a resource as the hub does, as one record."""
    gone = one.deleted and version == one.newest
    info = {"i": one.id, "n": one.name, "v": version}
    note = "x" * (_LARGE_BYTES if version == one.large else 20)
    at = (_NOW + timedelta(minutes=version)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    payload = {"u": {"u": "1", "d": "P01", "f": None}, "n": one.name, "a": 3 if gone else 2, "i": info}
    event = {"e": "portos.resources.changed", "r": None, "ca": at, "ea": None, "p": payload | {"r": [{"note": note}]}}
    return json.dumps({"type": 1, "target": "OnEvent", "arguments": [event]}).encode() + b"\x1e"


def send(hub: Hub, records: Sequence[bytes]) -> None:
    """Have the hub send records as they are."""
    for first in range(0, len(records), _AT_ONCE):
        hub.send(b"".join(records[first : first + _AT_ONCE]))


def _play(world: World, records: Sequence[bytes], dice: Random) -> tuple[int, float]:
    """Send it all, a slice at a time; what is on its way at a kill is sent again.

    Return how many were sent, and how many dead letters were sent again or found overtaken.
    """
    size = len(records) // _SLICES + 1
    total, redriven = 0, 0.0
    for number in range(_SLICES):
        part = records[number * size : (number + 1) * size]
        if number in _KILLED_IN:
            before = part[: dice.randint(0, len(part))]
            send(world.hub, before)
            total += len(before)
            time.sleep(dice.random())
            redriven += world.bridge.metric(_REDRIVEN)
            world.bridge.kill9()
            _allow_large_ones(world)
            world.bridge.start()
            wait_until(world.subscribed, 20, "subscribed again")
        heard = world.bridge.metric("portos_bridge_events_received_total")
        send(world.hub, part)
        total += len(part)
        _received(world, int(heard) + len(part))
        if number > min(_KILLED_IN):
            retried = world.bridge.command("dlq", "retry", "--all")
            assert retried.returncode == 0, retried.stderr
            wait_until(lambda: not world.bridge.metric("portos_bridge_dlq_marked_events"), 30, "no letter is due")
    return total, redriven + world.bridge.metric(_REDRIVEN)


def _allow_large_ones(world: World) -> None:
    for name in ("SINK__KAFKA__MAX_REQUEST_BYTES", "SINK__MQTT__MAX_PACKET_BYTES"):
        world.bridge._program._environment[f"PORTOS_BRIDGE_{name}"] = "1000000"


def _received(world: World, count: int) -> None:
    metric = "portos_bridge_events_received_total"
    wait_until(lambda: world.bridge.metric(metric) >= count, 120, f"{count} changes have been received")


def ended(world: World) -> None:
    """Wait until every state that is known has been published."""
    wait_until(lambda: _lag(world) == 0, 120, "all states are published")


def _lag(world: World) -> int:
    states = world.bridge.status()["states"]
    return int(states["store"]["lagEvents"]) + sum(sink["lagChanges"] for sink in states["sinks"].values())


def _wrong_on_kafka(kafka: KafkaBroker, name: str, resources: Sequence[Resource]) -> list[str]:
    """Say which keys' last records are not the newest versions, and which went back."""
    with closing(KafkaReader(kafka.bootstrap, f"portos.state.{name}.")) as reader:
        records = reader.read()
    last = {_key(record): record for record in records}
    wrong = [one for one in resources if not _is_newest(last.get((one.name, one.id)), one)]
    return [f"kafka: {len(wrong)} keys do not end with the newest: {wrong[:3]}"] * bool(wrong) + [
        *gone_back("kafka", records)
    ]


def _is_newest(record: Received | None, one: Resource) -> bool:
    if record is None:
        return False
    return record.attributes["resourceversion"] == str(one.newest) and (record.value is None) == one.deleted


def _wrong_on_mqtt(mqtt: MqttBroker, name: str, resources: Sequence[Resource]) -> list[str]:
    """Say which retained states are not the newest versions; what was deleted is not retained."""
    found, expected = retained(mqtt, name, 1.0), newest(resources)
    wrong = [key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)]
    return [f"mqtt: {len(wrong)} retained states are not the newest: {wrong[:3]}"] * bool(wrong)


def newest(resources: Sequence[Resource]) -> Mapping[Key, int]:
    """Give the versions that should be retained."""
    return {(one.name, one.id): one.newest for one in resources if not one.deleted}


def retained(mqtt: MqttBroker, name: str, quiet_seconds: float) -> Mapping[Key, int]:
    """Give the versions that a broker has retained: all that comes until nothing has come for a while."""
    late = f"late-{uuid4().hex[:8]}"
    with MqttReader(mqtt.host, mqtt.port, f"{name}/state/#", client_id=late, retained=True) as reader:
        count = -1
        while count < (count := len(reader.read())):
            time.sleep(quiet_seconds)
        return {_key(record): int(record.attributes["resourceversion"]) for record in reader.read()}


def _key(record: Received) -> Key:
    return record.attributes["resourcename"], record.attributes["resourceid"]


def gone_back(sink: str, records: Sequence[Received]) -> list[str]:
    """Say which resources were seen with a version below one that was seen before."""
    seen: dict[Key, int] = {}
    back = []
    for record in records:
        key, version = _key(record), int(record.attributes["resourceversion"])
        if version < seen.get(key, 0):
            back.append((key, seen[key], version))
        seen[key] = version
    return [f"{sink}: {len(back)} states went back: {back[:3]}"] * bool(back)
