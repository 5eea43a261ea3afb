"""A hub, a network and a disk that are models; between them the real session, relay, intake and window rule.

The hub sends changes to who is subscribed and keeps nothing; the network delays, holds and cuts; the disk is late or
full, and forgets at a kill what it had not yet written. The model knows the truth, so it can say what the stream hides.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from aiohttp import WSMessage, WSMsgType

from bridge.blind import Sight
from bridge.deadline import Deadline
from bridge.errors import Unavailable
from bridge.intake import Intake
from bridge.journal import Previous
from bridge.journal.room import Room
from bridge.ledger import Ledger
from bridge.link import UNCOUNTED, Link, Times
from bridge.message import RESYNC_REQUIRED, Message, rfc3339
from bridge.metrics import Catalogue
from bridge.pipeline import keep
from bridge.policy import Pauses
from bridge.portos.backlog import Backlog
from bridge.portos.doubt import Doubt, Patience
from bridge.portos.memory import VersionMemory
from bridge.portos.relay import Rotation, relay
from bridge.portos.session import Session
from bridge.portos.source import subscribed
from bridge.scope import Scope
from bridge.settings.core import Hub as HubSettings
from bridge.source import Source, SourceActivity, Unreadable

__all__ = ["WAY_SECONDS", "Change", "Faults", "ModelHub", "World"]

WAY_SECONDS = 0.01
TICK = 3e-6  # timers of the same moment run in no order
WANTED: list[dict[str, object]] = [{"e": "portos.resources.changed"}]
END = "\x1e"


@dataclass(frozen=True)
class Change:
    """A change of the model's one shop: its number is its version, and order is the order of numbers."""

    number: int
    at: float


class Wire:
    """One WebSocket between the bridge and the hub; it is the bridge's socket as well."""

    def __init__(self, hub: "ModelHub") -> None:
        self.hub = hub
        self.subscribed = False
        self.open = True
        self.silent = False
        self._arriving: asyncio.Queue[WSMessage] = asyncio.Queue()
        self._last_arrival = 0.0
        self._loop = asyncio.get_running_loop()

    def to_bridge(self, *records: dict[str, Any]) -> None:
        """Send to the bridge; what is on its way arrives in order."""
        text = "".join(json.dumps(record) + END for record in records)
        self._arrive(WSMessage(WSMsgType.TEXT, text.encode(), None))

    def end(self, *, lose: bool) -> None:
        """End it; what is on its way is lost, or arrives before the end."""
        self.subscribed = self.open = False
        if self in self.hub.wires:
            self.hub.wires.remove(self)
        if lose:
            self.silent = True
            self._arriving.put_nowait(WSMessage(WSMsgType.CLOSED, None, None))
        else:
            self._arrive(WSMessage(WSMsgType.CLOSED, None, None))

    def _arrive(self, message: WSMessage) -> None:
        at = max(self._last_arrival + TICK, self._loop.time() + self.hub.way_seconds, self.hub.held_until)
        self._last_arrival = at
        self._loop.call_at(at, self._arrived, message)

    def _arrived(self, message: WSMessage) -> None:
        if not self.silent:
            self._arriving.put_nowait(message)

    async def receive(self) -> WSMessage:
        """Be the bridge's socket."""
        return await self._arriving.get()

    async def send_str(self, text: str) -> None:
        """Be the bridge's socket."""
        for record in text.split(END)[:-1]:
            self._loop.call_later(self.hub.way_seconds, self._asked, json.loads(record))

    def _asked(self, record: dict[str, Any]) -> None:
        if self.silent or not self.open:
            return
        if "protocol" in record:
            self.to_bridge({})
        elif record.get("type") == 1:
            self.subscribed = record["target"] == "Subscribe"
            self.to_bridge({"type": 3, "invocationId": record["invocationId"], "result": None})


