"""A Portos API on a real socket that does exactly what a test says: the faults of a hub, one small coroutine each."""

import asyncio
import base64
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from bridge.message import Message
from bridge.portos.source import connect
from bridge.portos.web import http_session
from bridge.settings.core import Hub, Subscribe
from bridge.source import Source, SourceActivity, Unreadable

END = b"\x1e"
HUB = "/signalr/v1/mainHub"


class Peer:
    """One WebSocket, seen from the hub."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.request = request
        self.socket = socket
        self.received: list[dict[str, Any]] = []

    async def send(self, *records: bytes | dict[str, Any]) -> None:
        """Send records as one WebSocket message."""
        texts = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
        await self.text(b"".join(text + END for text in texts))

    async def text(self, content: bytes) -> None:
        """Send a text message as it is, valid or not."""
        self.raw(frame(content))
        await asyncio.sleep(0)

    def raw(self, content: bytes) -> None:
        """Write to the TCP connection."""
        assert self.request.transport is not None
        self.request.transport.write(content)

    def abort(self) -> None:
        """Reset the TCP connection."""
        assert self.request.transport is not None
        self.request.transport.abort()

    async def next(self) -> dict[str, Any]:
        """Wait for the next record that is no ping; the connection's end raises ConnectionError."""
        while True:
            message = await self.socket.receive()
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                raise ConnectionError(message.type)
            record: dict[str, Any] = json.loads(message.data.rstrip("\x1e"))
            self.received.append(record)
            if record.get("type") != 6:
                return record

    async def accept(self, subscriptions: int = 2) -> None:
        """Answer the handshake and so many Subscribe calls."""
        await self.next()
        await self.send({})
        for _ in range(subscriptions):
            await self.complete(await self.next())

    async def complete(self, invocation: dict[str, Any], **members: Any) -> None:
        await self.send({"type": 3, "invocationId": invocation["invocationId"], **(members or {"result": None})})

    async def serve(self) -> None:
        """Answer whatever is called until the connection ends."""
        while True:
            await self.complete(await self.next())


Script = Callable[[Peer], Awaitable[None]]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def polite(peer: Peer) -> None:
    """Be a hub without faults."""
    await peer.accept()
    await peer.serve()


