"""Many changes in a row, at a rate or as fast as the clients take them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

__all__ = ["Burst"]

_CHANGES_AT_A_TIME = 100
_SHORTEST_SLEEP_SECONDS = 0.002


@dataclass(slots=True)
class Burst:
    """What was asked for and how far it is; `rate` is in changes a second, 0 is without a pause.

    The changes go round the `resources` and round `ids` ids of each.
    """

    count: int
    rate: float = 0
    ids: int = 100
    size: int = 600
    resources: Sequence[str] = ("tickets",)
    sent: int = 0
    done: bool = False
    seconds: float = 0

    async def run(self, change: Callable[[str, str, int], Awaitable[object]]) -> None:
        """Make the changes through `change(resource, id, size)`, which waits where clients are behind."""
        start = time.monotonic()
        kinds = len(self.resources)
        try:
            for number in range(self.count):
                if self.rate:
                    ahead = start + number / self.rate - time.monotonic()
                    if ahead > _SHORTEST_SLEEP_SECONDS:
                        await asyncio.sleep(ahead)
                if number % _CHANGES_AT_A_TIME == 0:
                    await asyncio.sleep(0)  # nothing below waits while there is room
                await change(self.resources[number % kinds], f"{number // kinds % self.ids:024x}", self.size)
                self.sent = number + 1
        finally:
            self.seconds = time.monotonic() - start
            self.done = True