@dataclass
class ModelHub:
    """Sends each change to who is subscribed just then."""

    way_seconds: float = WAY_SECONDS
    held_until: float = 0.0
    down_until: float = 0.0
    refuses_second: bool = False
    wires: list[Wire] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    forgotten_at: list[float] = field(default_factory=list)
    most_connections: int = 0

    def change(self) -> None:
        """Make a change and tell it."""
        now = asyncio.get_running_loop().time()
        made = Change(len(self.changes) + 1, now)
        self.changes.append(made)
        info = {"i": "t1", "n": "tickets", "v": made.number}
        payload = {"n": "tickets", "a": 2, "i": info, "r": [], "u": None}
        event = {"e": "portos.resources.changed", "ca": rfc3339(now), "ea": None, "p": payload}
        for wire in self.wires:
            if wire.subscribed:
                wire.to_bridge({"type": 1, "target": "OnEvent", "arguments": [event]})

    def abort(self) -> None:
        """Reset every connection."""
        for wire in list(self.wires):
            wire.end(lose=True)

    def close(self) -> None:
        """Close every connection in order, with all that was sent before."""
        for wire in list(self.wires):
            wire.to_bridge({"type": 7, "error": None, "allowReconnect": True})
            wire.end(lose=False)

    def vanish(self) -> None:
        """End every connection without a word, behind all that was sent."""
        for wire in list(self.wires):
            wire.end(lose=False)

    def cut(self) -> None:
        """Lose everything on its way between the two, now and for ever, without a word to either."""
        for wire in self.wires:
            wire.silent = True

    def forget(self) -> None:
        """Forget every subscription without a word."""
        self.forgotten_at.append(asyncio.get_running_loop().time())
        for wire in self.wires:
            wire.subscribed = False

    async def ping(self) -> None:
        """Ping everybody for ever."""
        while True:
            await asyncio.sleep(1)
            for wire in self.wires:
                wire.to_bridge({"type": 6})

    async def opened(self) -> Wire:
        """Open a connection, or refuse it."""
        await asyncio.sleep(self.way_seconds)
        now = asyncio.get_running_loop().time()
        self.wires = [wire for wire in self.wires if not wire.silent]  # the hub gives up who does not answer
        if now < self.down_until:
            raise Unavailable("nobody listens", reason="network")
        if self.refuses_second and self.wires:
            raise Unavailable("one is enough", reason="refused")
        wire = Wire(self)
        self.wires.append(wire)
        self.most_connections = max(self.most_connections, len(self.wires))
        return wire


class ModelDisk:
    """A journal: what is written is durable after a while, in order, or never where the process is killed first."""

    def __init__(self, stored: list[Message], proved_at: float | None, clean: bool | None, seconds: float) -> None:  # noqa: FBT001
        self.stored = stored
        self.previous = Previous(clean, proved_at)
        self.proved_at = proved_at
        self.ledger = Ledger(received=len(stored))
        self.room = Room(2**40)
        self.full_until = 0.0
        self.seconds = seconds
        self.killed = False
        self._loop = asyncio.get_running_loop()
        self._durable_at = 0.0

    async def append(
        self,
        messages: Sequence[Message],
        _: Sequence[Unreadable] = (),
        proved_at: float | None = None,
        __: str | None = None,
    ) -> bool:
        """Be the journal."""
        if self._loop.time() < self.full_until and messages:
            return False
        done = self._loop.create_future()
        self._write(partial(self._appended, list(messages), proved_at, done))
        await done
        return True

    def prove(self, at: float, _: str | None = None) -> None:
        """Be the journal."""
        self._write(partial(self._appended, [], at, None))

    async def written(self) -> None:
        """Wait until everything is durable."""
        await asyncio.sleep(max(self._durable_at - self._loop.time(), 0) + TICK)

    def _write(self, effect: Any) -> None:
        self._durable_at = max(self._durable_at + TICK, self._loop.time() + self.seconds)
        self._loop.call_at(self._durable_at, effect)

    def _appended(self, messages: list[Message], proved_at: float | None, done: "asyncio.Future[None] | None") -> None:
        if self.killed:
            return
        self.stored += messages
        self.proved_at = proved_at if proved_at is not None else self.proved_at
        if done is not None and not done.done():
            done.set_result(None)


@dataclass(frozen=True)
class Faults:
    """What the bridge is set to."""

    recycle_seconds: float = 0.0
    beside: bool = True
    disk_seconds: float = 0.002


