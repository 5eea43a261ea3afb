"""What a signal asks of the process: to stop, or to read its settings again.

Waited for by whatever runs until it comes, `bridge.service` and the command `tail`.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import TypeVar

__all__ = ["STOP_SIGNALS", "hangups", "stop_signal", "unless"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.2
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stop_signal(signals: Sequence[signal.Signals] = STOP_SIGNALS) -> asyncio.Event:
    """Turn these signals into an event; a second one ends the process at once; what is stored stays."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def received(name: str) -> None:
        _log.info("%s received: stopping in order; once more stops at once", name)
        for number in signals:
            loop.remove_signal_handler(number)
        stop.set()

    for number in signals:
        loop.add_signal_handler(number, received, number.name)
    return stop


@contextmanager
def hangups() -> Iterator[asyncio.Event]:
    """Turn SIGHUP into an event as long as the block lasts, for a process that holds it back as `bridge.__main__` does.

    It is looked for, and handled by nothing: a handler runs between any two instructions, within itself too, so that
    signals which come faster than it runs leave no time for anything else, or end in a RecursionError.
    """
    loop, came = asyncio.get_running_loop(), asyncio.Event()
    next_look: asyncio.Handle

    def look() -> None:
        nonlocal next_look
        if signal.sigtimedwait((signal.SIGHUP,), 0) is not None:
            came.set()
        next_look = loop.call_later(_LOOK_SECONDS, look)

    next_look = loop.call_soon(look)
    try:
        yield came
    finally:
        next_look.cancel()


@asynccontextmanager
async def unless(stop: asyncio.Event, context: AbstractAsyncContextManager[T]) -> AsyncIterator[T | None]:
    """Enter what may take long to be entered; None where `stop` comes first: the entering is cancelled then."""
    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as group:
            entering = group.create_task(stack.enter_async_context(context), name="entering")
            stopped = group.create_task(stop.wait(), name="stop")
            await asyncio.wait((entering, stopped), return_when=asyncio.FIRST_COMPLETED)
            entering.cancel()
            stopped.cancel()
        yield None if entering.cancelled() else entering.result()
