"""A disk that is full, fails, or may not be written, under the installed program, and what that costs.

The journal lies on a file system of its own. Whatever the bridge accepted arrives at both sinks: what arrived at one of
them, or stood in the journal of one that ended, was accepted. Whatever else the hub sent is told: as a change without
its body, or in a window. A disk that is full is endured; one that fails ends the bridge with 74, and whoever starts it
again and again, as a supervisor does, finds it well once the cause is gone.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import uuid4

from tests.brokers import Change, KafkaBroker, MqttBroker, start_hub
from tests.chaos.trial import imbalances, unbalanced
from tests.chaos.volume import Volume, volume
from tests.chaos.watch import Watch
from tests.chaos.wires import Wires, wired
from tests.chaos.world import FIRST, World, opened
from tests.oracle import journal
from tests.oracle.judge import judge_accepted
from tests.oracle.kafka import KafkaReader
from tests.oracle.record import Identity, Received, identities, identity_of_change
from tests.oracle.window import KAFKA_TOPIC, Window, windows
from tests.support import wait_until

__all__ = ["TROUBLES", "Outcome", "Trouble", "trouble"]

_MEMORY_BYTES = 4 << 20
_PEAK_BYTES = 128 << 20
_UNREAD_SECONDS = 5.0
_END_SECONDS = 5.0
_STORAGE_FAILED = 74
_STAMP_SECONDS = 0.02
_BLIND_SECONDS = 15.0  # that the windows of a round may be longer than the time without a bridge, on a slow machine
_NUDGES = 3
_NUDGE_SECONDS = 5.0
_MISSED_SECONDS = 10.0
_DROPPED = "portos_bridge_events_dropped_total"
_GAP = "portos.bridge.gap.detected"
_MEMORY_FULL = "memory is full"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to in a line, and every promise that it broke."""

    summary: str
    problems: Sequence[str]
    dropped: int
    shed: int


