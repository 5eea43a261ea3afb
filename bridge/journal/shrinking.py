"""When the journal gives the disk back what a long outage has taken.

A few pages at a time, only while no event comes, and not before many events were last stored or settled a while ago: a
burst is often followed by another, which would have to take the same disk again. Used by `bridge.journal.log`.
"""

import asyncio
from math import inf
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
    busy_at = -inf
    while True:
        given, floor = recorder.given, recorder.floor()
        await asyncio.sleep(_IDLE_SECONDS)
        if max(recorder.given - given, recorder.floor() - floor) >= _MANY_EVENTS:
            busy_at = loop.time()
        if loop.time() - busy_at < _QUIET_SECONDS:
            continue
        while given == recorder.given and await writer.call(lambda store: store.shrink(), writes=True):
            pass
