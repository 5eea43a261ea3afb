"""Standard output of the commands, whose reader may be slow, or have seen enough.

Nothing is set on the descriptor, which is shared with whoever started the command.
"""

import asyncio
import os
import sys
from collections.abc import Iterable

from bridge import log

__all__ = ["counted", "say", "write"]

_UNDIVIDED_BYTES = 4096  # PIPE_BUF of Linux: a writable pipe takes this much, all or nothing (pipe(7))


def say(lines: Iterable[str], *, exactly: bool = False) -> None:
    """Print lines, each without secrets and on one line, or exactly as they are; a reader that leaves is no failure."""
    try:
        for line in lines:
            print(line if exactly else log.one_line(log.redacted(line)), flush=True)  # noqa: T201 - the command's output
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more at its exit


def counted(count: int, one: str, many: str = "") -> str:
    """Write how many there are of what is named in the singular; `many` is for what takes more than an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"


async def write(data: bytes) -> None:
    """Write everything while the event loop goes on; raises `BrokenPipeError` when nobody reads any more.

    A write waits until the descriptor is writable, and hands over no more than a pipe then takes without blocking.
    """
    descriptor = sys.stdout.fileno()
    rest = memoryview(data)
    while rest:
        await _writable(descriptor)
        rest = rest[os.write(descriptor, rest[:_UNDIVIDED_BYTES]) :]


async def _writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_writer(descriptor, ready.set)
    except PermissionError:  # a regular file: epoll(7) takes none, since it is always writable
        await asyncio.sleep(0)
        return
    try:
        await ready.wait()
    finally:
        loop.remove_writer(descriptor)
