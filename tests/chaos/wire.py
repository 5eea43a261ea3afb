"""The network between the bridge and a peer, as a TCP proxy: it can swallow everything, break, and refuse."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Self, TypeVar

from tests.brokers.kafka import WIRED_HOST

__all__ = ["Wire"]

T = TypeVar("T")
_UPGRADE = b"GET /signalr/"
_REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_CHUNK_BYTES = 65_536


class Wire:
    """Passes what comes to its address on to the loopback's own, in a thread of its own, until it is left.

    Its address has the hub's port, since a hub may tell by the port of `Host` what it is asked for.

    While it is cut nothing passes in either direction, not even the end of a connection, and nothing is closed: the
    kernel's buffers hold what is sent meanwhile, as they hold what a network does not acknowledge.
    """

    def __init__(self, port: int, host: str = WIRED_HOST) -> None:
        self.host = host
        self.url = f"http://{host}:{port}"
        self.refuses_a_second = False
        """Whether a WebSocket is refused while there is another, as by a hub with one seat."""
        self.refused = 0
        self.breaks = 0
        """How often it went down while a connection passed through it."""
        self.port = port
        self._server: asyncio.Server
        self._loop = asyncio.new_event_loop()
        self._whole = asyncio.Event()
        self._whole.set()
        self._down = False
        self._left_bytes: int | None = None
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._upgraded: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._accept, self.host, self.port))
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Let nothing pass from now on."""
        self._call(self._whole.clear)

    def mend(self) -> None:
        """Let all pass again, beginning with what was held."""
        self._call(self._whole.set)

    def reset(self) -> None:
        """Break every connection at both of its ends, as a machine does that knows nothing of it."""
        self._call(self._reset)

    def down(self) -> None:
        """Break every connection, and let none in from now on, as where the peer's process is gone."""

        def fall() -> None:
            self.breaks += bool(self._pairs) and not self._down  # what it broke may take a moment to end
            self._down = True
            self._reset()

        self._call(fall)

    def up(self) -> None:
        """Let connections in again."""

        def rise() -> None:
            self._down = False

        self._call(rise)

    def mend_in_part(self, most_bytes: int) -> None:
        """Let all pass again, but end the connection on which the last of so much of what the hub says has passed."""

        def mend() -> None:
            self._left_bytes = most_bytes
            self._whole.set()

        self._call(mend)

    def connections(self) -> int:
        """Count the WebSockets that pass through it."""
        return len(self._upgraded)

    @property
    def idle(self) -> bool:
        """Whether nothing is connected through it."""
        return not self._pairs

    def _run(self, doing: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(10)

    def _call(self, action: Callable[[], None]) -> None:
        async def act() -> None:
            action()

        self._run(act())

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        self._reset()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _reset(self) -> None:
        for writer in (writer for pair in self._pairs for writer in pair):
            taken: socket.socket | None = writer.get_extra_info("socket")
            if taken is not None:
                with suppress(OSError):
                    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(asyncio.CancelledError):  # the server that made this task logs one that is cancelled
            await self._pass_on(reader, writer)
        self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._whole.wait()
        if self._down:
            writer.transport.abort()
            return
        try:
            hub_reader, hub_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, hub_writer)
        self._pairs.add(pair)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, hub_writer, writer))
                both.create_task(self._pump(hub_reader, writer, None))
        except* OSError:
            pass  # one end is gone: so is the other
        finally:
            self._pairs.discard(pair)
            self._upgraded.discard(writer)
            for end in pair:
                end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: asyncio.StreamWriter | None
    ) -> None:
        """Pass one direction on to its end; `client` is given where requests come from."""
        while data := await reader.read(_CHUNK_BYTES):
            await self._whole.wait()
            if client is not None and data.startswith(_UPGRADE):
                if self.refuses_a_second and self._upgraded:
                    self.refused += 1
                    client.write(_REFUSAL)
                    await client.drain()
                    break
                self._upgraded.add(client)
            if client is None and self._left_bytes is not None:
                data = data[: self._left_bytes]
                self._left_bytes -= len(data)
            writer.write(data)
            await writer.drain()
            if self._left_bytes == 0:
                self._left_bytes = None
                raise ConnectionError("no more is to pass")
        await self._whole.wait()
        raise ConnectionError("one end is closed")
