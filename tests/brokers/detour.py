"""A port that leads to one server and then to another: what is wrong with a server can be put right on its own port."""

import asyncio
from contextlib import suppress
from typing import Self

__all__ = ["Detour"]

_CHUNK_BYTES = 65_536


class Detour:
    """Passes connections on to another port of the loopback, both ways and with their ends."""

    def __init__(self) -> None:
        self._to = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def to(self, port: int) -> None:
        """Say where connections lead to, from now on."""
        self._to = port

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        answers, there = await asyncio.open_connection("127.0.0.1", self._to)
        with suppress(asyncio.CancelledError):
            await asyncio.gather(_copy(reader, there), _copy(answers, writer))
        self._tasks.discard(task)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
