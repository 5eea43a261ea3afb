"""One client's WebSocket: what it subscribed to, what is still to be sent to it, and how it ends.

Whoever has something to say puts records into the connection and never waits for the client; one task takes all there
is and sends it as one message, as the real server does under load. The hub owns connections and their tasks.
"""

import asyncio
import time

from aiohttp import WSMsgType, web

from bridge.simulator.session import Claims

__all__ = ["Connection"]

_LONGEST_MESSAGE_BYTES = 65_536


class Connection:
    """A connection from its upgrade to its end.

    `topics` is empty until the client subscribes; `sent` counts the notifications put in for it;
    `last_heard` is a reading of the monotonic clock, None until the client's first ping.
    """

    def __init__(
        self,
        identity: str,
        claims: Claims,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        *,
        buffer_bytes: int,
    ) -> None:
        self.id = identity
        self.claims = claims
        self.since = time.time()
        self.topics: set[str] = set()
        self.sent = 0
        self.last_heard: float | None = None
        self.last_pinged = time.monotonic()
        self._socket = socket
        self._transport = transport
        self._buffer_bytes = buffer_bytes
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._is_open = True
        self._something = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def is_open(self) -> bool:
        """Tell whether anything put in now still reaches the client, if it only reads."""
        return self._is_open

    @property
    def is_full(self) -> bool:
        """Tell whether changes have to wait for this client."""
        return self._is_open and self._unsent_bytes >= self._buffer_bytes

    def put(self, record: bytes) -> bool:
        """Have a record sent; after the end of the connection it is forgotten, and False is given."""
        if not self._is_open:
            return False
        self._unsent.append(record)
        self._unsent_bytes += len(record)
        self._something.set()
        if self._unsent_bytes >= self._buffer_bytes:
            self._room.clear()
        return True

    def close(self, last_record: bytes) -> None:
        """End the connection in order: what is unsent goes out, then this record, then the WebSocket's own close."""
        self.put(last_record)
        self.end()

    def drop(self) -> None:
        """Cut the socket at once, as a crash does."""
        self._unsent.clear()
        self.end()
        self._transport.abort()

    async def room(self) -> None:
        """Wait until the client has taken enough, or is gone."""
        await self._room.wait()

    async def send(self, speaking: asyncio.Event, *, timeout_seconds: float) -> None:
        """Send what is put in until the end of the connection; while `speaking` is not set, say nothing."""
        while self._unsent or self._is_open:
            await self._something.wait()
            await speaking.wait()
            message = self._next_message()
            if not message:
                continue
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._socket.send_frame(message, WSMsgType.TEXT)
            except (TimeoutError, ConnectionError):
                self.drop()
        await self._socket.close()

    def _next_message(self) -> bytes:
        """Take the unsent records up to the length of a message, but at least one."""
        length = count = 0
        for record in self._unsent:
            if count and length + len(record) > _LONGEST_MESSAGE_BYTES:
                break
            length += len(record)
            count += 1
        message = b"".join(self._unsent[:count])
        del self._unsent[:count]
        self._unsent_bytes -= length
        if not self._unsent and self._is_open:
            self._something.clear()
        if self._unsent_bytes < self._buffer_bytes:
            self._room.set()
        return message

    def end(self) -> None:
        """Take nothing more; what is unsent still goes out."""
        self._is_open = False
        self._something.set()
        self._room.set()
