"""Where clients come in: negotiate, the WebSocket, and the conversation on it until one side ends it.

What is said is decided in `protocol` and `subscription`; the hub is told who is there.
"""

import asyncio
import secrets
import time
from collections.abc import Iterable

from aiohttp import WSMsgType, web

from bridge.simulator import protocol, subscription
from bridge.simulator.access import authenticated, json_response
from bridge.simulator.connection import Connection
from bridge.simulator.hub import Hub
from bridge.simulator.option import SimulatorOptions
from bridge.simulator.session import Sessions

__all__ = ["PATH", "Endpoint"]

PATH = "/signalr/v1/mainHub"
_NEGOTIATED_SECONDS = 15  # what ASP.NET Core gives a client between negotiate and connect


class Endpoint:
    """The two addresses of the hub."""

    def __init__(self, options: SimulatorOptions, sessions: Sessions, hub: Hub) -> None:
        self._options = options
        self._sessions = sessions
        self._hub = hub
        self._negotiated: dict[str, tuple[str, float]] = {}
        self._in_use: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        """Give what is to be added to the application."""
        return [web.post(f"{PATH}/negotiate", self._negotiate), web.get(PATH, self._connect, allow_head=False)]

    def forget(self) -> None:
        """Forget who negotiated and has not connected yet, as a new process does."""
        self._negotiated.clear()

    async def _negotiate(self, request: web.Request) -> web.Response:
        authenticated(request, self._sessions)
        now = time.monotonic()
        self._negotiated = {
            token: entry for token, entry in self._negotiated.items() if now - entry[1] < _NEGOTIATED_SECONDS
        }
        asked = request.query.get("negotiateVersion", "0")
        version = int(asked) if asked.isdecimal() else 0
        identity = secrets.token_urlsafe(16)
        token = secrets.token_urlsafe(16) if version else identity
        self._negotiated[token] = (identity, now)
        return json_response(protocol.negotiation(version, identity, token))

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        claims = authenticated(request, self._sessions)
        token = request.query.get("id", "")
        if token in self._in_use:
            return web.Response(status=409, text="Connection is already in use")
        if "id" in request.query and token not in self._negotiated:
            return web.Response(status=404, text="No Connection with that ID")
        identity, _ = self._negotiated.pop(token, (secrets.token_urlsafe(16), 0.0))
        socket = web.WebSocketResponse(autoclose=False, compress=False, timeout=1)
        await socket.prepare(request)
        if request.transport is None:
            return socket
        buffer_bytes = self._options.send_buffer_bytes
        connection = Connection(identity, claims, socket, request.transport, buffer_bytes=buffer_bytes)
        if token:
            self._in_use.add(token)
        try:
            async with asyncio.TaskGroup() as group:
                sending = connection.send(self._hub.speaking, timeout_seconds=self._options.send_timeout_seconds)
                group.create_task(sending, name=f"send to {identity}")
                await self._converse(connection, socket)
        finally:
            connection.end()
            self._hub.remove(connection)
            self._in_use.discard(token)
        return socket

    async def _converse(self, connection: Connection, socket: web.WebSocketResponse) -> None:
        """Read until the client leaves or breaks the protocol; say Close then."""
        splitter = protocol.RecordSplitter()
        try:
            rest = await self._greet(connection, socket, splitter)
            while connection.is_open:
                if not all(self._obey(connection, record) for record in rest):
                    connection.close(protocol.close())
                    return
                data = await self._receive(socket)
                await connection.room()
                if connection.last_heard is not None:
                    connection.last_heard = time.monotonic()
                rest = splitter.feed(data)
        except protocol.HandshakeError as error:
            connection.close(protocol.handshake_error(str(error)))
        except protocol.RecordError:
            connection.close(protocol.close(protocol.FAILED, allow_reconnect=True))
        except EOFError:
            connection.close(protocol.close(allow_reconnect=True))

    async def _greet(
        self, connection: Connection, socket: web.WebSocketResponse, splitter: protocol.RecordSplitter
    ) -> Iterable[bytes]:
        """Take the handshake; give the records that came with it."""
        records: list[bytes] = []
        try:
            async with asyncio.timeout(self._options.handshake_timeout_seconds):
                while not records:
                    records = splitter.feed(await self._receive(socket))
        except TimeoutError as error:
            raise protocol.HandshakeError(protocol.HANDSHAKE_LATE) from error
        protocol.accept_handshake(records[0])
        connection.put(protocol.HANDSHAKE_ACCEPTED)
        self._hub.add(connection)
        return records[1:]

    async def _receive(self, socket: web.WebSocketResponse) -> bytes:
        """Wait for data; raise EOFError when the client is gone. A silent hub reads on only when it speaks again."""
        message = await socket.receive()
        await self._hub.speaking.wait()
        match message.type:
            case WSMsgType.TEXT:
                return str(message.data).encode()
            case WSMsgType.BINARY:
                return bytes(message.data)
            case _:
                raise EOFError

    def _obey(self, connection: Connection, record: bytes) -> bool:
        """Do what a record asks for; False says that the client leaves."""
        match protocol.parse(record):
            case protocol.Closing():
                return False
            case protocol.Pinging() if connection.last_heard is None:
                connection.last_heard = time.monotonic()
            case protocol.Invocation() as call:
                error = self._call(connection, call)
                if call.invocation_id is not None:
                    connection.put(protocol.completion(call.invocation_id, error))
            case _:
                pass
        return True

    def _call(self, connection: Connection, call: protocol.Invocation) -> str | None:
        """Carry out a method; give the text of its failure, worded as ASP.NET Core does."""
        method = call.target.lower()
        if method not in ("subscribe", "unsubscribe"):
            return (
                f"Failed to invoke '{call.target}' due to an error on the server. HubException: Method does not exist."
            )
        failed = f"An unexpected error occurred invoking '{call.target}' on the server."
        try:
            topics = subscription.topics(call.arguments)
        except subscription.ArgumentError:
            return f"Failed to invoke '{call.target}' due to an error on the server."
        except subscription.RefusalError as error:
            return f"{failed} HubException: {error}"
        if method == "unsubscribe":
            connection.topics -= topics
        elif self._hub.refusals > 0:
            self._hub.refusals -= 1
            return f"{failed} HubException: {self._hub.refusal}"
        else:
            connection.topics |= topics
        self._hub.audience_changed()
        self._hub.note(f"{method}d", connection.id, request=call.arguments[0])
        return None
