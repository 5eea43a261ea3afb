"""The signal to stop: waited for by whatever runs until it comes, `bridge.service` and the command `tail`."""

import asyncio
import logging
import signal

__all__ = ["stop_signal"]

_log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def stop_signal() -> asyncio.Event:
    """Turn SIGTERM, SIGINT and SIGHUP into an event; a second signal ends the process at once; what is stored stays."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def received(name: str) -> None:
        _log.info("%s received: stopping in order; once more stops at once", name)
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        stop.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, received, number.name)
    return stop
