"""What a signal asks of the process: to stop, or to read its settings again.

Waited for by whatever runs until it comes, `bridge.service` and the command `tail`.
"""

import asyncio
import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

__all__ = ["STOP_SIGNALS", "hangups", "stop_signal"]

_log = logging.getLogger(__name__)
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stop_signal(signals: Sequence[signal.Signals] = STOP_SIGNALS) -> asyncio.Event:
    """Turn these signals into an event; a second one ends the process at once; what is stored stays."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def received(name: str) -> None:
        _log.info("%s received: stopping in order; once more stops at once", name)
        for number in signals:
            loop.remove_signal_handler(number)
        stop.set()

    for number in signals:
        loop.add_signal_handler(number, received, number.name)
    return stop


@contextmanager
def hangups() -> Iterator[asyncio.Event]:
    """Turn each SIGHUP into an event as long as the block lasts, and have no effect of it from then on.

    The loop's own handlers are not for that: with the loop the signal would get its default back, which ends a process.
    """
    loop, came = asyncio.get_running_loop(), asyncio.Event()
    signal.signal(signal.SIGHUP, lambda *_: loop.call_soon_threadsafe(came.set))
    try:
        yield came
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
