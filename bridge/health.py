"""Whether the event loop is alive and how late it is.

Used by `bridge.service`, asked by `bridge.admin` and the metrics.
"""

import asyncio
import time
from collections import deque

__all__ = ["Heartbeat"]

_BEAT_SECONDS = 0.25
_REMEMBERED_SECONDS = 30
_DEAD_SECONDS = 10


class Heartbeat:
    """A task that wants to run four times a second, and remembers how late it was."""

    def __init__(self) -> None:
        self._beat_at = time.monotonic()
        self._late: deque[float] = deque([0.0], maxlen=int(_REMEMBERED_SECONDS / _BEAT_SECONDS))

    async def beat(self) -> None:
        """Beat for ever."""
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            now = time.monotonic()
            self._late.append(max(0.0, now - self._beat_at - _BEAT_SECONDS))
            self._beat_at = now

    @property
    def worst_lag_seconds(self) -> float:
        """The worst lateness of the last half minute, the present one included."""
        return max(*self._late, time.monotonic() - self._beat_at - _BEAT_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether the loop has run lately."""
        return time.monotonic() - self._beat_at < _DEAD_SECONDS
