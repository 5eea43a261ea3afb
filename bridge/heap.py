"""How much memory the C library keeps that the program has given back. Used by the command `run` and its service.

Under load blocks of some hundred KiB come and go: what the hub has sent, what goes to the disk and to a broker. Each of
them taken from the system by itself costs a page fault every 4 KiB, a tenth of all CPU time. So they stay with the C
library, and what it has too much of is given back every minute: else it lies between small blocks that stay, and after
each outage the process is a little larger (mallopt(3), malloc_trim(3)).
"""

import asyncio
import ctypes
from typing import NoReturn

__all__ = ["fix_thresholds", "keep_trimmed"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MMAP_BYTES = 4_194_304  # larger ones are few: glibc would raise this by itself up to 32 MiB
_TRIM_BYTES = 8_388_608
_TRIM_SECONDS = 60.0


def fix_thresholds() -> None:
    """Have all but very large blocks kept when they are free; a C library that has no `mallopt` is left as it is."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)


async def keep_trimmed() -> NoReturn:
    """Give back what is free, a few milliseconds' work beside the event loop, again and again."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while True:
        await asyncio.sleep(_TRIM_SECONDS)
        if trim is not None:
            await asyncio.to_thread(trim, 0)
