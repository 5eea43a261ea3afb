"""kill -9 at random moments, with each sink up, down or flapping: nothing accepted is lost, nothing repeats too much.

A bridge under a steady load lives again and again, some seconds each time, and one life in four ends while it is still
starting. What it had accepted is read from a copy of its journal, taken after each kill and before the next start, and
from what arrived at the other sink. Repeats are held against the bound of each life.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate, pairwise, product, takewhile
from random import Random

from tests.brokers import KafkaBroker, MqttBroker, start_hub
from tests.chaos.trial import QUICK, Report, Trial, trial
from tests.chaos.wire import Wire
from tests.chaos.wires import Wires, quiet, wired
from tests.chaos.world import CURSOR_LAG, WINDOW
from tests.oracle.repeats import repeats_by_life
from tests.support import wait_until

__all__ = ["PER_RUN", "kill"]

PER_RUN = 20
"""Kills in one run: a judge has to hold all that its run sent in memory."""

_RATE = 500
_STATES = ("up", "down", "flapping")
_STARTING = 0.25
_START_SECONDS = (0.0, 2.0)
_LIFE_SECONDS = (0.1, 3.0)
_FLAP_SECONDS = (0.1, 0.8)
_MOST_FLAPS = int(_LIFE_SECONDS[1] / _FLAP_SECONDS[0])


@dataclass(frozen=True, slots=True)
class _Switch:
    """What happens to a wire, so many seconds into a life."""

    at: float
    wire: Wire
    sink: str
    up: bool


@dataclass(slots=True)
class _Lives:
    """What the lives so far have left: where each stream ended, and how often each sink had been broken by then."""

    trial: Trial
    wires: Wires
    dice: Random
    ends: list[Mapping[str, int]] = field(default_factory=list)
    breaks: list[Mapping[str, int]] = field(default_factory=list)
    starting: int = 0

    def live(self, states: Sequence[str]) -> None:
        """Start the bridge if it does not run, let it live with its sinks in these states, and kill it."""
        bridge, dice = self.trial.world.bridge, self.dice
        starting = dice.random() < _STARTING and not bridge.running
        seconds = dice.uniform(*(_START_SECONDS if starting else _LIFE_SECONDS))
        switches = self._switches(states, seconds)
        self._switch([switch for switch in switches if switch.at == 0])
        if not bridge.running:
            bridge.spawn()
        if not starting:
            wait_until(bridge.ready, 20, "the bridge is ready")
        began = time.monotonic()
        for switch in switches:
            if switch.at:
                time.sleep(max(0.0, began + switch.at - time.monotonic()))
                self._switch([switch])
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        assert bridge.running, f"the bridge ended by itself:\n{bridge.log()[-3000:]}"
        self.trial.bridge_killed()
        self.starting += starting
        quiet(self.wires)
        world = self.trial.world
        self.ends.append(world.kafka_reader.ends() | {"mqtt": world.mqtt_reader.count()})
        self.breaks.append(self._broken())
        for wire in self.wires.values():
            wire.up()

    def _switches(self, states: Sequence[str], seconds: float) -> list[_Switch]:
        """Say when each sink goes down and comes up during a life, by its state."""
        switches = []
        for (sink, wire), state in zip(self.wires.items(), states, strict=True):
            if state == "down":
                at = self.dice.choice((0.0, self.dice.uniform(0, seconds)))
                switches.append(_Switch(at, wire, sink, up=False))
            if state == "flapping":
                moments = accumulate(self.dice.uniform(*_FLAP_SECONDS) for _ in range(_MOST_FLAPS))
                inside = takewhile(lambda at: at < seconds, moments)
                switches += [_Switch(at, wire, sink, up=number % 2 == 1) for number, at in enumerate(inside)]
        return sorted(switches, key=lambda switch: switch.at)

    def _switch(self, switches: Sequence[_Switch]) -> None:
        for switch in switches:
            if switch.up:
                switch.wire.up()
            else:
                before = switch.wire.breaks
                switch.wire.down()
                if switch.wire.breaks > before:
                    self.trial.breaks.setdefault(switch.sink, []).append(time.time())

    def _broken(self) -> Mapping[str, int]:
        return {sink: wire.breaks for sink, wire in self.wires.items()}

    def too_many(self, sink: str, counts: Sequence[int]) -> list[str]:
        """Name the lives that repeated more than a crash and their broken sessions explain."""
        breaks = [0, *(broken[sink] for broken in self.breaks), self._broken()[sink]]
        found = []
        for life, (count, (before, after)) in enumerate(zip(counts, pairwise(breaks), strict=True)):
            most = (after - before) * WINDOW[sink] + (WINDOW[sink] + CURSOR_LAG if life else 0)
            if count > most:
                found.append(f"{sink}: {count} repeats in life {life}, at most {most} are allowed")
        return found


def kill(kafka: KafkaBroker, mqtt: MqttBroker, kills: int, seed: str) -> Report:
    """Kill a bridge so many times, and judge it; every pair of states of the sinks before any again."""
    dice = Random(seed)  # noqa: S311 - the moment of a kill is no secret
    states = _drawn(dice)
    started = time.monotonic()
    hub = start_hub(KeepAliveSeconds=1)
    try:
        with wired(kafka, mqtt) as (wires, wiring), trial(kafka, mqtt, hub, QUICK | wiring, rate=_RATE) as run:
            lives = _Lives(run, wires, dice)
            for _ in range(kills):
                lives.live(next(states))
            run.world.bridge.start()
            run.settle()
            run.finish()
            report = run.judge()
            found = _by_life(lives, run)
    finally:
        hub.close()
    counts, problems = found
    seconds, ledger = time.monotonic() - started, run.lives[0].ledger
    rate = len(ledger) / (ledger[-1].at - ledger[0].at)
    summary = (
        f"seed {seed}, {kills} kills in {seconds:.0f} s, {lives.starting} of them at the start, {rate:.0f} changes/s, "
        f"breaks { {sink: len(breaks) for sink, breaks in run.breaks.items()} }, {report.summary}, "
        f"at most { {sink: max(count) for sink, count in counts.items()} } in a life"
    )
    return replace(report, summary=summary, problems=[*report.problems, *problems])


def _by_life(lives: _Lives, run: Trial) -> tuple[dict[str, list[int]], list[str]]:
    received = {"kafka": run.world.kafka_reader.read(), "mqtt": run.world.mqtt_reader.read()}
    counts = {sink: repeats_by_life(records, lives.ends) for sink, records in received.items()}
    return counts, [text for sink, count in counts.items() for text in lives.too_many(sink, count)]


def _drawn(dice: Random) -> Iterator[tuple[str, ...]]:
    pairs = partial(dice.sample, list(product(_STATES, repeat=2)), len(_STATES) ** 2)
    while True:
        yield from pairs()
