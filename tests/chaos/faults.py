"""The faults, each as one run: begin a load, break something, mend it, and let the load end.

A fault says what the judge may allow: a tail lost on the wire where a hub connection ended, and repeats where a session
with a broker or the process itself ended (W a session, W + C a kill).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from random import Random

from tests.brokers import Change
from tests.chaos.world import CURSOR_LAG, FIRST, SECOND, WINDOW, Load, World
from tests.oracle import journal
from tests.oracle.record import identities, identity_of_change
from tests.support import wait_until

__all__ = ["FAULTS", "Fault"]

_CRASH = {sink: window + CURSOR_LAG for sink, window in WINDOW.items()}
_NONE = dict.fromkeys(WINDOW, 0)
_KILLS = 5
_UNHARMED_SECONDS = 2.0
_START_SECONDS = 10.0  # a process start on a busy machine; the hub itself was never away


@dataclass(frozen=True, slots=True)
class Fault:
    """What is broken, how, and what it may cost."""

    name: str
    run: Callable[[World, Random], Load]
    repeats: Mapping[str, int]
    """The most repeats that a sink's consumer may see."""
    tail_seconds: float = 0.0
    """How long the tail may be that a connection loses when it ends; 0 where the hub's connection is not touched."""
    hub_options: Mapping[str, object] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    recovery_seconds: float = 5.0
    """The longest time from a hub that can be reached to a confirmed subscription."""


def bridge_killed(world: World, dice: Random) -> Load:
    """Kill the bridge five times in a row at a random moment of the load, and start it anew at once."""
    load = world.load(5000)
    for number in range(_KILLS):
        world.arrived(world.mqtt_reader.count() + dice.randint(100, 400))
        world.bridge.kill9()
        world.journaled += journal.bodies(journal.copy(world.bridge.journal, world.folder / f"killed-{number}"))
        started = time.monotonic()
        world.bridge.start()
        world.recoveries.append(time.monotonic() - started)
    return load


def hub_killed(world: World, dice: Random) -> Load:
    """Kill the hub, leave it away for some seconds, and start it anew: empty, with a new key for its tokens."""
    first = world.load(10_000)
    world.arrived(dice.randint(300, 600))
    ledger = world.hub.ledger()
    world.hub.kill()
    world.lives.append(ledger + _foretold(first, ledger))
    time.sleep(dice.uniform(2, 6))
    world.hub.restart()
    _recovered(world, frozenset())
    return world.load(1000, resources=SECOND)


def _foretold(load: Load, ledger: list[Change]) -> list[Change]:
    """Tell what the hub went on to change between the reading of its ledger and its end.

    Whether it came to send these is not known: `sent_to` is 0, so they are not owed, but what arrives is no invention.
    """
    now = time.time()
    return [Change(0, now, *identity, 0) for identity in load.expected()[len(ledger) :]]


def hub_aborts(world: World, dice: Random) -> Load:
    """Abort every connection three times: a Close without allowReconnect."""
    load = world.load(2500)
    for _ in range(3):
        world.arrived(world.mqtt_reader.count() + dice.randint(100, 400))
        before = world.connections()
        world.hub.disconnect()
        _recovered(world, before)
    return load


def hub_frozen(world: World, dice: Random) -> Load:
    """Freeze the hub until the bridge has given the connection up, longer by some seconds, and thaw it."""
    load = world.load(2000)
    world.arrived(dice.randint(100, 400))
    before = world.connections()
    world.hub.pause()
    wait_until(lambda: not world.bridge.ready(), 15, "the bridge has noticed the silence")
    time.sleep(dice.uniform(1, 5))
    world.hub.resume()
    _recovered(world, before)
    return load


def _recovered(world: World, before: frozenset[str]) -> None:
    reachable = time.monotonic()
    wait_until(lambda: world.subscribed(since=before), 40, "the bridge is subscribed again")
    world.recoveries.append(time.monotonic() - reachable)


def token_expires(world: World, dice: Random) -> Load:
    """Do nothing: the hub's tokens live for 5 s, and it closes a connection when its token expires."""
    load = world.load(4000)
    world.hub.wait_burst(load.number, 60)
    wait_until(world.subscribed, 10, "the bridge is subscribed")
    log = sorted(world.hub.state()["log"], key=lambda entry: str(entry["at"]))
    moments = [(entry["what"], _seconds(entry["at"])) for entry in log if entry["what"] != "connected"]
    for (what, at), (then, later) in pairwise(moments):
        if (what, then) == ("disconnected", "subscribed"):
            world.recoveries.append(later - at)
    assert world.recoveries, "no connection was closed for its token"
    return load


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def kafka_frozen(world: World, dice: Random) -> Load:
    """Freeze Kafka for 30 s; MQTT must not notice."""
    load = world.load(8000)
    world.arrived(dice.randint(200, 600))
    world.kafka.pause()
    frozen = time.time()
    time.sleep(30)
    thawed, arrived = time.time(), identities(world.mqtt_reader.read())
    world.kafka.resume()
    sent = [change for change in world.hub.ledger() if frozen < change.at < thawed - _UNHARMED_SECONDS]
    late = [change for change in sent if identity_of_change(change) not in arrived]
    assert len(sent) > 1000, f"only {len(sent)} changes while Kafka was frozen"
    assert not late, f"{len(late)} of {len(sent)} changes were not over MQTT while Kafka was frozen, first {late[0]}"
    return load


def mosquitto_killed(world: World, dice: Random) -> Load:
    """Kill Mosquitto and start it anew after 10 s; its sessions were saved, so that the consumer misses nothing."""
    world.mqtt.save()
    load = world.load(4000)
    world.arrived(dice.randint(200, 600))
    world.mqtt.kill()
    time.sleep(10)
    world.mqtt.restart()
    return load


FAULTS = (
    Fault(
        "bridge killed 5 times",
        bridge_killed,
        {sink: most * _KILLS for sink, most in _CRASH.items()},
        1.0,
        recovery_seconds=_START_SECONDS,
    ),
    Fault("hub killed and back", hub_killed, _NONE, 1.0),
    Fault("hub aborts all", hub_aborts, _NONE, 1.0),
    Fault(
        "hub frozen and thawed",
        hub_frozen,
        _NONE,
        12.0,  # what the hub held when it froze was lost with the connection, before the seconds it was frozen
        hub_options={"KeepAliveSeconds": 1},
        settings={"HUB__KEEPALIVE_SECONDS": "1", "HUB__SILENCE_SECONDS": "3"},
    ),
    Fault("token of 5 s", token_expires, _NONE, 1.0, hub_options={"TokenLifetimeSeconds": 5, "CloseOnExpiry": "true"}),
    Fault("Kafka frozen 30 s", kafka_frozen, {"kafka": 2 * WINDOW["kafka"], "mqtt": 0}),
    Fault("Mosquitto killed 10 s", mosquitto_killed, {"kafka": 0, "mqtt": WINDOW["mqtt"]}),
)

assert not set(FIRST) & set(SECOND)
