"""The pause between two attempts to connect, which ends early where there is a reason to try at once.

Each link has one (`bridge.link`); `bridge.pipeline.keep` waits for it, and a stop of the bridge ends it.
"""

import asyncio
from collections.abc import Awaitable, Callable

__all__ = ["Pausing", "unchanged"]

_LOOK_SECONDS = 1.0


async def unchanged() -> str:
    """Know of nothing that ends a pause."""
    return ""


class Pausing:
    """See the module; no pause at first."""

    def __init__(self) -> None:
        self._limit: asyncio.Timeout | None = None

    @property
    def seconds_left(self) -> float:
        """How long it lasts yet, 0 where none is going on."""
        ends_at = None if self._limit is None else self._limit.when()
        return 0.0 if ends_at is None else max(ends_at - asyncio.get_running_loop().time(), 0.0)

    async def wait(self, seconds: float, changed: Callable[[], Awaitable[str]]) -> str:
        """Wait for so long, or until `changed`, asked each second, says what has; return what it said.

        It is cancelled where it has not answered at the end. Without a pause the others have their turn all the same.
        """
        said = ""
        limit = self._limit = asyncio.timeout(seconds)
        try:
            async with limit:
                while not said:
                    await asyncio.sleep(_LOOK_SECONDS)
                    said = await changed()
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            self._limit = None
        return said

    def end(self) -> None:
        """End the pause, if one is going on."""
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())