@dataclass(slots=True)
class _Run:
    world: World
    disk: Volume
    wires: Wires
    dice: Random
    site: str
    number: int = 0
    dropped: float = 0.0
    down_seconds: float = 0.0
    """For how long there was no bridge, or one that the disk had ended or would end."""
    recoveries: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def away(self) -> bool:
        """Whether the sinks are to be away in this round: in every other one."""
        return self.number % 2 == 0

    def load(self, count: int, rate: float, size: int = 600) -> int:
        return self.world.hub.burst(count, rate=rate, size=size, resources=FIRST)

    def sinks_down(self) -> None:
        for wire in self.wires.values():
            wire.down()

    def sinks_up(self) -> None:
        for wire in self.wires.values():
            wire.up()

    def sleep(self, least: float, most: float) -> None:
        time.sleep(self.dice.uniform(least, most))

    def well_again(self, seconds: float = 30) -> None:
        """Wait until the bridge takes everything again, and has delivered what it had."""
        since, bridge = time.monotonic(), self.world.bridge
        wait_until(bridge.ready, seconds, "the bridge is ready again")
        self.recoveries.append(time.monotonic() - since)
        self.sinks_up()
        wait_until(lambda: bridge.metric("portos_bridge_journal_events") == 0, 60, "all is delivered")

    def ended(self) -> None:
        """See the bridge end with 74 by itself, and see it end so again until the cause is gone."""
        bridge = self.world.bridge
        wait_until(lambda: not bridge.running, _END_SECONDS, "the bridge has ended")
        self._statuses("by itself")
        self.refused()

    def refused(self) -> str:
        """Start the bridge, and see it end with 74; give what it says."""
        bridge = self.world.bridge
        bridge.launch()
        wait_until(lambda: not bridge.running, 20, "the bridge has given up")
        self._statuses("at a start")
        return bridge.log()

    def _statuses(self, when: str) -> None:
        if (status := self.world.bridge.returncode) != _STORAGE_FAILED:
            self.problems.append(f"round {self.number}: the bridge ended {when} with {status}, not with 74")

    def started(self) -> None:
        """Start it on a disk that is well, with what it had accepted on record."""
        copy = journal.copy(self.world.bridge.journal, self.world.folder / f"ended-{self.number}")
        self.world.journaled += journal.bodies(copy)
        since = time.monotonic()
        self.world.bridge.start()
        self.recoveries.append(time.monotonic() - since)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Count the time until there is a bridge again; on a busy machine each of its starts takes seconds."""
        since = time.monotonic()
        yield
        self.down_seconds += time.monotonic() - since

    def note_dropped(self) -> float:
        """Give how much this round cost, since the last time."""
        dropped = self.world.bridge.metric(_DROPPED)
        cost, self.dropped = dropped - self.dropped, dropped
        return cost


def quota(run: _Run) -> None:
    """Fill what the journal may take while no sink is there: first bodies are shed, then changes are dropped."""
    run.sinks_down()
    burst = run.load(4000, 1000, 4000)
    wait_until(lambda: not run.world.bridge.ready(), 15, "the journal is full")
    run.world.hub.wait_burst(burst, 30)
    run.sinks_up()
    run.well_again()


def blocked(run: _Run) -> None:
    """Fill it with the hub made to wait: its memory is small, so that after a pause it drops."""
    before = len(run.world.bridge.log())
    run.sinks_down()
    burst = run.load(8000, 800, 4000)
    wait_until(lambda: _MEMORY_FULL in run.world.bridge.log()[before:], 30, "the memory is full as well")
    run.sleep(0, 2)
    run.sinks_up()
    run.world.hub.wait_burst(burst, 60)
    run.well_again()


def disk_full(run: _Run) -> None:
    """Fill the file system for a while; with the sinks away the journal has to grow, and cannot."""
    if run.away:
        run.sinks_down()
    burst = run.load(5000, 1000, 4000)
    run.sleep(0.1, 0.6)
    with run.disk.filled():
        if run.away:
            wait_until(lambda: not run.world.bridge.ready(), 20, "the bridge has met the full disk")
        run.sleep(0.5, 3)
        run.sinks_up()
        run.sleep(0.5, 1)
    run.world.hub.wait_burst(burst, 30)
    run.well_again()


def disk_fails(run: _Run) -> None:
    """Let every access fail (EIO), and lose what was not synced."""
    _ended_by(run, run.disk.cut_power)


def read_only(run: _Run) -> None:
    """Let ext4 find a fault of its own, and go read-only, as it does on a machine that is set up so."""
    _ended_by(run, run.disk.go_read_only, "volume is read-only")


def _ended_by(run: _Run, trouble: Callable[[], object], said: str = "") -> None:
    """Have the bridge ended by a trouble under load, with `said` in its log, and start it on a disk that is well."""
    if run.away:
        run.sinks_down()
    burst = run.load(1500, 500)
    run.sleep(0.3, 2)
    with run.down():
        trouble()
        run.ended()
        if said not in (log := run.world.bridge.log()):
            run.problems.append(f"the log does not say what is wrong: {log[-500:]}")
        run.world.hub.wait_burst(burst, 30)
        run.disk.power_up()
        run.started()
    run.well_again()


def no_inode(run: _Run) -> None:
    """Use up all inodes: who runs needs none; who ended in order needs one to start."""
    bridge = run.world.bridge
    if run.away:
        run.sinks_down()
    with _crowd(run.disk.folder):
        run.world.hub.wait_burst(run.load(1000, 500), 30)
        run.sinks_up()
        run.well_again()
        if cost := run.note_dropped():
            run.problems.append(f"round {run.number}: {cost:g} events were dropped for want of an inode")
        with run.down():
            bridge.kill9()
            bridge.start()
        run.well_again()
        run.dropped = 0
    with run.down():
        if status := bridge.terminate():
            run.problems.append(f"round {run.number}: the bridge ended with {status}")
        with _crowd(run.disk.folder):
            if "no inode left" not in (log := run.refused()):
                run.problems.append(f"the log does not say what is wrong: {log[-500:]}")
        run.started()
    run.well_again()


@contextmanager
def _crowd(folder: Path) -> Iterator[None]:
    """Take every inode that is free."""
    made: list[Path] = []
    try:
        with suppress(OSError):
            while True:
                file = folder / f"crowd-{len(made)}"
                file.touch()
                made.append(file)
        yield
    finally:
        for file in made:
            file.unlink()


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with the disk, under which settings, and whether it has to cost bodies or changes."""

    name: str
    round: Callable[[_Run], None]
    journal_bytes: int = 48 << 20
    settings: Mapping[str, str] = field(default_factory=dict)
    sheds: bool = False
    drops: bool = True


TROUBLES = (
    Trouble("disk: quota", quota, 4 << 20, sheds=True),
    Trouble("disk: quota, the hub waits", blocked, 4 << 20, {"JOURNAL__ON_FULL": "block"}),
    Trouble("disk: full", disk_full),
    Trouble("disk: I/O errors", disk_fails, drops=False),
    Trouble("disk: read-only", read_only, drops=False),
    Trouble("disk: no inode", no_inode, drops=False),
)


