"""The pause between two attempts to connect, which ends early where there is a reason to try at once.

Each link has one (`bridge.link`); `bridge.pipeline.keep` waits for it, and a stop of the bridge ends it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

__all__ = ["Pausing", "unchanged"]

_LOOK_SECONDS = 1.0


async def unchanged() -> str:
    """Know of nothing that ends a pause."""
    return ""


class Pausing:
    """See the module; no pause at first."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()
        self._ends_at = 0.0

    @property
    def seconds_left(self) -> float:
        """How long it lasts yet, 0 where none is going on."""
        return max(self._ends_at - asyncio.get_running_loop().time(), 0.0)

    async def wait(self, seconds: float, changed: Callable[[], Awaitable[str]]) -> str:
        """Wait for so long, or until `changed`, asked each second, says what has; return what it said."""
        self._ended.clear()
        self._ends_at = asyncio.get_running_loop().time() + seconds
        await asyncio.sleep(0)  # where there is no pause the others have their turn all the same
        said = ""
        try:
            while not said and (left := self.seconds_left):
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                        await self._ended.wait()
                if self.seconds_left:
                    said = await changed()
        finally:
            self._ends_at = 0.0
        return said

    def end(self) -> None:
        """End the pause, if one is going on."""
        self._ends_at = 0.0
        self._ended.set()
