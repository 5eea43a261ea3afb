"""Power cuts under the installed program: what it had accepted is delivered afterwards, from what the disk still has.

Its journal lies on a file system of its own, which loses whatever was not synced when its power is cut. Three things
tell from outside what had been accepted. What arrived at a sink: nothing is sent before it is on disk, so that with one
sink away the other shows what must be left for it. What the metric of accepted events said just before the cut: the hub
sends in order over one connection, so that so many of the first changes are owed. And what is in the journal when the
disk is mounted again.

The power is cut in two ways. With the disk's, whatever the program is told afterwards is an error. With ext4's shutdown
it is not (`volume.py` says why), so that the program is killed first: a power cut ends both in the same moment.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from random import Random
from signal import SIGKILL

from tests.brokers import KafkaBroker, MqttBroker, start_hub
from tests.chaos.bridge_process import BridgeProcess
from tests.chaos.trial import imbalances, unbalanced
from tests.chaos.volume import Volume, volume
from tests.chaos.wires import Wires, quiet, wired
from tests.chaos.world import CURSOR_LAG, FIRST, WINDOW, World, opened
from tests.oracle import journal
from tests.oracle.judge import judge_accepted
from tests.oracle.record import Identity, identities, identity_of_change
from tests.oracle.repeats import repeats_by_life
from tests.support import wait_until

__all__ = ["AWAY", "WAYS", "Outcome", "Way", "cut_power"]

Way = Callable[[Volume, BridgeProcess], None]
"""How the power is cut under a bridge, which has ended afterwards."""

AWAY: Sequence[frozenset[str]] = (
    frozenset({"kafka"}),
    frozenset({"mqtt"}),
    frozenset({"kafka", "mqtt"}),
    frozenset(),
)
"""Which sinks are away when the power is cut, in turn."""

_RATE = 500
_BURST_SECONDS = 2.5
_CUT_SECONDS = (0.4, 2.0)
_ACCEPTED = "portos_bridge_events_accepted_total"
_OWN = "portos_bridge_events_generated_total"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to in a line, and every promise that it broke; `owed` counts what the metric had shown."""

    summary: str
    problems: Sequence[str]
    owed: int


@dataclass(slots=True)
class _Run:
    world: World
    disk: Volume
    wires: Wires
    dice: Random
    way: Way
    sent: list[list[Identity]] = field(default_factory=list)
    """What the hub sent before each cut and after it, in order."""
    accepted: list[int] = field(default_factory=list)
    """How many of these the bridge had said to be accepted, just before."""
    away: list[frozenset[str]] = field(default_factory=list)
    ends: list[Mapping[str, int]] = field(default_factory=list)
    breaks: dict[str, list[int]] = field(default_factory=dict)

    def cut(self, away: frozenset[str]) -> None:
        """Load the bridge, cut its power at a random moment, and start it from what is left."""
        world, bridge = self.world, self.world.bridge
        for name in away:
            self.wires[name].down()
        before, first = _accepted(bridge), self._ledger_end()
        burst = world.hub.burst(int(_RATE * _BURST_SECONDS), rate=_RATE, resources=FIRST)
        time.sleep(self.dice.uniform(*_CUT_SECONDS))
        accepted = _accepted(bridge) - before
        self.way(self.disk, bridge)
        quiet(self.wires)
        self.ends.append(world.kafka_reader.ends() | {"mqtt": world.mqtt_reader.count()})
        world.hub.wait_burst(burst, 30)
        self.sent.append([identity_of_change(change) for change in world.hub.ledger(first)])
        self.accepted.append(accepted)
        self.away.append(away)
        self.disk.power_up()
        copy = journal.copy(bridge.journal, world.folder / f"cut-{len(self.sent)}")
        world.journaled += journal.bodies(copy)
        for name, wire in self.wires.items():
            self.breaks.setdefault(name, []).append(wire.breaks)
            wire.up()
        bridge.start()

    def _ledger_end(self) -> int:
        return max((change.sequence for change in self.world.hub.ledger()), default=0)

    def end(self) -> list[str]:
        """See the last change arrive, and stop the bridge in order; say what its own ledger misses."""
        world = self.world
        world.mark_the_end(FIRST)
        missed = imbalances(world.bridge.metrics())
        world.bridge.end()
        return unbalanced(missed)

    def judge(self) -> Outcome:
        """Hold what was accepted against what arrived."""
        kafka = self.world.kafka_reader.read()
        wanted = identities(kafka)
        with suppress(AssertionError):  # what is still not there then is for the judge to name
            wait_until(lambda: wanted <= identities(self.world.mqtt_reader.read()), 5, "MQTT has what Kafka has")
        received = {"kafka": kafka, "mqtt": self.world.mqtt_reader.read()}
        judgement = judge_accepted([self.world.hub.ledger()], received, journaled=self.world.journaled)
        problems = [f"{sink}: {what}" for sink, what in judgement.faults().items()]
        problems += [text for sink, records in received.items() for text in self._lost(sink, identities(records))]
        repeats = {sink: repeats_by_life(records, self.ends) for sink, records in received.items()}
        problems += [text for sink, counts in repeats.items() for text in self._too_many(sink, counts)]
        worst = {sink: max(counts) for sink, counts in repeats.items()}
        owed = sum(self.accepted)
        summary = (
            f"{len(self.sent)} cuts ({_counted(self.away)}), {judgement.accepted} accepted, {owed} of them by the"
            f" metric, repeats { ({sink: sum(counts) for sink, counts in repeats.items()}) }, at most {worst} in a life"
        )
        return Outcome(summary, problems, owed)

    def _lost(self, sink: str, arrived: set[Identity]) -> list[str]:
        """Name what was accepted before a cut and never arrived, by its place among what the hub had sent."""
        found = []
        for number, (sent, accepted, away) in enumerate(zip(self.sent, self.accepted, self.away, strict=True), 1):
            lost = [place for place, identity in enumerate(sent[:accepted]) if identity not in arrived]
            if lost:
                beyond = sum(identity in arrived for identity in sent[accepted:])
                found.append(
                    f"{sink}: cut {number} with {', '.join(sorted(away)) or 'nothing'} away lost {len(lost)} of"
                    f" {accepted} accepted events, {lost[0]} to {lost[-1]}; {beyond} arrived that came after these"
                )
        return found

    def _too_many(self, sink: str, counts: Sequence[int]) -> list[str]:
        found, before = [], 0
        for life, count in enumerate(counts):
            breaks = [*self.breaks[sink], self.wires[sink].breaks][life]
            most = WINDOW[sink] * (breaks - before) + (WINDOW[sink] + CURSOR_LAG if life else 0)
            before = breaks
            if count > most:
                found.append(f"{sink}: {count} repeats in life {life}, at most {most} are allowed")
        return found


