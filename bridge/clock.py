"""Whether the machine's clock is set while the bridge runs: what is known of the hub's clock then has to follow.

Run by `bridge.service`; `ahead` is for whoever measures the hub's clock.
"""

import asyncio
import logging
import time
from typing import NoReturn

from bridge.source import SourceActivity

__all__ = ["ahead", "watch"]

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.25
_STEP_SECONDS = 1.0  # what disciplines a clock slews it by less: half a millisecond a second (ntpd, chronyd)
_NEVER_SET: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # counts a suspend too, where there is one


def ahead() -> float:
    """Tell how far the clock is ahead of one that is never set, in seconds: it means nothing, its changes do."""
    return time.time() - time.clock_gettime(_NEVER_SET)


async def watch(activity: SourceActivity) -> NoReturn:
    """Look four times a second."""
    before = ahead()
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        now = ahead()
        activity.clock_seen(now)
        step, before = now - before, now
        if abs(step) >= _STEP_SECONDS:
            text = "this machine's clock was set %s by %.1f s: times in what is published jump with it"
            _log.warning(text, "forwards" if step > 0 else "back", abs(step))
