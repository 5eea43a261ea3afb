"""The wire of the chaos runs: what it holds comes late and whole, what it breaks is broken at both ends."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.chaos.wire import Wire
from tests.support import until


class Echo:
    """A server that answers every line with itself, and knows how many connections it has."""

    def __init__(self) -> None:
        self.open = 0
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Echo"]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while line := await reader.readline():
                writer.write(line)
        except ConnectionError:
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def wired() -> AsyncIterator[tuple[Wire, Echo]]:
    async with Echo().serving() as echo:
        wire = Wire(echo.port)
        await asyncio.to_thread(wire.__enter__)
        try:
            yield wire, echo
        finally:
            await asyncio.to_thread(wire.__exit__)


@asynccontextmanager
async def client(wire: Wire) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(wire.host, wire.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def answer(reader: asyncio.StreamReader, seconds: float = 5) -> bytes:
    async with asyncio.timeout(seconds):
        return await reader.readline()


async def test_what_is_sent_passes_in_both_directions() -> None:
    """While it is whole it is not there."""
    async with wired() as (wire, _), client(wire) as (reader, writer):
        writer.write(b"one\ntwo\n")

        assert [await answer(reader), await answer(reader)] == [b"one\n", b"two\n"]


async def test_a_cut_holds_everything_and_a_mend_lets_it_pass() -> None:
    """Nothing comes, nothing is closed, nothing is lost: neither on an open connection nor on a new one."""
    async with wired() as (wire, echo), client(wire) as (reader, writer):
        writer.write(b"before\n")
        assert await answer(reader) == b"before\n"

        await asyncio.to_thread(wire.cut)
        writer.write(b"held\n")
        with pytest.raises(TimeoutError):
            await answer(reader, 0.2)
        async with client(wire) as (late_reader, late_writer):
            late_writer.write(b"late\n")
            with pytest.raises(TimeoutError):
                await answer(late_reader, 0.2)
            assert echo.open == 1

            await asyncio.to_thread(wire.mend)
            assert await answer(reader) == b"held\n"
            assert await answer(late_reader) == b"late\n"


async def test_a_mend_in_part_ends_the_connection_in_the_middle() -> None:
    """The first bytes of what was held come, late, and then an orderly end; a new connection is whole again."""
    async with wired() as (wire, echo), client(wire) as (reader, writer):
        await asyncio.to_thread(wire.cut)
        writer.write(b"first\nsecond\n")

        await asyncio.to_thread(wire.mend_in_part, 9)

        async with asyncio.timeout(5):
            assert await reader.read() == b"first\nsec"
        await until(lambda: echo.open == 0, 5, "the hub has noticed")
        async with client(wire) as (whole, whole_writer):
            whole_writer.write(b"a line longer than what passed before\n")
            assert await answer(whole) == b"a line longer than what passed before\n"


async def test_the_end_of_a_connection_does_not_pass_a_cut() -> None:
    """The hub goes on for as long as it knows nothing, as it does behind a dead network."""
    async with wired() as (wire, echo), client(wire) as (reader, writer):
        writer.write(b"one\n")
        await answer(reader)

        await asyncio.to_thread(wire.cut)
        writer.close()
        await asyncio.sleep(0.2)
        assert echo.open == 1

        await asyncio.to_thread(wire.mend)
        await until(lambda: echo.open == 0, 5, "the hub has noticed")


async def test_a_reset_ends_both_sides_at_once() -> None:
    """The client sees an error and no orderly end, and the server is rid of it."""
    async with wired() as (wire, echo), client(wire) as (reader, writer):
        writer.write(b"one\n")
        await answer(reader)

        await asyncio.to_thread(wire.reset)

        with pytest.raises(ConnectionResetError):
            await answer(reader)
        await until(lambda: echo.open == 0, 5, "the hub has noticed")


async def test_while_it_is_down_it_lets_nobody_in() -> None:
    """Open connections break, new ones end at once, and only a fall that broke something counts as a break."""
    async with wired() as (wire, echo), client(wire) as (reader, writer):
        writer.write(b"one\n")
        await answer(reader)

        await asyncio.to_thread(wire.down)
        await asyncio.to_thread(wire.down)

        with pytest.raises(ConnectionResetError):
            await answer(reader)
        async with client(wire) as (refused, _):
            with contextlib.suppress(ConnectionResetError):
                assert await answer(refused) == b""
        await until(lambda: echo.open == 0 and wire.idle, 5, "nothing is connected")
        assert wire.breaks == 1
        await asyncio.to_thread(wire.up)
        async with client(wire) as (again, again_writer):
            again_writer.write(b"again\n")
            assert await answer(again) == b"again\n"


async def test_a_second_websocket_is_refused_while_there_is_one() -> None:
    """Only the upgrade is refused, and only beside another: other requests pass, and after the first a new one may."""
    upgrade = b"GET /signalr/v1/mainHub HTTP/1.1\n"
    async with wired() as (wire, _):
        wire.refuses_a_second = True
        async with client(wire) as (first, first_writer), client(wire) as (second, second_writer):
            first_writer.write(upgrade)
            assert await answer(first) == upgrade
            second_writer.write(b"POST /api/auth\n")
            assert await answer(second) == b"POST /api/auth\n"
            second_writer.write(upgrade)
            assert (await answer(second)).startswith(b"HTTP/1.1 503")
            assert wire.refused == 1
        await until(lambda: wire.connections() == 0, 5, "the first is gone")

        async with client(wire) as (third, third_writer):
            third_writer.write(upgrade)
            assert await answer(third) == upgrade
