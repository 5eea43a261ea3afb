"""A connection held open by a task of its own, so that either of two can be closed first, and no closing is waited for.

Used by `bridge.portos.relay`.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from bridge.errors import Unavailable
from bridge.portos.session import Session

__all__ = ["Held", "OpenOne", "opened"]

OpenOne = Callable[[asyncio.Event], AbstractAsyncContextManager[Session]]
"""Opens a connection and subscribes. When the event is set it is unsubscribed, and what it heard can still be read."""

_log = logging.getLogger(__name__)


class Held:
    """One connection, from its opening to its end. Nothing else awaits its task."""

    def __init__(self, open_one: OpenOne) -> None:
        self.leaving = asyncio.Event()
        self._close = asyncio.Event()
        self._opened: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._hold(open_one), name="hub connection")

    @property
    def session(self) -> Session:
        """The connection, once it is opened."""
        return self._opened.result()

    async def opened(self) -> None:
        """Wait until it is subscribed; raises what opening it raises."""
        await asyncio.shield(self._opened)

    async def close(self, seconds: float) -> None:
        """Close it in order, and by force after so long, which is given as long again; safe at any time."""
        self._close.set()
        try:
            if self._opened.done():
                await asyncio.wait((self._task,), timeout=seconds)
        finally:
            self._task.cancel()
        await asyncio.wait((self._task,), timeout=seconds)

    async def _hold(self, open_one: OpenOne) -> None:
        try:
            async with open_one(self.leaving) as session:
                self._opened.set_result(session)
                await self._close.wait()
        except asyncio.CancelledError:
            self._opened.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits for the session, or reads it, is told
            if not self._opened.done():
                self._opened.set_exception(error)
                self._opened.exception()  # it need not be asked for
            else:
                _log.error("an error of a hub connection that nobody knows", exc_info=error)
                self._opened.result().end(
                    Unavailable(f"unexpected {type(error).__name__}", reason="fault", slowly=True)
                )


async def opened(open_one: OpenOne, connect_seconds: float, close_seconds: float) -> Held:
    """Open a connection within a deadline; raises what opening raises, `Unavailable` (`timeout`) when that is over."""
    held = Held(open_one)
    try:
        async with asyncio.timeout(connect_seconds):
            await held.opened()
    except TimeoutError:
        await held.close(close_seconds)
        raise Unavailable(f"no second connection within {connect_seconds:g} s", reason="timeout") from None
    except BaseException:
        await held.close(close_seconds)
        raise
    return held
