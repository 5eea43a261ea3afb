"""A WebSocket in front of a fake broker, which says and breaks what it is told to."""

import asyncio
from contextlib import suppress
from typing import Self

from aiohttp import WSMsgType, web

from tests.unit.sinks.mqtt.fake_broker import FakeBroker

__all__ = ["WebSocketFront"]


class WebSocketFront:
    """Passes binary messages on to a broker, and answers back in messages of `answer_bytes`.

    `status` refuses with an HTTP status; `protocols` are what it takes. `requests` are the requests for a WebSocket,
    `texts` is sent as a text message before anything else, `code` is the last Close of a client.
    """

    def __init__(self, broker: FakeBroker, *, answer_bytes: int = 65_536, text: str = "") -> None:
        self._broker = broker
        self._answer_bytes = answer_bytes
        self._text = text
        self.status = 0
        self.protocols: tuple[str, ...] = ("mqtt",)
        self.requests: list[web.Request] = []
        self.frames: list[bytes] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.code: int | None = None
        self.socket: web.WebSocketResponse

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_get("/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"ws://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.reads.set()
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.status:
            return web.Response(status=self.status, headers={"Location": "/elsewhere"})
        self.socket = web.WebSocketResponse(protocols=self.protocols, autoping=True)
        await self.socket.prepare(request)
        if self._text:
            await self.socket.send_str(self._text)
        reader, writer = await asyncio.open_connection(*self._broker.url.removeprefix("mqtt://").split(":"))
        back = asyncio.create_task(self._pass_back(reader), name="front, back")
        try:
            async for message in self.socket:
                await self.reads.wait()
                if message.type is WSMsgType.BINARY:
                    self.frames.append(message.data)
                    writer.write(message.data)
        finally:
            self.code = self.socket.close_code
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        return self.socket

    async def _pass_back(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                for start in range(0, len(data), self._answer_bytes):
                    await self.socket.send_bytes(data[start : start + self._answer_bytes])
            await self.socket.close()
