"""What a sink needs next from disk: asked for while a page is on its way, so that nobody waits for it then.

Read by the journal's thread and decoded on the loop, some hundred rows at a time. Used by `bridge.journal.log`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence

from bridge.journal.change import Chunk
from bridge.journal.chunk import decode
from bridge.journal.reader import Ahead, Span

__all__ = ["Coming", "decoded"]

_TURN_ROWS = 250
"""After so many rows decoded, a millisecond's work, all else in the process has its turn."""


async def decoded(chunks: Awaitable[Sequence[Chunk]]) -> list[Span]:
    """Wait for the disk and decode what it gives."""
    left = deque(await chunks)
    del chunks  # which hold all the bytes, and the messages have their own
    spans: list[Span] = []
    rows = 0
    while left:
        chunk = left.popleft()
        spans.append(Span(chunk.first, chunk.last, len(chunk.rows), decode(chunk.rows, chunk.first, chunk.last)))
        rows += chunk.last - chunk.first + 1
        if rows >= _TURN_ROWS:
            rows = 0
            await asyncio.sleep(0)
    return spans


class Coming:
    """What follows the number `after`: `upto` and `until` are those of `Ahead`, at the moment of asking.

    It is read and decoded by a task that nobody need wait for, and that ends by itself when the disk has answered.
    """

    def __init__(self, after: int, upto: int, until: float, chunks: Awaitable[Sequence[Chunk]]) -> None:
        self.after = after
        self._upto = upto
        self._until = until
        self._spans = asyncio.create_task(decoded(chunks), name="journal read ahead")
        # Where nobody comes for it, whoever reads next meets the error again.
        self._spans.add_done_callback(lambda spans: spans.cancelled() or spans.exception())

    async def ahead(self, most_events: int, most_bytes: int, opened: tuple[int, float]) -> Ahead:
        """Wait for what `Reader.take` takes; may be cancelled and asked again. Raises `StorageFailed`."""
        spans = await asyncio.shield(self._spans)
        enough = bool(spans) and spans[-1].last - self.after >= most_events
        cut = enough or sum(span.size for span in spans) >= most_bytes
        return Ahead(spans, self._upto, not cut, self._until, opened)
