"""The real pipeline between a scripted shop and scripted brokers, in virtual time, with everything drawn from a seed.

What is real: intake, version memory, window rule, journal with its writer and SQLite, delivery, policy, links, ledger.
Run one seed or many with `python -m tests.unit.model.simulation`.
"""

import argparse
import asyncio
import logging
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from bridge import pipeline
from bridge.blind import CORRUPTION, Sight, Window, corruption
from bridge.errors import StorageFailed
from bridge.intake import Intake
from bridge.journal import Journal, Limits, Lost, open_journal
from bridge.journal.letter import DeadLetter
from bridge.journal.letter_box import LetterBox
from bridge.link import UNCOUNTED, Link, Times
from bridge.message import Message
from bridge.metrics import Catalogue
from bridge.pipeline import Delivery, keep
from bridge.policy import Pauses
from bridge.portos.memory import VersionMemory
from bridge.scope import Scope
from bridge.source import SourceActivity
from tests.unit.model import disk as disk_module
from tests.unit.model.brokers import Broker, KafkaLike, MqttLike
from tests.unit.model.disk import Disk
from tests.unit.model.judgement import Evidence, faults_of, letters_in
from tests.unit.model.shop import RESOURCES, SITE, Shop
from tests.unit.model.virtual import VirtualLoop

__all__ = ["Run", "simulated"]

SINKS = ("kafka", "mqtt")
ANSWER_SECONDS = 1.0
CATALOGUE = Catalogue(SITE, SINKS, RESOURCES, 50)
_TIMES = Times(1.0, 0.3, 5.0, Pauses(0.05, 0.5, 1.0))
_LARGE_BYTES = 2**26
_RARELY = ("cut", "down", "disk", "kill", "stop", "shop")
_LONGEST_SECONDS = 900.0
_LEFT_BEHIND_SECONDS = 60.0  # by then whatever hung in a broker has come back
_MEMORY_FOLDER = Path("/dev/shm")


@dataclass(frozen=True)
class Plan:
    """What one seed sets once; everything else is drawn while it runs."""

    steps: int
    window: int
    lag: int
    cursor_seconds: float
    memory_bytes: int
    max_bytes: int
    body_bytes: int
    blocks: bool

    @property
    def small(self) -> bool:
        """Whether the journal may be full."""
        return self.max_bytes < _LARGE_BYTES

    @classmethod
    def drawn(cls, dice: Random) -> "Plan":
        """Draw small bounds, so that they are met."""
        small = dice.random() < 0.15
        return cls(
            steps=dice.randint(4, 14),
            window=dice.choice((1, 3, 8, 20)),
            lag=dice.choice((1, 4, 10, 40)),
            cursor_seconds=dice.choice((0.01, 0.1, 1.0)),
            memory_bytes=dice.choice((1_000, 20_000, 2**20)),
            max_bytes=256 * 1024 if small else _LARGE_BYTES,
            body_bytes=4_000 if small else 200,
            blocks=dice.random() < 0.3,
        )


