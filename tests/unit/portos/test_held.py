"""A connection that is held open is closed in order, by force, or while it is opened; what goes wrong is told."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest

from bridge.errors import Unavailable
from bridge.portos.held import Held
from bridge.portos.session import Session


@dataclass
class Connection:
    """A session that only ends, and what happens to it."""

    opening: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    went: list[str] = field(default_factory=list)
    error: Exception | None = None
    ended: Unavailable | None = None

    def end(self, why: Unavailable) -> None:
        self.ended = why

    def open(self, _: asyncio.Event) -> AbstractAsyncContextManager[Session]:
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Session]:
        try:
            await self.opening.wait()
            yield cast("Session", self)
            self.went.append("closing")
            await self.closing.wait()
            if self.error is not None:
                raise self.error
            self.went.append("closed")
        except asyncio.CancelledError:
            self.went.append("cancelled")
            raise


async def test_closing_waits_for_an_orderly_end() -> None:
    connection = Connection()
    connection.opening.set()
    held = Held(connection.open)
    await held.opened()
    asyncio.get_running_loop().call_later(0.05, connection.closing.set)

    await held.close(5)

    assert connection.went == ["closing", "closed"]


async def test_what_does_not_close_in_time_is_cancelled() -> None:
    connection = Connection()
    connection.opening.set()
    held = Held(connection.open)
    await held.opened()

    started = time.monotonic()
    await held.close(0.1)

    assert time.monotonic() - started < 1
    assert connection.went == ["closing", "cancelled"]


async def test_what_is_not_opened_yet_is_given_up_at_once() -> None:
    connection = Connection()
    held = Held(connection.open)
    await asyncio.sleep(0)

    await held.close(5)

    assert connection.went == ["cancelled"]


async def test_an_error_that_nobody_knows_ends_the_session(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads it would wait for ever otherwise."""
    connection = Connection(error=ValueError("a bug"))
    connection.opening.set()
    connection.closing.set()
    held = Held(connection.open)
    await held.opened()

    await held.close(5)

    assert connection.ended is not None
    assert (connection.ended.reason, connection.ended.slowly) == ("fault", True)
    assert "nobody knows" in caplog.text
