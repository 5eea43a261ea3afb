"""The demo's story: notifications flow, the hub goes away and comes back, the broker does, and the count is made."""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bridge.demo.broker import Arrivals, broker, subscriber
from bridge.demo.child import RESOURCES, Child, child
from bridge.demo.gate import Gate, gate
from bridge.demo.port import free_port
from bridge.demo.screen import Screen
from bridge.demo.tally import Tally, tally
from bridge.simulator import Simulator, SimulatorOptions, simulate

__all__ = ["called", "main"]

_RATE = 20.0
_READY_SECONDS = 30
_AWAY_SECONDS = 3.0
_SETTLE_SECONDS = 20
_LAST_WAY_SECONDS = 4  # before the bridge doubts the silence, and subscribes anew
_LOOK_SECONDS = 0.1


def main(argv: Sequence[str]) -> int:
    """Run the demo; the exit status is 0 only if nothing accepted is missing and nothing missed is hidden."""
    parser = argparse.ArgumentParser(
        prog="portos-bridge demo",
        description="Show the bridge at work. DEMO_SECONDS sets how long (default 30, at least 15).",
    )
    parser.parse_args(argv)
    try:
        seconds = max(15.0, float(os.environ.get("DEMO_SECONDS", "30")))
    except ValueError:
        parser.error("DEMO_SECONDS should be a number")
    return asyncio.run(_demo(seconds))


def called(path: str) -> str:
    """Say how this program, which was started from a path, is called: in a clone it is not where a shell looks."""
    name = "portos-bridge"
    return path if Path(path).name == name and shutil.which(name) is None else name


async def _demo(seconds: float) -> int:
    screen = Screen(sys.stdout)
    with tempfile.TemporaryDirectory(prefix="portos-bridge-demo-") as name:
        folder = Path(name)
        async with (
            simulate(SimulatorOptions(rate=_RATE, seed=1)) as hub,
            broker() as port,
            gate(port) as way,
        ):
            with subscriber(port, "portos/#") as arrivals:
                async with child(hub.url, way.port, free_port(), folder) as bridge:
                    stage = _Stage(screen, hub, way, bridge, arrivals)
                    if not await stage.ready():
                        screen.say("the bridge did not get ready; this is what it said:")
                        screen.text((folder / "bridge.log").read_text())
                        return 1
                    await stage.play(seconds)
                    result = await stage.settle()
                good = result.accepted and not (result.missing or result.hidden)
                screen.table(result)
                if not good:
                    screen.text((folder / "bridge.log").read_text())
    screen.onwards(called(sys.argv[0]))
    return 0 if good else 1


@dataclass
class _Stage:
    """The parts on stage, and what the hub said it sent."""

    screen: Screen
    hub: Simulator
    way: Gate
    bridge: Child
    arrivals: Arrivals
    sent: dict[str, float] = field(default_factory=dict)
    _seen_seq: int = 0
    _unheard: list[float] = field(default_factory=list)

    async def ready(self) -> bool:
        """Wait until the bridge is subscribed and its broker connected."""
        until = time.monotonic() + _READY_SECONDS
        while time.monotonic() < until and not self.bridge.ended:
            status = await self.bridge.status()
            if status is not None and status["hub"]["connected"] and status["sinks"]["mqtt"]["connected"]:
                self.screen.opening(self.bridge.url, self.hub.url, self.way.port)
                self._look_at_ledger()
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def play(self, seconds: float) -> None:
        """Let it run; after a quarter the hub goes away for a while, after five eighths the broker."""
        begun = time.monotonic()
        scenes = [
            (seconds * 0.25, "the hub goes away", self.hub.go_down),
            (seconds * 0.25 + _AWAY_SECONDS, "the hub is back", self.hub.come_back),
            (seconds * 0.6, "the broker goes away; the journal takes what the hub sends", self.way.shut),
            (seconds * 0.6 + _AWAY_SECONDS, "the broker is back", self.way.open),
        ]
        next_line = 0.0
        while (now := time.monotonic()) - begun < seconds:
            if scenes and now - begun >= scenes[0][0]:
                _, text, act = scenes.pop(0)
                self.screen.scene(now - begun, text)
                await act()
            status = await self.bridge.status()
            self._look_at_ledger()
            if now - begun >= next_line:
                next_line += 1.0
                arrived = self.arrivals.notifications
                recent = [at - self.sent[digest] for digest, at in arrived[-20:] if digest in self.sent]
                self.screen.line(now - begun, status, len(self.sent), len(arrived), recent, self.bridge.newest)
            await asyncio.sleep(_LOOK_SECONDS)

    async def settle(self) -> Tally:
        """Take the hub away for good, wait until everything accepted has arrived, and count."""
        self._look_at_ledger()
        self.hub.hub.forget_subscriptions()  # for a while nothing is sent, so that its end cuts nothing off
        until = time.monotonic() + _LAST_WAY_SECONDS
        while time.monotonic() < until:
            if self.bridge.printed[-1:] == [*self.sent][-1:]:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        await self.hub.go_down()
        until = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < until:
            status = await self.bridge.status()
            if status is not None and not any(sink["lagEvents"] for sink in status["sinks"].values()):
                break
            await asyncio.sleep(_LOOK_SECONDS)
        await asyncio.sleep(0.5)  # for what is on its way from the broker to the subscriber
        counted = await self.bridge.accepted()
        arrivals = self.arrivals
        windows, notifications = list(arrivals.windows), list(arrivals.notifications)
        return tally(self.sent, self._unheard, windows, self.bridge.printed, counted, notifications)

    def _look_at_ledger(self) -> None:
        for change in self.hub.ledger.since(self._seen_seq):
            self._seen_seq = change.seq
            if change.sent_to and change.sha256 is not None:
                self.sent[change.sha256] = change.at
            elif change.resource in RESOURCES:
                self._unheard.append(change.at)
