"""A deadline over every foreign call, which holds even when a library swallows its cancellation.

`asyncio.timeout` cancels once and then waits for ever; a client library whose broker is gone may not return from
anything, its own closing included. Here the cancellation is repeated, and at last the task is left behind and said so.
Used by `bridge.pipeline`.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bridge.errors import Unavailable

__all__ = ["Deadline"]

_INSIST_SECONDS = 0.5
_INSIST_TIMES = 4


class Deadline:
    """The deadlines of one task, one at a time; made before the task, then told which it is."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._late = ""
        self._cancelled = 0
        self._given_up: asyncio.Future[None] = self._loop.create_future()

    @contextmanager
    def within(self, seconds: float, what: str) -> Iterator[None]:
        """Raise `Unavailable` (reason `timeout`) when what is done inside takes longer.

        Who was cancelled or left behind meanwhile is cancelled here, whatever the library made of it: a task must not
        go on beside its successor, nor after the stop.
        """
        self.start(seconds, what)
        try:
            yield
        except asyncio.CancelledError:
            late = self._cancelled > 0
            if late and not self._cancelled_by_others():
                raise Unavailable(f"{what} took longer than {seconds:g} s", reason="timeout") from None
            raise
        finally:
            self.stop()
        if self._given_up.done() or self._cancelled_by_others():
            raise asyncio.CancelledError(f"{what} went on after the cancellation")

    def start(self, seconds: float, what: str) -> None:
        """Begin a deadline that ends with `stop`, or with the task."""
        self.stop()
        self._late, self._cancelled = "", 0
        self._timer = self._loop.call_later(seconds, self._expire, what)

    def stop(self) -> None:
        """End the deadline that is running."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def supervise(self, task: "asyncio.Task[object]") -> str:
        """Wait for the task to end, or give it up; return what it hung in then, an empty text otherwise.

        Cancelling this cancels the task and goes on waiting for its end, which its own deadlines bound.
        """
        self._task = task
        cancelled: asyncio.CancelledError | None = None
        waiting: set[asyncio.Future[Any]] = {task, self._given_up}
        while not task.done() and not self._given_up.done():
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError as error:
                cancelled = error
                task.cancel()
                if self._timer is None:
                    self.start(_INSIST_SECONDS, "ending")
        self.stop()
        if not task.done():
            # Else asyncio.run() would wait for it at the end. The name is documented ("Extending", Python 3.11).
            asyncio._unregister_task(task)  # noqa: SLF001 - see above
        if cancelled is not None:
            raise cancelled
        return "" if task.done() else self._late

    def _expire(self, what: str) -> None:
        self._late = what
        if self._task is None or self._cancelled >= _INSIST_TIMES:
            if not self._given_up.done():
                self._given_up.set_result(None)
            return
        self._cancelled += 1
        self._task.cancel()
        self._timer = self._loop.call_later(_INSIST_SECONDS, self._expire, what)

    def _cancelled_by_others(self) -> bool:
        """Take our own cancellations back, and tell whether there is one that came from outside."""
        if self._task is None:
            return False
        remaining = self._task.cancelling()
        for _ in range(self._cancelled):
            remaining = self._task.uncancel()
        self._cancelled = 0
        return remaining > 0