def trouble(kafka: KafkaBroker, mqtt: MqttBroker, kind: Trouble, rounds: int, seed: str, script: str = "") -> Outcome:
    """Make so many rounds of a trouble on one disk, and judge what they cost.

    `script` is another console script than the installed one.
    """
    dice, site = Random(seed), f"d{uuid4().hex[:8]}"  # noqa: S311 - the moment of a fault is no secret
    with ExitStack() as stack:
        disk = stack.enter_context(volume(64, 256))
        wires, wiring = stack.enter_context(wired(kafka, mqtt))
        hub = start_hub()
        stack.callback(hub.close)
        settings = wiring | {
            "SITE": site,
            "JOURNAL__PATH": str(disk.folder / "journal.db"),
            "JOURNAL__MAX_BYTES": str(kind.journal_bytes),
            "JOURNAL__MEMORY_MAX_BYTES": str(_MEMORY_BYTES),
            **kind.settings,
        }
        world = stack.enter_context(opened(hub, kafka, mqtt, settings, base=site, script=script))
        watch = stack.enter_context(Watch(lambda: world.bridge.pid if world.bridge.running else None, hub.port))
        run = _Run(world, disk, wires, dice, site)
        since = time.time()
        for number in range(rounds):
            run.number = number
            kind.round(run)
            run.note_dropped()
        seconds = time.time() - since
        missed = _end(run)
        shed, lost, told = _judge(run)
    problems = [*run.problems, *missed]
    problems += [f"the memory came to {watch.peak_bytes >> 20} MiB"] * (watch.peak_bytes > _PEAK_BYTES)
    problems += [f"the hub was unread for {watch.unread_seconds:.2f} s"] * (watch.unread_seconds > _UNREAD_SECONDS)
    problems += ["no body was shed"] * (kind.sheds and not shed)
    problems += ["nothing was dropped: the disk was not full"] * (kind.drops and not lost)
    if told > run.down_seconds + rounds * _BLIND_SECONDS:
        problems.append(
            f"windows of {told:.0f} s were told in {seconds:.0f} s, of {run.down_seconds:.0f} s without a bridge"
        )
    summary = (
        f"seed {seed}, {rounds} rounds in {seconds:.0f} s, {run.down_seconds:.1f} s of them without a bridge;"
        f" {shed} without a body, {lost} lost and told in windows of {told:.1f} s; well after"
        f" {max(run.recoveries):.1f} s at most, unread for {watch.unread_seconds:.2f} s, {watch.peak_bytes >> 20} MiB"
    )
    return Outcome(summary, problems, lost, shed)


def _end(run: _Run) -> list[str]:
    """See the last changes arrive, and stop the bridge in order; say what its own ledger misses.

    A change that finds a connection which drops ends it, and lies in the window of what was dropped; the next arrives.
    """
    world = run.world
    for number in range(_NUDGES):
        wait_until(world.subscribed, 20, "the bridge is subscribed")
        with suppress(AssertionError):
            world.mark_the_end(FIRST, mark=f"nudge-{number}", quiet_seconds=_NUDGE_SECONDS)
            break
    world.mark_the_end(FIRST)
    missed = imbalances(world.bridge.metrics())
    world.bridge.end()
    return unbalanced(missed)


def _judge(run: _Run) -> tuple[int, int, float]:
    """Note what was accepted and is missing, and what is missing and untold; give what was shed, lost, and told."""
    world = run.world
    with closing(KafkaReader(world.kafka.bootstrap, KAFKA_TOPIC, besides="-")) as reader:
        told = [record for record in reader.read() if record.key == run.site.encode()]
    kafka = world.kafka_reader.read()
    with suppress(AssertionError):  # what is still not there then is for the judge to name
        world.mqtt_reader.wait_for(identities(kafka), quiet_seconds=_MISSED_SECONDS)
    received = {"kafka": [*kafka, *told], "mqtt": world.mqtt_reader.everything()}
    changes = {"kafka": kafka, "mqtt": world.mqtt_reader.read()}
    ledger = world.hub.ledger()
    judgement = judge_accepted([ledger], changes, journaled=world.journaled)
    run.problems += [f"{sink}: {what}" for sink, what in judgement.faults().items()]
    shed = {sink: _shed(records) for sink, records in received.items()}
    if shed["kafka"] != shed["mqtt"]:
        run.problems.append(f"{len(shed['kafka'] ^ shed['mqtt'])} changes without a body are told to one sink only")
    known = set().union(*map(identities, changes.values()), *shed.values())
    missing = [change for change in ledger if identity_of_change(change) not in known]
    for sink, records in received.items():
        untold = _untold(missing, windows(records))
        if untold:
            run.problems.append(f"{sink}: {len(untold)} changes are missing and untold, the first: {untold[0]}")
    blind = sum(window.seconds for window in dict.fromkeys(windows(received["mqtt"])))
    return len(shed["mqtt"]), len(missing), blind


def _untold(missing: Sequence[Change], told: Sequence[Window]) -> list[Change]:
    return [
        change
        for change in missing
        if not any((w.since is None or w.since <= change.at) and change.at <= w.until + _STAMP_SECONDS for w in told)
    ]


def _shed(records: Sequence[Received]) -> set[Identity]:
    """Read which changes are told to be without a body."""
    found = set()
    for record in records:
        if record.attributes.get("type") == _GAP and (data := json.loads(record.value))["cause"] == "shed":
            found.add(Identity(data["resource"], data["id"], data["toVersion"], data["action"]))
    return found
