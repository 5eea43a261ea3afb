"""A hub with a few resources that change, and its connections: what it says, what it has said, what nobody heard.

It sends each change to whoever is subscribed just then, after a while on the wire and in order; a cut loses what is on
the wire. Some changes carry a mark that makes one broker refuse them, some are sent again, some are no notification.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

from bridge.errors import Unavailable
from bridge.message import LICENCE_ACTIVATED, RESOURCES_CHANGED, Message, event_id
from bridge.portos.backlog import Backlog
from bridge.source import Batch, SourceActivity, Unreadable

__all__ = ["RESOURCES", "SITE", "Change", "Shop"]

SITE = "default"
RESOURCES = ("tickets", "orders")
_KEYS = [(resource, f"{resource[0]}{number}") for resource in RESOURCES for number in range(3)]
_TICK = 3e-6  # timers of the same moment run in no order
_PING_SECONDS = 1.0
MARKS = (b"poison kafka", b"poison mqtt", b"cursed kafka", b"cursed mqtt")


@dataclass(frozen=True, slots=True)
class Change:
    """What the shop did, when, and how it would be told."""

    at: float
    message: Message


class Connection:
    """One connection of the bridge to the shop; it is the bridge's source as well."""

    def __init__(self, shop: "Shop", activity: SourceActivity) -> None:
        self._shop = shop
        self._activity = activity
        self._loop = asyncio.get_running_loop()
        self._backlog = Backlog(2**24, 20_000, activity)
        self._last_arrival = 0.0
        self._cut = False
        self._leaving = False
        self._proved_at = 0.0
        self.left = asyncio.Event()

    async def batches(self) -> AsyncIterator[Batch]:
        """Be the source."""
        yield Batch((), proved_at=self._loop.time())
        while (batch := await self._backlog.take()) is not None:
            all_taken = not len(self._backlog)
            yield Batch(batch.messages, batch.unreadable, proved_at=self._proved_at if all_taken else None)
        self.left.set()
        raise Unavailable("the connection is over", reason="closed" if self._leaving else "network")

    def send(self, what: Message | Unreadable | None, at: float) -> None:
        """Send on the wire: a change, what is none, or a ping; it arrives in order."""
        arrival = max(self._last_arrival + _TICK, self._loop.time() + self._shop.way_seconds)
        self._last_arrival = arrival
        self._loop.call_at(arrival, self._arrived, what, at)

    def _arrived(self, what: Message | Unreadable | None, at: float) -> None:
        if self._cut:
            return
        self._proved_at = max(self._proved_at, at)
        if what is None:
            self._backlog.wake()
            return
        self._activity.received += 1
        self._backlog.put([what])

    def cut(self, *, lose: bool) -> None:
        """End it; what has arrived and nobody has fetched is lost too, or read to the end."""
        self._cut = True
        if lose:
            self._backlog.clear()
        self._backlog.close()

    def leave(self) -> None:
        """Let it go in order: the shop sends nothing more, and what is on the wire arrives."""
        self._leaving = True
        arrival = max(self._last_arrival + _TICK, self._loop.time() + self._shop.way_seconds)
        self._loop.call_at(arrival, self._backlog.close)


class Shop:
    """See the module."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.changes: list[Change] = []
        self.way_seconds = 0.005
        self.down_until = 0.0
        self.marks = 0.0
        """How probable it is that a change is one that a broker refuses."""
        self.repeats = 0.0
        self.body_bytes = 50
        self.closed = False
        self._versions: dict[tuple[str, str], int] = dict.fromkeys(_KEYS, 0)
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._subscribed = False

    @asynccontextmanager
    async def connect(self, activity: SourceActivity) -> AsyncIterator[Connection]:
        """Be what opens the source: the shop knows the subscription a while before the bridge hears so."""
        await asyncio.sleep(self.way_seconds)
        if self.closed:
            await asyncio.Event().wait()
        if self._loop.time() < self.down_until:
            raise Unavailable("nobody listens", reason="refused")
        connection = self._connection = Connection(self, activity)
        self._subscribed = True
        pinging = asyncio.create_task(self._ping(connection))
        try:
            for change in self.changes[-2:] if self.dice.random() < self.repeats else []:
                connection.send(change.message, self._loop.time())
            await asyncio.sleep(self.way_seconds)
            yield connection
        finally:
            pinging.cancel()
            connection.cut(lose=True)
            if self._connection is connection:
                self._connection, self._subscribed = None, False

    async def _ping(self, connection: Connection) -> None:
        while True:
            await asyncio.sleep(_PING_SECONDS)
            if self._subscribed:
                connection.send(None, self._loop.time())

    def change(self, *, plain: bool = False) -> Message:
        """Make a change and tell it; a plain one is refused by nobody."""
        dice, now = self.dice, self._loop.time()
        mark = dice.choice(MARKS) if not plain and dice.random() < self.marks else b""
        body = mark + b" " * dice.randint(1, self.body_bytes) + str(len(self.changes)).encode()
        if not plain and dice.random() < 0.05:
            identity = event_id(SITE, LICENCE_ACTIVATED, None, None, None, now, len(self.changes))
            message = Message(identity, LICENCE_ACTIVATED, None, None, None, None, now, None, now, body)
        else:
            resource, key = dice.choice(_KEYS)
            self._versions[resource, key] += 1
            version = self._versions[resource, key]
            identity = event_id(SITE, resource, key, version, "updated")
            message = Message(
                identity, RESOURCES_CHANGED, resource, key, version, "updated", now, None, now + self.way_seconds, body
            )
        self.changes.append(Change(now, message))
        self._tell(message, now)
        return message

    def _tell(self, message: Message, now: float) -> None:
        if self._connection is None or not self._subscribed:
            return
        self._connection.send(message, now)
        if self.dice.random() < self.repeats:
            self._connection.send(self.dice.choice(self.changes[-5:]).message, now)
        if self.dice.random() < 0.02:
            self._connection.send(Unreadable("not_json", "Expecting value", b"{", now), now)

    def cut(self, *, lose: bool) -> None:
        """End the connection from the shop's side."""
        self._subscribed = False
        if self._connection is not None:
            self._connection.cut(lose=lose)

    async def leave(self) -> None:
        """Be left by the bridge, for good."""
        self.closed, self._subscribed = True, False
        if self._connection is not None:
            self._connection.leave()
            await self._connection.left.wait()
