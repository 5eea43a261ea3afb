"""The journal is damaged under a killed bridge that owed everything to its sinks; judged by what arrives afterwards.

With both sinks away the bridge takes a burst, so that all of it waits in the journal; it is killed, its files are
spoilt, and it is started again. All that the hub sent was accepted before, so that each change has to arrive at both
sinks, or to lie in a loss that is told: by its time, and over MQTT, which has one stream, before whatever is behind it.
Metrics, log and what is kept aside have to say the same.
"""

import json
import math
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import uuid4

from tests.brokers import Change, KafkaBroker, MqttBroker, start_hub
from tests.chaos.trial import QUICK, imbalances
from tests.chaos.vandalism import Kind, log_of
from tests.chaos.wires import Wires, quiet, wired
from tests.chaos.world import FIRST, World, opened
from tests.oracle.kafka import KafkaReader
from tests.oracle.record import Received, identity_of, identity_of_change
from tests.oracle.window import KAFKA_TOPIC, is_window, read_window
from tests.support import wait_until

__all__ = ["Outcome", "damage"]

_CHANGES = 1300
_CHANGE_BYTES = 4000  # so many that SQLite folds the first 4 MiB of its log into the file
_FEW_BYTES = 300  # so few that all of them stay in the log
_RATE = 2000
_SLOW_SECONDS = 120.0
_STAMP_SECONDS = 1.0  # by which a change's time, the hub's, may differ from when it was read
_OWN_ROWS = 5  # of the bridge's own among what waits: what it told before, and the marks of the round before
_ACCEPTED = "portos_bridge_events_accepted_total"
_CORRUPT = "portos_bridge_journal_corrupt_records_total"
_WITHOUT_BEGINNING = ("journal_lost", "first_start")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to in a line, and every promise that it broke; `lost` is how many events were lost and told."""

    summary: str
    problems: Sequence[str]
    lost: int


@dataclass(slots=True)
class _Told:
    """What a sink was told to be lost: `runs` of events by window, `forgotten` if all may be."""

    runs: dict[str, int] = field(default_factory=dict)
    spans: list[tuple[float, float]] = field(default_factory=list)
    forgotten: bool = False


@dataclass(slots=True)
class _Run:
    world: World
    wires: Wires
    dice: Random
    gaps: KafkaReader
    site: str
    change_bytes: int
    backlog: int = 0
    lost: int = 0
    forgotten: int = 0
    aside: int = 0
    slowest_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def spoil(self, kind: Kind) -> None:
        """Fill the journal, kill the bridge, damage what it has left, start it, and judge."""
        sent = self._filled()
        bridge = self.world.bridge
        bridge.kill9()
        quiet(self.wires)
        self._taken()
        what = kind.spoil(bridge.journal, self.dice)
        files = [file for file in (bridge.journal, log_of(bridge.journal)) if file.exists()]
        found, before = [file.read_bytes() for file in files], self._kept()
        for wire in self.wires.values():
            wire.up()
        began = time.monotonic()
        bridge.start(_SLOW_SECONDS)
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
        self.delivered()
        new = self._kept() - before
        self.aside += len(new)
        wrong = [*self._judged(kind, sent), *_wrongly_kept(kind, new, found, bridge.log())]
        self.problems += [f"{kind.name}, {what}: {problem}" for problem in wrong]
        self.backlog += len(sent)

    def delivered(self) -> None:
        """See all that waits arrive, and the windows among it."""
        self.world.mark_the_end(FIRST)
        bridge = self.world.bridge
        wait_until(lambda: bridge.metric("portos_bridge_journal_events") == 0, _SLOW_SECONDS, "all is delivered")

    def _filled(self) -> list[Change]:
        """Have the bridge accept a burst that it can give to nobody; give the changes in their order."""
        world = self.world
        for wire in self.wires.values():
            wire.down()
        before = max((change.sequence for change in world.hub.ledger()), default=0)
        accepted = world.bridge.metric(_ACCEPTED)
        burst = world.hub.burst(_CHANGES, rate=_RATE, size=self.change_bytes, resources=FIRST)
        world.hub.wait_burst(burst, _SLOW_SECONDS)
        wait_until(lambda: world.bridge.metric(_ACCEPTED) >= accepted + _CHANGES, _SLOW_SECONDS, "all is accepted")
        return world.hub.ledger(before)

    def _kept(self) -> set[Path]:
        journal = self.world.bridge.journal
        return set(journal.parent.glob(f"{journal.name}.corrupt-*"))

    def _taken(self) -> dict[str, list[Received]]:
        """Take what has arrived since this was asked last, by sink; each sink's windows are among it."""
        told = [record for record in self.gaps.take() if record.key == self.site.encode()]
        everything = self.world.mqtt_reader.everything()
        self.world.mqtt_reader.take()
        return {"kafka": [*self.world.kafka_reader.take(), *told], "mqtt": everything}

    def _judged(self, kind: Kind, sent: Sequence[Change]) -> Iterator[str]:
        received = self._taken()
        told = {sink: _told(records) for sink, records in received.items()}
        lost = sum(told["mqtt"].runs.values())
        if told["kafka"] != told["mqtt"]:
            yield f"the sinks are told different losses: {told}"
        if kind.most_lost is not None and lost > kind.most_lost:
            yield f"{lost} events are lost, where {kind.most_lost} may be"
        if told["mqtt"].forgotten and not kind.forgets:
            yield "all is told to be lost"
        if lost != (counted := self.world.bridge.metric(_CORRUPT)):
            yield f"{lost} events are told to be lost, and {counted:g} are counted"
        if lost and "are lost" not in self.world.bridge.log():
            yield "the log does not say that events are lost"
        missing = {sink: _missing(sent, records) for sink, records in received.items()}
        most = max(map(len, missing.values()))
        if not told["mqtt"].forgotten and not most <= lost <= most + _OWN_ROWS:
            yield f"{most} changes are missing, and {lost} events are told to be lost"
        for sink in received:
            untold = [change for change in missing[sink] if not _covered(change.at, told[sink])]
            if untold:
                yield f"{sink}: {len(untold)} changes are missing and lie in no told loss, the first: {untold[0]}"
        yield from (f"mqtt: {problem}" for problem in _in_time(sent, received["mqtt"]))
        yield from (f"the ledger misses {n:g}, {stage}" for stage, n in imbalances(self.world.bridge.metrics()).items())
        self.lost += lost
        self.forgotten += told["mqtt"].forgotten


