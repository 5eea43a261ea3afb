"""Settings that change under the installed program, while 200 changes a second go through it. Half a minute."""

import bisect
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from tests.brokers import Hub, KafkaBroker, MqttBroker, start_simulator
from tests.chaos.bridge_process import BridgeProcess
from tests.chaos.world import FIRST, World, opened
from tests.mount import Mount
from tests.oracle.record import Identity, identities, identity_of_change
from tests.support import wait_until

CHANGES, RATE, BURST = 20, 200, 5_400
_READ_SECONDS = 30.0
READ, RELOADS = "portos_bridge_events_received_total", "portos_bridge_config_reloads_total"
WRONG = {"portos_bridge_log__level": "loud", "portos_bridge_filter__exclude_id": "*"}


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A simulated hub that keeps still until it is told to speak."""
    made = start_simulator("--rate", "0")
    yield made
    made.close()


@dataclass(frozen=True, slots=True)
class Filter:
    """What is left out, and the level of the log beside it."""

    ids: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    level: str = "info"

    def files(self) -> Mapping[str, str]:
        return {
            "portos_bridge_filter__exclude_ids": ",".join(self.ids),
            "portos_bridge_filter__exclude_resources": ",".join(self.resources),
            "portos_bridge_log__level": f"{self.level}\n",
        }

    def passes(self, change: Identity) -> bool:
        return change.resource not in self.resources and not any(fnmatchcase(change.id, glob) for glob in self.ids)

    def widens(self, before: "Filter") -> bool:
        return bool({*before.ids, *before.resources} - {*self.ids, *self.resources})


def _filters(dice: Random) -> list[Filter]:
    """Draw what is set one after another: each differs from the one before, some in that they leave out more."""
    drawn = [Filter()]
    for number in range(CHANGES):
        level = ("debug", "warning")[number % 2]
        if number % 4 == 3:
            drawn.append(Filter((*drawn[-1].ids, "*ff*"), drawn[-1].resources, level))
        else:
            ids = tuple(f"*{digit:x}" for digit in dice.sample(range(16), 3))
            drawn.append(Filter(ids, ("orders",) * (number % 3 == 0), level))
    return drawn


@dataclass(frozen=True, slots=True)
class Turn:
    """Where one filter gave way to the next: the first `before` changes met the former, those from `since` the next."""

    before: int
    since: int


class Running:
    """A bridge under load whose settings are a mounted directory."""

    def __init__(self, world: World, mount: Mount) -> None:
        self._world = world
        self._mount = mount
        self._burst = world.hub.burst(BURST, rate=RATE, resources=FIRST)

    def load(self) -> None:
        """See to it that the hub goes on talking."""
        if self._world.hub.burst_done(self._burst):
            self._burst = self._world.hub.burst(BURST // 3, rate=RATE, resources=FIRST)

    def quiet(self) -> None:
        self._world.hub.wait_burst(self._burst, 60)

    def change(self, files: Mapping[str, str], result: str, *, signalled: bool) -> Turn:
        """Swap the directory and wait for what comes of it, looking at one scrape after the other."""
        before = self._look(result)
        self._mount.swap(files)
        if signalled:
            os.kill(self._world.bridge.pid, signal.SIGHUP)
        last, deadline = before, time.monotonic() + _READ_SECONDS
        while (now := self._look(result))[0] == before[0]:
            assert time.monotonic() < deadline, f"not {result} within {_READ_SECONDS:g} s"
            last = now
            self.load()
        assert now[0] == before[0] + 1, "read once"
        return Turn(int(last[1]), int(now[1]))

    def _look(self, result: str) -> tuple[float, float]:
        """Give how often the settings were read with this result, and how many changes had met a filter by then."""
        samples = self._world.bridge.metrics()
        received = sum(value for (name, _), value in samples.items() if name == READ)
        return samples[RELOADS, f'result="{result}"'], received

    def ask(self) -> None:
        """Have the settings read where nothing has changed."""
        before = self._look("unchanged")[0]
        os.kill(self._world.bridge.pid, signal.SIGHUP)
        wait_until(lambda: self._look("unchanged")[0] > before, 10, "read anew")


def _expected(changes: Sequence[Identity], filters: Sequence[Filter], turns: Sequence[Turn]) -> list[set[bool]]:
    """Say of each change whether it passes; both where it met the one filter or the next, and they differ."""
    before, since = [turn.before for turn in turns], [turn.since for turn in turns]
    found = []
    for number, change in enumerate(changes):
        first, last = bisect.bisect_right(since, number), bisect.bisect_right(before, number)
        found.append({filters[which].passes(change) for which in range(first, last + 1)})
    return found


@pytest.mark.kafka
@pytest.mark.mqtt
@pytest.mark.slow
def test_filters_and_level_change_under_load(
    hub: Hub, faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker, tmp_path: Path
) -> None:
    """By SIGHUP and by a swapped mount: one connection, nothing lost, each change meets the filter of its moment."""
    filters, turns, lines = _filters(Random("1")), [], []  # noqa: S311 - a schedule
    mount = Mount(tmp_path / "settings")
    mount.swap(filters[0].files())
    with opened(hub, faulty_kafka, faulty_mqtt, {"SETTINGS_DIR": str(mount.folder), "LOG__FORMAT": "json"}) as world:
        connections = world.connections()
        running = Running(world, mount)
        for number, wanted in enumerate(filters[1:]):
            running.load()
            if number % 5 == 4:
                running.change(WRONG, "rejected", signalled=number % 2 == 0)
            turns.append(running.change(wanted.files(), "applied", signalled=number % 2 == 0))
            said = world.bridge.log().count("nothing has changed")
            running.ask()
            lines.append(world.bridge.log().count("nothing has changed") - said)
        running.quiet()
        world.mark_the_end(FIRST[::2])
        ledger = [identity_of_change(change) for change in hub.ledger()]
        published = identities(world.mqtt_reader.read())
        wait_until(lambda: len(identities(world.kafka_reader.read())) >= len(published), 30, "as many in Kafka")

        assert world.connections() == connections
        metric, log = world.bridge.metric, world.bridge.log()
        told = [record for record in world.mqtt_reader.own() if record.topic.endswith("/resync")]
        judgement = {
            sink: reader.read() for sink, reader in (("kafka", world.kafka_reader), ("mqtt", world.mqtt_reader))
        }
        metrics = {
            "connections": metric("portos_bridge_source_connects_total"),
            "received": metric(READ),
            "filtered": metric("portos_bridge_events_filtered_total"),
            "imbalance": metric("portos_bridge_ledger_imbalance_events"),
            "blind seconds": metric("portos_bridge_source_blind_seconds_total"),
            "windows": metric("portos_bridge_source_blind_windows_total"),
            "sinks": metric("portos_bridge_sink_connects_total"),
        }
        assert world.bridge.terminate() == 0

    windows = 1 + sum(now.widens(before) for before, now in pairwise(filters))
    assert metrics == {
        "connections": 1,
        "received": len(ledger),
        "filtered": len(ledger) - len(published),
        "imbalance": 0,
        "blind seconds": 0,
        "windows": windows,
        "sinks": 2,
    }
    assert [record.value.count(b'"from":null') for record in told] == [1] * windows
    expected = _expected(ledger, filters, turns)
    assert sum(len(either) > 1 for either in expected) < len(ledger) / 50, "nearly all are decided"
    for records in judgement.values():
        found = identities(records)
        assert len(records) == len(found), "without a repeat"
        wrong = [change for change, either in zip(ledger, expected, strict=True) if (change in found) not in either]
        assert wrong == []
    assert identities(judgement["kafka"]) == published
    assert lines == [int(each.level == "debug") for each in filters[1:]], "the level is the one of its moment"
    assert log.count("changed while running: ") == CHANGES
    assert log.count("are not taken up") == CHANGES // 5


def _takes_hangups(pid: int) -> bool:
    """Say whether the process holds SIGHUP back by now: until Python runs our first line nobody can."""
    masks = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return bool(int(masks["SigBlk"], 16) & 1 << (signal.SIGHUP - 1))


@contextmanager
def _hung_up(pid: int) -> Iterator[None]:
    """Hang up on a process as often as one core can, as long as the block lasts."""
    storm = subprocess.Popen([sys.executable, "-c", f"import os\nwhile True: os.kill({pid}, {int(signal.SIGHUP)})"])
    try:
        yield
    finally:
        storm.kill()
        storm.wait(10)


def test_a_hangup_never_ends_it(hub: Hub, tmp_path: Path) -> None:
    """A core's worth of them while it starts, while it runs and while it stops: it starts, runs, and stops in order."""
    settings = {**hub.login, "SINKS": "stdout", "SUBSCRIBE__RESOURCES": "tickets", "STOP__DRAIN_SECONDS": "1"}
    bridge = BridgeProcess(tmp_path, settings)
    try:
        bridge.spawn()
        wait_until(lambda: _takes_hangups(bridge.pid), 10, "it takes hangups")
        with _hung_up(bridge.pid):
            wait_until(bridge.ready, 20, "it is ready")
            hub.change("tickets", id="1")
            wait_until(lambda: bridge.metric("portos_bridge_events_accepted_total") >= 2, 10, "it runs")
            wait_until(lambda: bridge.metric(RELOADS, result="unchanged") >= 2, 10, "it reads its settings")
            os.kill(bridge.pid, signal.SIGTERM)
            wait_until(lambda: not bridge.running, 20, "it has stopped")
    finally:
        bridge.kill9()

    assert bridge.returncode == 0, bridge.log()[-2000:]
    assert "stopped in order" in bridge.log()
