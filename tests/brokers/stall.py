"""A network that holds back what is sent on a connection, outlives the sender, and delivers it late after all."""

import asyncio
from contextlib import suppress
from typing import Self

from tests.support import until

__all__ = ["StallingProxy"]

_CHUNK_BYTES = 65_536
_HELD_SECONDS = 600.0


class _Way:
    """One connection through the proxy: what its client sends is passed on, or held."""

    def __init__(self, there: asyncio.StreamWriter, *, back: asyncio.StreamWriter) -> None:
        self.there = there
        self.back = back
        self.held: list[bytes] | None = None
        self.owed = False
        """Whether something that was held is delivered and not answered yet."""

    def send(self, data: bytes) -> None:
        if self.held is None:
            self.there.write(data)
        else:
            self.held.append(data)


class StallingProxy:
    """Passes what comes to `port` on to another port of the loopback, in the event loop of the test.

    What comes on a connection while it is stalled is delivered when it is released, also when whoever sent it has given
    the connection up long ago and reset it: a packet that is on its way does not know of that. Connections made after
    the stall pass freely.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._to = 0
        self._ways: set[_Way] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for way in self._ways:
            way.there.transport.abort()
            way.back.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def to(self, port: int) -> None:
        """Say where connections lead to, from now on."""
        self._to = port

    def stall(self) -> None:
        """Hold what comes on the connections that there are."""
        for way in self._ways:
            way.held = way.held or []

    def answered(self) -> bool:
        """Say whether the other end has answered, or closed, every connection on which something came late."""
        return not any(way.owed for way in self._ways)

    def held_bytes(self) -> int:
        """Tell how much is held."""
        return sum(len(data) for way in self._ways for data in way.held or ())

    async def held(self, least_bytes: int, seconds: float) -> None:
        """Wait until so much is held."""
        await until(lambda: self.held_bytes() >= least_bytes, seconds, f"{least_bytes} bytes are held")

    async def release(self) -> int:
        """Deliver what is held, and give how many bytes it was."""
        released = self.held_bytes()
        for way in list(self._ways):
            held, way.held = way.held or (), None
            way.owed = bool(held)
            for data in held:
                way.there.write(data)
            with suppress(OSError):
                await way.there.drain()
        return released

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(asyncio.CancelledError, OSError):  # either end may end at any moment
            await self._pass_on(reader, writer)
        writer.close()
        self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, there = await asyncio.open_connection("127.0.0.1", self._to)
        way = _Way(there, back=writer)
        self._ways.add(way)
        back = asyncio.create_task(self._pass_back(answers, way), name="proxy, back")
        try:
            with suppress(OSError):
                while data := await reader.read(_CHUNK_BYTES):
                    way.send(data)
            await until(lambda: way.held is None and not way.owed, _HELD_SECONDS, "what was held is delivered")
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            self._ways.discard(way)
            there.close()

    async def _pass_back(self, answers: asyncio.StreamReader, way: _Way) -> None:
        with suppress(OSError):
            while data := await answers.read(_CHUNK_BYTES):
                if not way.back.is_closing():
                    way.back.write(data)
                way.owed = False
        way.owed = False
