"""The hub layer: signalrcore's, given a protocol and a transport of our own over a socket that somebody else owns.

No I/O here: what is to be sent goes into an outbox, what came from the socket is given to `Hub.receive`, and nothing
raises into signalrcore. Of its 1.0.2 only the names in `tests/unit/portos/test_signalrcore.py` are used, none of
its own sockets, threads and reconnecting: the second outage leaves those hanging for ever.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from signalrcore.hub.base_hub_connection import BaseHubConnection
from signalrcore.messages.close_message import CloseMessage
from signalrcore.messages.completion_message import CompletionMessage
from signalrcore.messages.ping_message import PingMessage
from signalrcore.transport.base_transport import BaseTransport, TransportState
from signalrcore.transport.transport_factory import TRANSPORTS
from signalrcore.types import HttpTransportType

from bridge.message import Message
from bridge.portos.records import HandshakeRefusedError, HubProtocol, Read, Unanswerable
from bridge.source import Unreadable

__all__ = ["Closing", "HandshakeRefusedError", "Hub", "InvocationFailedError"]

# DEBUG prints every payload. Its level is set once, here, where the library is imported.
logging.getLogger("SignalRCoreClient").setLevel(logging.WARNING)


class InvocationFailedError(Exception):
    """A hub method answered with an error, or the connection ended before it answered."""


@dataclass(frozen=True, slots=True)
class Closing:
    """The hub's Close: why, and whether a client may come back."""

    error: str | None
    allow_reconnect: bool


class _Transport(BaseTransport):  # type: ignore[misc]
    """What the library takes for its transport: states and an outbox."""

    def __init__(self, outbox: "asyncio.Queue[str]", **options: Any) -> None:
        super().__init__(**options)
        self._outbox = outbox
        self.handshake_received = False
        self.closing: Closing | None = None

    def start(self, reconnection: bool = False) -> bool:  # noqa: FBT001, FBT002 - the library's signature
        self._set_state(TransportState.connecting)
        self.send_handshake()
        return not reconnection

    def send(self, message: Any, on_invocation: object = None) -> None:  # noqa: ARG002 - the library's signature
        self._outbox.put_nowait(self.protocol.encode(message))

    def receive(self, raw: bytes) -> None:
        if self.handshake_received:
            records = self.protocol.parse_messages(raw)
        else:
            _, records = self.protocol.decode_handshake(raw)
            self.handshake_received = True
            self._set_state(TransportState.connected)
        for record in records:
            if type(record) is Unanswerable:
                self.send(record)
            elif type(record) is CloseMessage and self.closing is None:
                self.closing = Closing(record.error, record.allow_reconnect)
        self._on_message([record for record in records if type(record) is not Unanswerable])

    def dispose(self) -> None:
        self._set_state(TransportState.disconnected)


class Hub:
    """One connection's worth of the hub protocol: never started twice.

    `deliver` is called once for each WebSocket message that holds notifications. The socket's owner empties `outbox`.
    """

    def __init__(
        self,
        target: str,
        read: Read,
        deliver: Callable[[Sequence[Message | Unreadable]], None],
        frames: dict[str, int],
    ) -> None:
        TRANSPORTS[HttpTransportType.web_sockets] = _Transport
        self.outbox: asyncio.Queue[str] = asyncio.Queue()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._protocol = HubProtocol(target, read, frames)
        self._ids = itertools.count()
        self._pending: dict[str, asyncio.Future[None]] = {}
        self._connection: Any = BaseHubConnection(
            "",
            protocol=self._protocol,
            skip_negotiation=True,
            preferred_transport=HttpTransportType.web_sockets,
            headers={},
            ssl_context=None,
            outbox=self.outbox,
        )
        self._connection.on(target, deliver)
        self._connection.on_open(self._open)
        self._connection.on_error(self._failed)
        self._connection.on_close(lambda: None)

    @property
    def closing(self) -> Closing | None:
        """The hub's Close, once it came after `start`; the connection is over then."""
        transport: _Transport = self._connection.transport
        return transport.closing

    def start(self) -> None:
        """Put the handshake into the outbox; `opened` is done when it is answered, or fails."""
        self._connection.start()

    def receive(self, raw: bytes, now: float) -> None:
        """Take a WebSocket message that came `now`; raises `HandshakeRefusedError` if it is a wrong answer to that."""
        self._protocol.received_at = now
        self._connection.transport.receive(raw)

    def ping(self) -> None:
        """Put a ping into the outbox."""
        self._connection.transport.send(PingMessage())

    async def invoke(self, method: str, argument: object) -> None:
        """Call a hub method and wait for its completion; raises `InvocationFailedError`. It has no deadline."""
        identity = str(next(self._ids))
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending[identity] = answered
        try:
            self._connection.invoke(method, [argument], self._completed, identity)
            await answered
        finally:
            del self._pending[identity]

    def stop(self, why: str) -> None:
        """End the connection here: whatever still waits for an answer fails now."""
        for answered in (self.opened, *self._pending.values()):
            if not answered.done():
                answered.set_exception(InvocationFailedError(why))
                answered.exception()  # seen, even if whoever waited has been cancelled
        self._connection.stop()

    def _open(self) -> None:
        if not self.opened.done():
            self.opened.set_result(None)

    def _completed(self, completion: CompletionMessage) -> None:
        answered = self._pending.get(completion.invocation_id)
        if answered and not answered.done():
            answered.set_result(None)

    def _failed(self, completion: CompletionMessage) -> None:
        answered = self._pending.get(completion.invocation_id)
        if answered and not answered.done():
            answered.set_exception(InvocationFailedError(f"{completion.error[:200]!r}"))