def _accepted(bridge: BridgeProcess) -> int:
    """Give how many of the hub's events are accepted; the metric counts the bridge's own among them."""
    signs = {_ACCEPTED: 1, _OWN: -1}
    return int(sum(value * signs.get(name, 0) for (name, _), value in bridge.metrics().items()))


def _counted(away: Sequence[frozenset[str]]) -> str:
    return ", ".join(f"{count} with {'+'.join(sorted(names)) or 'none'} away" for names, count in Counter(away).items())


def _with_the_disk(disk: Volume, bridge: BridgeProcess) -> None:
    """Let the bridge meet a disk that is gone, as it does on a volume of the network."""
    disk.cut_power()
    bridge.kill9()


def _by_shutdown(disk: Volume, bridge: BridgeProcess) -> None:
    """Kill the bridge without waiting for its end, so that a sync may be under way."""
    os.kill(bridge.pid, SIGKILL)
    disk.shut_down()
    bridge.kill9()


WAYS: Mapping[str, Way] = {"power cut": _with_the_disk, "power cut by EXT4_IOC_SHUTDOWN": _by_shutdown}


def cut_power(kafka: KafkaBroker, mqtt: MqttBroker, way: Way, cuts: int, seed: str, script: str = "") -> Outcome:
    """Cut the power so many times, and judge. `script` is another console script than the installed one."""
    dice = Random(seed)  # noqa: S311 - the moment of a power cut is no secret
    with ExitStack() as stack:
        disk = stack.enter_context(volume(seed=seed))
        wires, wiring = stack.enter_context(wired(kafka, mqtt))
        hub = start_hub()
        stack.callback(hub.close)
        settings = wiring | {"JOURNAL__PATH": str(disk.folder / "journal.db"), "JOURNAL__MAX_BYTES": str(64 << 20)}
        world = stack.enter_context(opened(hub, kafka, mqtt, settings, qos=0, script=script))
        run = _Run(world, disk, wires, dice, way)
        for number in range(cuts):
            run.cut(AWAY[number % len(AWAY)])
        missed = run.end()
        outcome = run.judge()
    return Outcome(f"seed {seed}, {outcome.summary}", [*outcome.problems, *missed], outcome.owed)