class ScriptedHub:
    """The server: `scripts` are played to one connection after the other, then `script` to all further ones."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.script: Script = polite
        self.scripts: list[Script] = []
        self.negotiate: Answer = self._negotiate
        self.upgrade: Answer | None = None
        self.login: Answer = self._login
        self.refresh: Answer = self._login
        self.log_out: Answer = self._log_out
        self.lifetime_seconds = 3600.0
        self.environment = "Tool"
        self.tokens: list[str] = []
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.bearers: list[str] = []
        self.peers: list[Peer] = []
        self.open = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked(self, method: str, path: str) -> int:
        """How often something was requested."""
        return self.requests.count((method, path))

    async def _login(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json())
        self.tokens.append(jwt(self.lifetime_seconds, len(self.tokens)))
        user = {"device": {"name": "BRIDGE1", "envName": self.environment}}
        refresh_token = f"refresh-{len(self.tokens)}"
        return web.json_response({"tokenId": self.tokens[-1], "refreshToken": refresh_token, "user": user})

    async def _log_out(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=204)

    async def _negotiate(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(negotiated())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        self.bearers.append(request.headers.get("Authorization", ""))
        match request.method, request.path:
            case "POST", "/api/auth":
                return await self.login(request)
            case "POST", "/api/auth/refresh":
                return await self.refresh(request)
            case "DELETE", "/api/auth":
                return await self.log_out(request)
            case "POST", path if path.endswith("/negotiate"):
                return await self.negotiate(request)
        if self.upgrade is not None:
            return await self.upgrade(request)
        return await self._talk(request)

    async def _talk(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=False, autoclose=False, compress=False)
        await socket.prepare(request)
        peer = Peer(request, socket)
        self.peers.append(peer)
        self.open += 1
        try:
            await (self.scripts.pop(0) if self.scripts else self.script)(peer)
        except ConnectionError:
            pass
        finally:
            self.open -= 1
            if request.transport is not None:
                request.transport.abort() if request.transport.is_closing() else request.transport.close()
        return socket


@asynccontextmanager
async def scripted_hub(port: int = 0, context: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedHub]:
    """Run a hub; leaving drops every connection."""
    hub = ScriptedHub(port)
    server = web.Server(hub.handle)
    runner = web.ServerRunner(server, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context, reuse_address=True)
    await site.start()
    hub.port = runner.addresses[0][1]
    try:
        yield hub
    finally:
        for peer in hub.peers:
            if peer.request.transport is not None:
                peer.abort()
        await runner.cleanup()


def negotiated(**members: Any) -> dict[str, Any]:
    transports = [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}]
    answer = {"negotiateVersion": 1, "connectionId": "public", "connectionToken": "secret-id"}
    return {**answer, "availableTransports": transports, **members}


def jwt(lifetime_seconds: float, number: int = 0) -> str:
    claims = json.dumps({"exp": time.time() + lifetime_seconds, "n": number}).encode()
    return f"head.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.signature"


def frame(content: bytes, opcode: int = 1, *, last: bool = True) -> bytes:
    """Write one unmasked WebSocket frame, as a server does."""
    head = bytes([opcode | (0x80 if last else 0)])
    if len(content) < 126:
        return head + bytes([len(content)]) + content
    if len(content) < 65_536:
        return head + b"\x7e" + len(content).to_bytes(2, "big") + content
    return head + b"\x7f" + len(content).to_bytes(8, "big") + content


def notification(
    number: int, *, resource: str = "tickets", size: int = 0, ca: str = "2025-03-04T09:15:27.104Z"
) -> dict[str, Any]:
    """Write an `OnEvent` whose resource id and version are the number."""
    info = {"i": f"id-{number}", "n": resource, "v": number}
    change = {"u": {"u": "1", "d": "P01", "f": None}, "n": resource, "a": 2, "i": info, "r": [{"comment": "x" * size}]}
    event = {"e": "portos.resources.changed", "s": {}, "r": None, "ca": ca, "ea": None, "p": change}
    return {"type": 1, "target": "OnEvent", "arguments": [event]}


class FixedTokens:
    """Tokens that need no login: `token-1`, then another after every refusal."""

    def __init__(self) -> None:
        self.asked = 0
        self.refusals = 0

    async def token(self) -> str:
        self.asked += 1
        return f"token-{self.refusals + 1}"

    def accepted(self) -> None:
        self.refusals = 0

    def refused(self) -> bool:
        self.refusals += 1
        return self.refusals == 1


def settings(hub: ScriptedHub, **changes: Any) -> Hub:
    """The settings for a hub, with every time shortened."""
    times = {"keepalive_seconds": 0.1, "silence_seconds": 5, "connect_seconds": 0.5, "answer_seconds": 0.5}
    return Hub(**{"url": hub.url, "close_seconds": 0.3, **times, **changes})


@asynccontextmanager
async def connected(
    hub: ScriptedHub,
    *,
    tokens: FixedTokens | None = None,
    activity: SourceActivity | None = None,
    queue: dict[str, int] | None = None,
    leaving: asyncio.Event | None = None,
    **changes: Any,
) -> AsyncIterator[Source]:
    """Connect a source to the hub."""
    parts = settings(hub, **changes)
    subscribe = Subscribe(resources=("tickets", "orders"))
    async with (
        http_session(parts) as http,
        connect(
            parts,
            subscribe,
            "default",
            tokens or FixedTokens(),
            activity or SourceActivity(),
            http,
            leaving or asyncio.Event(),
            **(queue or {}),
        ) as source,
    ):
        yield source


async def collect(source: Source, events: int = 1_000_000) -> tuple[list[Message], list[Unreadable]]:
    """Take batches until there are so many events or the connection ends, which then is raised."""
    messages: list[Message] = []
    unreadable: list[Unreadable] = []
    async for batch in source.batches():
        messages += batch.messages
        unreadable += batch.unreadable
        if len(messages) + len(unreadable) >= events:
            break
    return messages, unreadable
