"""Whether the bridge itself is alive: its event loop, and whatever has to run for as long as it does.

Used by `bridge.service`, asked by `bridge.status` and the metrics.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

__all__ = ["Heartbeat", "Workers"]

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


class Workers:
    """The tasks and threads that end only with the bridge.

    An error in one of them ends the process. One that ends without any would go unnoticed: nothing waits for it.
    """

    def __init__(self) -> None:
        self._alive: dict[str, Callable[[], bool]] = {}

    def add(self, name: str, alive: Callable[[], bool]) -> None:
        """Expect something to live on."""
        self._alive[name] = alive

    def add_task(self, task: "asyncio.Task[object]") -> None:
        """Expect a task to go on."""
        self.add(f"task {task.get_name()}", lambda: not task.done())

    @property
    def dead(self) -> Sequence[str]:
        """Name those that have ended."""
        return [name for name, alive in self._alive.items() if not alive()]

    def __len__(self) -> int:
        """Count all of them."""
        return len(self._alive)
