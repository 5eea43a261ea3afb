"""An event loop whose clock jumps: hours of outages in milliseconds, and every schedule the same again."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["EPOCH", "VirtualLoop", "run"]

EPOCH = 1_800_000_000.0
T = TypeVar("T")


class _NoWaiting(selectors.SelectSelector):
    """Waits for nothing; tells the loop how long it would have waited."""

    waited = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.waited += timeout or 0.0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module; its time is that of the wall clock as well, in seconds since the epoch."""

    def __init__(self) -> None:
        self._selector_that_jumps = _NoWaiting()
        super().__init__(self._selector_that_jumps)
        self._clock_resolution = 1e-6  # a float of this size tells no less: a timer that is due would never be run

    def time(self) -> float:
        return EPOCH + self._selector_that_jumps.waited

    def run_in_executor(self, _: Any, func: Callable[..., T], *args: Any) -> "asyncio.Future[T]":
        """Do at once what is given to a thread: the model has no time for threads."""
        done = self.create_future()
        done.set_result(func(*args))
        return done


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run it to its end in a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
