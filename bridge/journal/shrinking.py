"""When the journal gives the disk back what a long outage has taken.

A few pages at a time, only while nothing is stored or settled by any sink, and not within half a minute of a thousand
events that were: a burst is often followed by another, which would have to take the same disk again. So a load of more
than 33 events a second keeps the disk. Used by `bridge.journal.log`.
"""

import asyncio
from typing import NoReturn

from bridge.journal.recorder import Recorder
from bridge.journal.writer import Writer

__all__ = ["shrink"]

_IDLE_SECONDS = 0.5
_MANY_EVENTS = 1000
_QUIET_SECONDS = 30.0


async def shrink(recorder: Recorder, writer: Writer) -> NoReturn:
    """Do so for ever; raises `StorageFailed` where the disk fails at it."""
    loop = asyncio.get_running_loop()
    busy, busy_at = _places(recorder), loop.time()
    while True:
        before = _places(recorder)
        await asyncio.sleep(_IDLE_SECONDS)
        now = _places(recorder)
        if max(place - at for place, at in zip(now, busy, strict=True)) >= _MANY_EVENTS:
            busy, busy_at = now, loop.time()
        if loop.time() - busy_at < _QUIET_SECONDS:
            continue
        while before == _places(recorder) and await writer.call(lambda store: store.shrink(), writes=True):
            pass


def _places(recorder: Recorder) -> tuple[int, ...]:
    """Give the last number that was given, and the last that each sink has settled."""
    return recorder.given, *recorder.cursors().values()