class World:
    """One run: what was changed, what the stream says, and how many connections there were."""

    def __init__(self, faults: Faults = Faults()) -> None:
        self.hub = ModelHub()
        self.stored: list[Message] = []
        self._faults = faults
        self._loop = asyncio.get_running_loop()
        self._pinging = asyncio.create_task(self.hub.ping())
        self._start(None, None)

    def _start(self, proved_at: float | None, clean: bool | None) -> None:  # noqa: FBT001
        self.disk = ModelDisk(self.stored, proved_at, clean, self._faults.disk_seconds)
        self.leaving, self._reading = asyncio.Event(), asyncio.Lock()
        self._bridge = asyncio.create_task(self._run(self.disk, self.leaving))

    async def _run(self, disk: ModelDisk, leaving: asyncio.Event) -> None:
        """Be `bridge.service`, as far as the source goes."""
        activity = SourceActivity()
        link = Link("hub", Times(10, 2, 30, Pauses(0.5, 2, 60)), UNCOUNTED)
        previous = disk.previous
        sight = Sight(previous.proved_at, "stopped" if previous.clean else "unclean_start")
        catalogue = Catalogue("default", [], ["tickets"], 50)
        journal: Any = disk
        memory = VersionMemory("monotonic", "default", 86_400)
        memory.learn(disk.stored)
        intake = Intake(journal, catalogue, link, activity, memory, sight, Scope(["tickets"]))
        ignore = [].append
        faults = self._faults
        rotation = Rotation(False, lambda: "", faults.recycle_seconds, faults.beside, 5, 1.5, ignore, ignore)
        doubt, reading = Doubt(Patience(5, 45, 900)), self._reading

        async def read(source: Source, deadline: Deadline) -> None:
            async with reading:
                await intake.read(source, deadline)

        await keep(link, partial(relay, partial(self._connect, activity), rotation, doubt, leaving), read)

    @asynccontextmanager
    async def _connect(self, activity: SourceActivity, leaving: asyncio.Event) -> AsyncIterator[Session]:
        """Be `bridge.portos.source.connect`, without HTTP."""
        wire: Any = await self.hub.opened()
        settings = HubSettings(url="http://127.0.0.1", silence_seconds=8, keepalive_seconds=4, answer_seconds=5)
        try:
            session = Session(settings, "default", activity, wire, Backlog(2**24, 20_000, activity))
            async with subscribed(session, WANTED, leaving):
                yield session
        finally:
            wire.end(lose=False)

    async def kill(self, away_seconds: float) -> None:
        """Kill the bridge and start it again after a while: what was not on disk is gone."""
        self.disk.killed = True
        for wire in list(self.hub.wires):
            wire.end(lose=True)
        await self._ended()
        await asyncio.sleep(away_seconds)
        self._start(self.disk.proved_at, clean=False)

    async def restart(self, away_seconds: float) -> None:
        """Stop the bridge in order, and start it again after a while."""
        self.leaving.set()
        async with self._reading:
            self._bridge.cancel()
        await self._ended()
        await self.disk.written()
        await asyncio.sleep(away_seconds)
        self._start(self.disk.proved_at, clean=True)

    async def _ended(self) -> None:
        self._bridge.cancel()
        with suppress(asyncio.CancelledError):
            await self._bridge

    async def close(self) -> None:
        """End everything; raises what the bridge has raised."""
        self._pinging.cancel()
        await self._ended()

    @property
    def windows(self) -> list[tuple[float, float, str]]:
        """What the stream tells: from, to, cause."""
        return [window for _, window in self.placed_windows()]

    def placed_windows(self) -> Iterator[tuple[int, tuple[float, float, str]]]:
        """Give each with the number of changes that stand before it."""
        place = 0
        for message in self.stored:
            if message.event != RESYNC_REQUIRED:
                place += 1
                continue
            told = json.loads(message.body)
            since = told["window"]["from"]
            yield place, (_moment(since) if since else 0.0, _moment(told["window"]["to"]), told["cause"])

    @property
    def numbers(self) -> list[int]:
        """The changes that the stream has, in its order."""
        return [message.version or 0 for message in self.stored if message.event != RESYNC_REQUIRED]


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