class World:
    """One run of a seed."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.dice = Random(seed)  # noqa: S311 - repeatable is what it has to be
        self.plan = Plan.drawn(self.dice)
        self.path = folder / "journal.db"
        self.shop = Shop(Random(self.dice.random()))  # noqa: S311 - as above
        self.shop.body_bytes = self.plan.body_bytes
        self.brokers: dict[str, Broker] = {
            "kafka": KafkaLike("kafka", Random(self.dice.random()), ANSWER_SECONDS),  # noqa: S311 - as above
            "mqtt": MqttLike("mqtt", Random(self.dice.random()), ANSWER_SECONDS),  # noqa: S311 - as above
        }
        self.disk = Disk(self.dice)
        self.accepted: Counter[str] = Counter()
        self.unkept: dict[str, set[str]] = {name: set() for name in SINKS}
        self.imbalances: list[str] = []
        self.kills = 0
        self.stopping = asyncio.Event()
        self._bridge = asyncio.create_task(self._live(self.stopping))

    async def play(self) -> None:
        """Let things happen, then let everything be well, and stop in order."""
        for _ in range(self.plan.steps):
            await self._act()
        self._heal()
        await self._delivered()
        await self._stop()
        await asyncio.sleep(_LEFT_BEHIND_SECONDS)

    # what happens

    async def _act(self) -> None:
        dice, now = self.dice, asyncio.get_running_loop().time()
        match dice.choice((*("changes",) * 6, *("sinks",) * 3, *("rush",) * 2, *_RARELY)):
            case "changes":
                await self._changes(dice.randint(1, 25), dice.choice((0.0, 0.002, 0.02, 0.3)))
            case "sinks":
                broker = self.brokers[dice.choice(SINKS)]
                broker.trouble = dice.choice((0.0, 0.1, 0.3, 0.6))
                broker.down_until = now + dice.choice((0.0, 0.0, 1.0, 8.0))
            case "cut":
                self.shop.cut(lose=dice.random() < 0.5)
            case "down":
                self.shop.down_until = now + dice.uniform(0, 5)
                self.shop.cut(lose=dice.random() < 0.5)
            case "disk":
                self.disk.slowest_seconds = dice.choice((0.002, 0.002, 0.05, 0.5))
                self.disk.crashes = dice.choice((0.0, 0.01, 0.05))
                self.disk.breaks = dice.choice((0.0, 0.0, 0.02))
            case "shop":
                self.shop.marks = dice.choice((0.0, 0.1, 0.4))
                self.shop.repeats = dice.choice((0.0, 0.1))
                self.shop.way_seconds = dice.choice((0.001, 0.005, 0.2))
            case "kill":
                await self._kill(dice.choice((0.0, 0.1, 2.0)))
            case "rush":
                await self._rush()
            case "stop":
                await self._stop()
                self._start()
        await self._pass(dice.choice((0.0, 0.01, 0.3, 2.0)))

    async def _rush(self) -> None:
        """Kill the bridge while it has much to deliver and the disk is slow to record how far it is."""
        for broker in self.brokers.values():
            broker.trouble, broker.down_until = 0.0, 0.0
        self.disk.slowest_seconds = 0.002
        await self._changes(self.dice.randint(20, 60), 0.0)
        await self._pass(self.dice.uniform(0.008, 0.03))
        self.disk.slowest_seconds = 5.0
        await self._pass(self.dice.uniform(0.1, 1.0))
        await self._kill(0.0)

    async def _changes(self, count: int, apart_seconds: float) -> None:
        for _ in range(count):
            self.shop.change()
            await self._pass(apart_seconds)

    async def _pass(self, seconds: float) -> None:
        """Let time pass; what the disk has done to the bridge meanwhile is seen at once."""
        crashed = asyncio.create_task(self.disk.crashed.wait())
        await asyncio.wait({crashed, self._bridge}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        crashed.cancel()
        if self.disk.crashed.is_set() or self._bridge.done():
            await self._kill(0.1)

    def _heal(self) -> None:
        self.disk.slowest_seconds, self.disk.crashes, self.disk.breaks = 0.002, 0.0, 0.0
        self.shop.down_until = 0.0
        for broker in self.brokers.values():
            broker.trouble, broker.down_until = 0.0, 0.0

    async def _delivered(self) -> None:
        """Wait until every broker has a change that was made when all was well."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _LONGEST_SECONDS
        told: set[str] = set()
        while any(told.isdisjoint(message.id for message in broker.log) for broker in self.brokers.values()):
            if loop.time() > until:
                raise TimeoutError("nothing arrives any more, though all is well")
            told.add(self.shop.change(plain=True).id)
            await self._pass(2.0)

    # the bridge

    def _start(self) -> None:
        self.disk = Disk(self.dice)
        self.shop.closed = False
        self.stopping = asyncio.Event()
        self._bridge = asyncio.create_task(self._live(self.stopping))

    async def _kill(self, away_seconds: float) -> None:
        """Kill the bridge and start it again; what was not on disk is gone."""
        self.disk.dead = True
        self.kills += 1
        self.shop.cut(lose=True)
        for broker in self.brokers.values():
            broker.killed()
        self._bridge.cancel()
        try:
            await self._bridge
        except asyncio.CancelledError:
            pass
        except BaseExceptionGroup as error:
            if error.split(StorageFailed)[1] is not None:
                raise
        except StorageFailed:
            pass
        await asyncio.sleep(away_seconds)
        self._start()

    async def _stop(self) -> None:
        """Stop the bridge in order, or see it die of that."""
        self.stopping.set()
        crashed = asyncio.create_task(self.disk.crashed.wait())
        await asyncio.wait({crashed, self._bridge}, return_when=asyncio.FIRST_COMPLETED)
        crashed.cancel()
        if self.disk.crashed.is_set() or self._bridge.exception() is not None:
            await self._kill(0.1)
            await self._stop()

    async def _live(self, stopping: asyncio.Event) -> None:
        """Be `bridge.service`, without settings, status and signals."""
        plan = self.plan
        limits = Limits(plan.max_bytes * 15 // 16, plan.memory_bytes, plan.lag, plan.cursor_seconds, plan.blocks)
        memory = VersionMemory("monotonic", SITE, 86_400)
        async with open_journal(self.path, SINKS, plan.max_bytes, limits, memory=memory, tell=_told) as journal:
            self._balance(journal, "at the start")
            activity = SourceActivity()
            previous = journal.previous
            sight = Sight(previous.proved_at, "stopped" if previous.clean else "unclean_start")
            hub = _link("hub")
            intake = Intake(journal, CATALOGUE, hub, activity, memory, sight, Scope(RESOURCES))
            async with asyncio.TaskGroup() as group:
                eternal = [group.create_task(journal.failed())]
                for name, broker in self.brokers.items():
                    link = _link(name)
                    delivery = Delivery(name, journal, CATALOGUE, link, plan.window, ANSWER_SECONDS)
                    eternal.append(group.create_task(keep(link, broker.connect, delivery.run)))
                listening = group.create_task(keep(hub, partial(self.shop.connect, activity), intake.read))
                await stopping.wait()
                await self.shop.leave()
                listening.cancel()
                with suppress(TimeoutError):
                    async with asyncio.timeout(5):
                        await journal.drained()
                self._balance(journal, "at the end")
                for task in eternal:
                    task.cancel()

    def _balance(self, journal: Journal, when: str) -> None:
        self.imbalances += [f"{stage} misses {count} {when}" for stage, count in journal.imbalances().items() if count]

    def evidence(self) -> Evidence:
        """Give all that a judge has to know."""
        window, lag = self.plan.window, self.plan.lag
        return Evidence(
            changes=self.shop.changes,
            accepted=self.accepted,
            logs={name: broker.log for name, broker in self.brokers.items()},
            letters={name: letters_in(self.path, name) for name in SINKS},
            repeats_allowed={
                name: window * broker.connections + (window + lag) * self.kills for name, broker in self.brokers.items()
            },
            imbalances=self.imbalances,
            may_shed=self.plan.small,
            unkept=self.unkept,
            in_one_line=("mqtt",),
        )


def _told(lost: Lost) -> Message:
    window = Window(lost.since, lost.until, CORRUPTION)
    return corruption(window, lost.events, (lost.journal, lost.first), RESOURCES, SITE)


def _link(name: str) -> Link:
    return Link(name, _TIMES, UNCOUNTED)


# one seed


@dataclass(frozen=True)
class Run:
    """What a seed has shown: what is wrong with it, and by sink the ids that its broker holds."""

    faults: list[str]
    delivered: dict[str, list[str]]


def simulated(seed: int) -> Run:
    """Run a seed."""
    folder = Path(tempfile.mkdtemp(dir=_MEMORY_FOLDER if _MEMORY_FOLDER.is_dir() else None))
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(_run(seed, folder))
    finally:
        shutil.rmtree(folder)


async def _run(seed: int, folder: Path) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        _virtual(patch, asyncio.get_running_loop())
        world = World(seed, folder)
        patch.setattr(pipeline, "random", Random(seed))  # noqa: S311 - as above
        disk_module.installed(patch, lambda: world.disk)
        _recording(patch, world.accepted, world.unkept)
        try:
            await world.play()
            faults = faults_of(world.evidence())
        except Exception as error:  # noqa: BLE001 - whatever it is: its seed is to be known
            faults = [repr(error)]
        return Run(faults, {name: [message.id for message in broker.log] for name, broker in world.brokers.items()})


def _virtual(patch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop) -> None:
    """Let every module of the bridge take the time from the loop, whatever it asks for, in whatever thread."""
    clock = SimpleNamespace(**vars(time))
    clock.time = clock.monotonic = clock.perf_counter = loop.time
    clock.time_ns = lambda: int(loop.time() * 1e9)
    for name, module in list(sys.modules.items()):
        if name.startswith("bridge.") and getattr(module, "time", None) is time:
            patch.setattr(module, "time", clock)


def _recording(patch: pytest.MonkeyPatch, accepted: Counter[str], unkept: Mapping[str, set[str]]) -> None:
    """Note the id of every event whose commit has returned, and by sink of each that found no room as a dead letter."""
    append, add = Journal.append, LetterBox.add

    async def appended(self: Journal, messages: Sequence[Any], *others: Any) -> bool:
        stored = await append(self, messages, *others)
        if stored:
            accepted.update(message.id for message in messages)
        return stored

    def added(self: LetterBox, letter: DeadLetter) -> bool:
        shed = self.numbers(letter.sink)["shed"]
        kept = add(self, letter)
        counted = self.numbers(letter.sink)["shed"] == shed + 1
        if not kept and counted and letter.sink in unkept and letter.event_id is not None:
            unkept[letter.sink].add(letter.event_id)
        return kept

    patch.setattr(Journal, "append", appended)
    patch.setattr(LetterBox, "add", added)


def _faults(seed: int) -> list[str]:
    return simulated(seed).faults


def main() -> None:
    """Run seeds on every core, and say how to run one that shows a fault alone."""
    parser = argparse.ArgumentParser(prog="python -m tests.unit.model.simulation", description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=20_000, help="how many")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    started, failed = time.monotonic(), 0
    seeds = range(options.first, options.first + options.seeds)
    with ProcessPoolExecutor(initializer=logging.disable, initargs=(logging.CRITICAL,)) as pool:
        for seed, faults in zip(seeds, pool.map(_faults, seeds, chunksize=20), strict=True):
            if faults:
                failed += 1
                print(f"seed {seed}: {faults}; alone: python -m tests.unit.model.simulation --first {seed} --seeds 1")
            if (seed + 1 - options.first) % 1000 == 0:
                print(
                    f"{seed + 1 - options.first} seeds, {failed} failed, {time.monotonic() - started:.0f} s", flush=True
                )
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
