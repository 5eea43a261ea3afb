"""A WebSocket as an asyncio transport: the packets of MQTT in binary messages, whatever their borders (MQTT 5.0, 6.0).

aiohttp shakes hands and frames; its sending and receiving are coroutines, so two tasks stand behind each transport.
Used by `sinks.mqtt.connection`.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import Any, Final

import aiohttp
from aiohttp import WSMsgType

from bridge.errors import Unavailable
from sinks.mqtt.meaning import upgrade_refused

__all__ = ["WebSocketTransport", "open_websocket"]

_SUBPROTOCOL: Final = "mqtt"
_SWITCHING_PROTOCOLS: Final = 101
_FRAME_BYTES: Final = 65_536
_HIGH_BYTES: Final = 262_144
_LOW_BYTES: Final = 65_536
_CLOSE_SECONDS: Final = 1.0


async def open_websocket(url: str, context: ssl.SSLContext | None, protocol: asyncio.Protocol) -> None:
    """Open a WebSocket and make it the transport of a protocol, which is told when all of it is closed again.

    Raises `OSError` where there is no connection, `Unavailable` where there is one and no WebSocket for MQTT.
    Cancelling leaves nothing behind.
    """
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
        middlewares=[_upgraded],
    )
    try:
        opened = await _handshake(session, url, context)
    except BaseException:
        await session.close()
        raise
    WebSocketTransport(session, opened, protocol)


async def _upgraded(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Refuse every other answer: a redirect too, which would be followed, and the login with it."""
    response = await handler(request)
    if response.status != _SWITCHING_PROTOCOLS:
        response.close()
        raise upgrade_refused(response.status)
    return response


async def _handshake(
    session: aiohttp.ClientSession, url: str, context: ssl.SSLContext | None
) -> aiohttp.ClientWebSocketResponse[bool]:
    closing = aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS)
    try:
        opened = await session.ws_connect(url, protocols=[_SUBPROTOCOL], ssl=context or True, timeout=closing)
    except aiohttp.ServerDisconnectedError as error:
        raise ConnectionResetError from error
    except aiohttp.ClientResponseError as error:
        text = f"the broker speaks no HTTP on that port, or not for WebSockets ({error.message!r}); check URL"
        raise Unavailable(text, reason="protocol", hold=True) from error
    except aiohttp.ClientError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise Unavailable(f"no WebSocket: {type(error).__name__}; check URL", reason="protocol") from error
    if opened.protocol != _SUBPROTOCOL:
        await opened.close()
        text = "the broker takes the WebSocket, but not for MQTT; check the path of URL"
        raise Unavailable(text, reason="protocol", hold=True)
    return opened


class WebSocketTransport(asyncio.Transport):
    """Carries the bytes of a protocol, as its transport, until either end closes it."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        opened: aiohttp.ClientWebSocketResponse[bool],
        protocol: asyncio.Protocol,
    ) -> None:
        super().__init__()
        self._session = session
        self._opened = opened
        self._socket: socket.socket = opened.get_extra_info("socket")
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._sending_bytes = 0
        self._waiting = asyncio.Event()
        self._paused = self._closing = self._aborted = False
        self._deadline: asyncio.TimerHandle | None = None
        protocol.connection_made(self)
        # As any transport it lives on its own: whoever closes it waits for `connection_lost`.
        self._task = self._loop.create_task(self._run(), name="mqtt websocket")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send with the next turn of the loop; ask the protocol to pause while much waits."""
        if self._closing:
            return
        self._unsent += data
        self._waiting.set()
        if not self._paused and len(self._unsent) > _HIGH_BYTES:
            self._paused = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        """Give how much waits for a peer that does not read; what goes out with the next turn is not counted."""
        return self._sending_bytes and self._sending_bytes + len(self._unsent)

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        """Give nothing, not even the socket: what it has read may still be handed over when that is closed."""
        return default

    def is_closing(self) -> bool:
        """Say whether it is closed, or about to be."""
        return self._closing

    def close(self) -> None:
        """Send what waits, say goodbye, and be gone within a second."""
        if not self._closing:
            self._closing = True
            self._waiting.set()
            self._deadline = self._loop.call_later(_CLOSE_SECONDS, self.abort)

    def abort(self) -> None:
        """Be gone at once: what waits is lost."""
        self._closing = self._aborted = True
        self._waiting.set()
        with suppress(OSError):  # it is closed already
            self._socket.shutdown(socket.SHUT_RDWR)

    async def _run(self) -> None:
        why: Unavailable | None = None
        try:
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(self._write(), name="mqtt websocket, writing")
                why = await self._read()
                if not self._closing:
                    writing.cancel()
        finally:
            if self._deadline is not None:
                self._deadline.cancel()
            self.abort()  # else a peer that does not read keeps it from being closed
            await self._opened.close()
            await self._session.close()
            self._protocol.connection_lost(why)

    async def _write(self) -> None:
        """Send what waits, in order; what can no more be sent is for the reader to notice."""
        with suppress(aiohttp.ClientError, OSError):
            while not self._aborted:
                while self._unsent:
                    await self._send()
                if self._closing:
                    await self._opened.close()
                    return
                self._waiting.clear()
                await self._waiting.wait()

    async def _send(self) -> None:
        frame = bytes(self._unsent[:_FRAME_BYTES])
        del self._unsent[:_FRAME_BYTES]
        self._sending_bytes = len(frame)
        await self._opened.send_bytes(frame)
        self._sending_bytes = 0
        if self._paused and len(self._unsent) <= _LOW_BYTES:
            self._paused = False
            self._protocol.resume_writing()

    async def _read(self) -> Unavailable | None:
        """Hand over what comes until the connection ends; say why, where the peer did."""
        while True:
            message = await self._opened.receive()
            match message.type:
                case WSMsgType.BINARY if not self._closing:
                    self._protocol.data_received(message.data)
                case WSMsgType.BINARY:
                    pass
                case WSMsgType.CLOSE:
                    text = f"the broker closed the WebSocket with code {message.data}"
                    return Unavailable(text, reason="server_close")
                case WSMsgType.TEXT | WSMsgType.ERROR:
                    text = "the broker sent what is no binary message of a WebSocket"
                    return Unavailable(text, reason="protocol")
                case _:
                    return None
