"""What the hub has sent and nobody has fetched yet: the source's one queue, bounded in events and in bytes."""

import asyncio
from collections import deque
from collections.abc import Sequence

from bridge.message import Message
from bridge.source import Batch, SourceActivity, Unreadable

__all__ = ["Backlog"]

_MAX_BATCH_EVENTS = 1000


class Backlog:
    """A queue for one writer and one reader in one event loop.

    It takes everything and says when it is full; what to do about that is decided by who reads the hub. `activity` is
    told how many events nobody has fetched when it is cleared.
    """

    def __init__(self, max_bytes: int, max_events: int, activity: SourceActivity) -> None:
        self._activity = activity
        activity.queues.add(self)
        self._max_bytes = max_bytes
        self._max_events = max_events
        self._waiting: deque[Message | Unreadable] = deque()
        self._bytes = 0
        self._closed = False
        self._filled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    @property
    def full(self) -> bool:
        """Whether a bound is reached."""
        return not self._has_room.is_set()

    def put(self, items: Sequence[Message | Unreadable]) -> None:
        """Add what one WebSocket message held; it may exceed the bounds by that one message."""
        self._waiting.extend(items)
        self._bytes += sum([len(item.body) for item in items])
        if self._bytes >= self._max_bytes or len(self._waiting) >= self._max_events:
            self._has_room.clear()
        self._filled.set()

    def __len__(self) -> int:
        return len(self._waiting)

    async def room(self) -> None:
        """Wait until the reader has taken so much that there is room again."""
        await self._has_room.wait()

    @property
    def oldest_at(self) -> float | None:
        """When the oldest that is still here was received, None if nothing is."""
        return self._waiting[0].received_at if self._waiting else None

    def wake(self) -> None:
        """Let the reader take an empty batch if there is nothing else: something was heard that is no event."""
        self._filled.set()

    def clear(self) -> None:
        """Throw away what is there: nobody will fetch it any more."""
        self._activity.abandoned += len(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        self._has_room.set()

    def close(self) -> None:
        """Say that nothing will come any more."""
        self._closed = True
        self._filled.set()

    async def take(self) -> Batch | None:
        """Wait for anything and take what is there, oldest first; None when all is taken and nothing will come."""
        await self._filled.wait()
        if not self._waiting:
            if self._closed:
                return None
            self._filled.clear()
            return Batch(())
        if len(self._waiting) <= _MAX_BATCH_EVENTS:
            taken = list(self._waiting)
            self._waiting.clear()
        else:
            taken = [self._waiting.popleft() for _ in range(_MAX_BATCH_EVENTS)]
        self._bytes -= sum([len(item.body) for item in taken])
        if not self._waiting and not self._closed:
            self._filled.clear()
        if self._bytes < self._max_bytes and len(self._waiting) < self._max_events:
            self._has_room.set()
        messages = [item for item in taken if type(item) is Message]
        if len(messages) == len(taken):
            return Batch(messages)
        return Batch(messages, [item for item in taken if type(item) is Unreadable])
