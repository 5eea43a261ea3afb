"""The threads that wait for names and files, which cannot be awaited.

A name that no server answers and a file on a mount that is gone hold one for as long as they like; nothing can end it.
Used by `bridge.service`.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

__all__ = ["renew_helpers", "spare"]

_MOST_THREADS = 64  # each name that is not resolved keeps one for up to a minute; Python's own limit is 6 on two cores


def renew_helpers() -> None:
    """Give the loop threads that are all free, for `asyncio.to_thread` and for names; those that hang are left behind.

    At the end of what runs on a loop as well: `asyncio.run` waits for the threads that there are then, on Python 3.11
    for ever, since 3.12 for 5 minutes.
    """
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_MOST_THREADS, "helper"))


async def spare(stop: asyncio.Event) -> None:
    """Have threads for the stop itself, when it comes, though names and files that hang may have used up all others."""
    await stop.wait()
    renew_helpers()
