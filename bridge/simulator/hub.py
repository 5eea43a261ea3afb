"""The hub: the connections there are, who is told of what, and the clock that keeps them alive or ends them.

The simulator owns it and sends through it; connections come in through `endpoint`.
"""

import asyncio
import time
from collections import deque

from bridge.simulator import protocol, subscription
from bridge.simulator.connection import Connection
from bridge.simulator.option import SimulatorOptions
from bridge.simulator.session import Sessions

__all__ = ["Hub"]

_LOG_ENTRIES = 10_000


class Hub:
    """All connections there are.

    `speaking` is cleared for a hub that hangs: connections stay, nothing is sent and nothing answered. `refusals` is
    how many Subscribes are refused next, with `refusal` as the reason. `log` tells of connections and subscriptions.
    """

    def __init__(self, options: SimulatorOptions, sessions: Sessions) -> None:
        self.connections: dict[str, Connection] = {}
        self.speaking = asyncio.Event()
        self.speaking.set()
        self.refusals = 0
        self.refusal = ""
        self.close_on_expiry = options.close_on_expiry
        self.log: deque[dict[str, object]] = deque(maxlen=_LOG_ENTRIES)
        self._options = options
        self._sessions = sessions
        self._audiences: dict[str, list[Connection]] = {}

    def add(self, connection: Connection) -> None:
        """Take in a connection whose handshake is done."""
        self.connections[connection.id] = connection
        self.audience_changed()
        self.note("connected", connection.id)

    def remove(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        if self.connections.pop(connection.id, None) is not None:
            self.audience_changed()
            self.note("disconnected", connection.id, why=None)

    def audience_changed(self) -> None:
        """Work out anew who wants what; called whenever somebody comes, goes, subscribes or unsubscribes."""
        self._audiences.clear()

    def publish(self, topic: str, notification: bytes) -> int:
        """Send a notification to every connection that asked for it; give to how many. Never waits: see `room`."""
        audience = self._audiences.get(topic)
        if audience is None:
            audience = [each for each in self.connections.values() if subscription.wants(each.topics, topic)]
            self._audiences[topic] = audience
        if not audience:
            return 0
        record = protocol.invocation("OnEvent", notification)
        told = [connection for connection in audience if connection.put(record)]
        for connection in told:
            connection.sent += 1
        return len(told)

    @property
    def is_behind(self) -> bool:
        """Tell whether `room` would wait."""
        for connection in self.connections.values():  # noqa: SIM110 - asked for every change: a generator costs more
            if connection.is_full:
                return True
        return False

    async def room(self) -> None:
        """Wait until no client is behind by more than its buffer; one that takes nothing is dropped in the end."""
        for connection in [each for each in self.connections.values() if each.is_full]:
            await connection.room()

    def put_to_all(self, data: bytes) -> int:
        """Send bytes as they are to every connection; give to how many."""
        connections = self._open()
        for connection in connections:
            connection.put(data)
        return len(connections)

    def close_all(self, *, error: str | None = None, allow_reconnect: bool = False) -> None:
        """Say Close to every connection and end it; without `allow_reconnect` it is what an abort looks like."""
        for connection in self._open():
            connection.close(protocol.close(error, allow_reconnect=allow_reconnect))

    def drop_all(self) -> None:
        """Cut every connection at once."""
        for connection in list(self.connections.values()):
            connection.drop()

    def forget_subscriptions(self) -> None:
        """Drop every subscription and say nothing."""
        for connection in self._open():
            connection.topics.clear()
        self.audience_changed()

    async def keep_alive(self) -> None:
        """Ping, and end what is silent or expired, until cancelled."""
        options = self._options
        shortest = min(options.keepalive_seconds, options.client_timeout_seconds)
        while True:
            await asyncio.sleep(min(1.0, shortest / 4))
            if self.speaking.is_set():
                for connection in self._open():
                    self._look_after(connection, time.monotonic())

    def _look_after(self, connection: Connection, now: float) -> None:
        options = self._options
        if self.close_on_expiry and self._sessions.is_expired(connection.claims, time.time()):
            connection.close(protocol.close(allow_reconnect=True))
        elif connection.last_heard is not None and now - connection.last_heard > options.client_timeout_seconds:
            connection.close(protocol.close(protocol.FAILED, allow_reconnect=True))
        elif now - connection.last_pinged >= options.keepalive_seconds:
            connection.last_pinged = now
            connection.put(protocol.PING)

    def _open(self) -> list[Connection]:
        return [connection for connection in self.connections.values() if connection.is_open]

    def note(self, what: str, identity: str, **more: object) -> None:
        """Write into the log."""
        self.log.append({"at": time.time(), "what": what, "id": identity, **more})
