"""The threads that wait for names and files, which cannot be awaited.

A name that no server answers and a file on a mount that is gone hold one for as long as they like; nothing can end it.
Used by `bridge.service`; by whoever reads files again and again, `Asking`.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

__all__ = ["Asking", "renew_helpers", "spare"]

T = TypeVar("T")
_LOOK_SECONDS: Final = 1.0
_MOST_THREADS = 64  # each name that is not resolved keeps one for up to a minute; Python's own limit is 6 on two cores


def renew_helpers() -> None:
    """Give the loop threads that are all free, for `asyncio.to_thread` and for names; those that hang are left behind.

    At the end of what runs on a loop as well: `asyncio.run` waits for the threads that there are then, on Python 3.11
    for ever, since 3.12 for 5 minutes.
    """
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_MOST_THREADS, "helper"))


async def spare(stop: asyncio.Event) -> None:
    """Have threads for the stop itself, when it comes, though names and files that hang may have used up all others."""
    await stop.wait()
    renew_helpers()


class Asking:
    """Asks what may never answer, in a thread each time: one that hangs is left behind, and few are beside each other.

    Another one is worth it all the same, since a mount that was made anew answers who comes, and never who waits: after
    `again_seconds`, `growth` times as long for each that hangs.
    """

    def __init__(self, again_seconds: float, most_hanging: int, growth: int = 1) -> None:
        self._again_seconds = again_seconds
        self._most_hanging = most_hanging
        self._growth = growth
        self._unanswered: list[asyncio.Future[Any]] = []
        self._again_at = 0.0

    def may_ask(self) -> bool:
        """Say whether that has a chance: none hangs, or one hangs no more, or it is time for one beside these."""
        if not self._unanswered:
            return True
        late = asyncio.get_running_loop().time() >= self._again_at
        return late and len(self._unanswered) < self._most_hanging

    async def turn(self) -> None:
        """Wait until there is such a chance."""
        while not self.may_ask():
            await asyncio.wait(self._unanswered, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)

    def ask(self, question: Callable[[], T]) -> "asyncio.Future[T]":
        """Ask, whatever hangs. To be waited for by `asyncio.wait`: it is not to be cancelled, which ends no thread."""
        loop = asyncio.get_running_loop()
        own = ThreadPoolExecutor(1, "helper-file")  # what hangs is to take no thread from names, nor from other files
        asking = loop.run_in_executor(own, question)
        own.shutdown(wait=False)
        asking.add_done_callback(self._answered)
        self._again_at = loop.time() + self._again_seconds * self._growth ** len(self._unanswered)
        self._unanswered.append(asking)
        return asking

    def _answered(self, asking: "asyncio.Future[Any]") -> None:
        _ = asking.cancelled() or asking.exception()  # nobody may wait for it any more
        self._unanswered.remove(asking)
        self._again_at = 0.0