def _told(records: Sequence[Received]) -> _Told:
    found = _Told()
    for record in filter(is_window, records):
        window = read_window(record)
        if window.cause == "corruption":
            found.runs[window.id] = json.loads(record.value)["lostEvents"]
            found.spans.append((-math.inf if window.since is None else window.since, window.until))
        found.forgotten |= window.since is None and window.cause in _WITHOUT_BEGINNING
    return found


def _missing(sent: Sequence[Change], records: Sequence[Received]) -> list[Change]:
    arrived = {identity_of(record.value) for record in records}
    return [change for change in sent if identity_of_change(change) not in arrived]


def _covered(at: float, told: _Told) -> bool:
    return told.forgotten or any(since - _STAMP_SECONDS <= at <= until + _STAMP_SECONDS for since, until in told.spans)


def _in_time(sent: Sequence[Change], records: Sequence[Received]) -> Iterator[str]:
    """See that each change that is lost was told to be so before any change behind it has come.

    Changes of several resources may come in another order, and a window waits for none that is still due.
    """
    places = {identity_of_change(change): place for place, change in enumerate(sent)}
    arrived = sorted({places[identity] for record in records if (identity := identity_of(record.value)) in places})
    told = 0.0
    for record in records:
        if is_window(record):
            window = read_window(record)
            if window.cause == "corruption":
                told += json.loads(record.value)["lostEvents"]
            elif window.since is None and window.cause in _WITHOUT_BEGINNING:
                told = math.inf
        elif (place := places.get(identity_of(record.value))) is not None:
            missing = place - bisect_left(arrived, place)
            if missing > told:
                yield f"{missing} changes are missing before {sent[place]}, where {told:g} are told to be lost"
                return
    if len(sent) - len(arrived) > told:
        yield f"{len(sent) - len(arrived)} changes are missing at the end, where {told:g} are told to be lost"


def _wrongly_kept(kind: Kind, new: set[Path], found: Sequence[bytes], log: str) -> Iterator[str]:
    """Say what is wrong with what the start has kept aside: it is the damaged file as it was, and the log names it."""
    if kind.kept and not new:
        yield "the damaged file is not kept aside"
    for file in new:
        if file.read_bytes() not in found:
            yield f"{file.name} is not what was there"
        if file.name.removesuffix("-wal") not in log:
            yield f"the log does not name {file.name}"


def damage(
    kafka: KafkaBroker, mqtt: MqttBroker, kinds: Sequence[Kind], seed: str, script: str = "", *, in_log: bool = False
) -> Outcome:
    """Damage a journal in each of these ways, one after another, and judge each.

    `script` is another console script than the installed one. `in_log` has all that waits in the journal's log, so that
    what is cut off of that is lost for sure.
    """
    dice, site = Random(seed), f"v{uuid4().hex[:8]}"  # noqa: S311 - where a bit flips is no secret
    started = time.monotonic()
    with ExitStack() as stack:
        wires, wiring = stack.enter_context(wired(kafka, mqtt))
        hub = start_hub(KeepAliveSeconds=1)
        stack.callback(hub.close)
        settings = QUICK | wiring | {"SITE": site, "JOURNAL__MAX_BYTES": str(64 << 20)}
        world = stack.enter_context(opened(hub, kafka, mqtt, settings, base=site, script=script))
        gaps = KafkaReader(kafka.bootstrap, KAFKA_TOPIC, besides="-")
        stack.callback(gaps.close)
        run = _Run(world, wires, dice, gaps, site, _FEW_BYTES if in_log else _CHANGE_BYTES)
        run.delivered()  # the window of the first start with it
        if in_log:
            world.bridge.terminate()  # which folds the log into the file
            world.bridge.start(_SLOW_SECONDS)
            run.delivered()
        for kind in kinds:
            run.spoil(kind)
        status = world.bridge.terminate()
    problems = [*run.problems, *([f"the bridge ended with {status}"] if status else [])]
    summary = (
        f"seed {seed}, {len(kinds)} damages in {time.monotonic() - started:.0f} s: {len(kinds)} starts, the slowest in"
        f" {run.slowest_seconds:.1f} s; {run.backlog} changes waited, {run.lost} events lost and told in their place,"
        f" {run.forgotten} journals lost as a whole and told, {run.aside} files kept aside"
    )
    return Outcome(summary, problems, run.lost)
