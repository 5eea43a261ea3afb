"""A gate in front of a broker: shut, the broker is gone for whoever comes through it; open, it is back.

Used by the demo, so that the broker can go away for the bridge while the demo's own subscriber stays with it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Gate", "gate"]

_PIECE_BYTES = 65_536


class Gate:
    """Passes on what arrives at its port; `shut` cuts every connection and listens no more until `open`."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Refuse whoever comes and cut whoever is there."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in one
        self._connections.add(task)
        try:
            with contextlib.closing(writer):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
                with contextlib.closing(far_writer):
                    await _both_ways(reader, writer, far_reader, far_writer)
        except (OSError, asyncio.CancelledError):
            return  # one side is gone, or the gate is shut: the connection's end is all there is to do
        finally:
            self._connections.discard(task)


async def _both_ways(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    """Copy both ways until one side ends."""
    there = asyncio.create_task(_copy(reader, far_writer), name="gate there")
    back = asyncio.create_task(_copy(far_reader, writer), name="gate back")
    try:
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (there, back):
            task.cancel()
        await asyncio.gather(there, back, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE_BYTES):
        writer.write(piece)
        await writer.drain()


@asynccontextmanager
async def gate(target_port: int) -> AsyncIterator[Gate]:
    """Run a gate in front of a port of this machine."""
    opened = Gate(target_port)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.shut()
