"""Standard output as a sink: lines go out as fast as their reader takes them, and the event loop never waits for it.

Nothing is set on the descriptor, which is shared with whoever started the bridge. Instead a write waits until the
descriptor is writable and hands over no more than a pipe then takes without blocking.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from bridge.errors import Unavailable
from bridge.message import Message
from bridge.ports import Outcome
from sinks.stdout.config import StdoutConfig
from sinks.stdout.records import line

__all__ = ["StdoutSink", "connect", "connect_to"]

_UNDIVIDED_BYTES = 4096  # PIPE_BUF of Linux: a writable pipe takes this much, all or nothing (pipe(7))


@asynccontextmanager
async def connect(config: StdoutConfig) -> AsyncIterator["StdoutSink"]:
    """Take standard output as the broker; raise `Unavailable` where it is closed."""
    if sys.stdout is None:  # what Python makes of a descriptor that was closed before it started
        raise Unavailable("standard output is closed: start the bridge with it open", reason="refused", hold=True)
    async with connect_to(config, sys.stdout.fileno()) as sink:
        yield sink


@asynccontextmanager
async def connect_to(config: StdoutConfig, descriptor: int) -> AsyncIterator["StdoutSink"]:
    """Take an open descriptor as the broker, whose closing stays with the caller."""
    try:
        own = os.dup(descriptor)
    except OSError as error:
        raise Unavailable(f"standard output cannot be used: {error!r}", reason="refused") from error
    try:
        yield StdoutSink(config, own)
    finally:
        os.close(own)


class StdoutSink:
    """A sink over one descriptor: a line is confirmed when the operating system has taken all of it."""

    def __init__(self, config: StdoutConfig, descriptor: int) -> None:
        self._site = config.site
        self._descriptor = descriptor

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Write a batch; a line above 4096 bytes may be left half written when this is cancelled, others never."""
        written = 0
        try:
            for part, whole_lines in _parts(line(message, self._site) for message in batch):
                await self._write(part)
                written += whole_lines
        except BrokenPipeError:  # no attempt heals this one, only another start
            text = "whoever read standard output is gone: start the bridge again with a reader"
            lost = Unavailable(text, reason="server_close", hold=True)
            return [None] * written + [lost] * (len(batch) - written)
        except OSError as error:
            lost = Unavailable(f"standard output takes no more: {error!r}", reason="refused")
            return [None] * written + [lost] * (len(batch) - written)
        return [None] * len(batch)

    async def _write(self, part: bytes) -> None:
        rest = memoryview(part)
        while rest:
            await self._writable()
            rest = rest[os.write(self._descriptor, rest) :]

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        try:
            loop.add_writer(self._descriptor, _set, ready)
        except PermissionError:  # a regular file: epoll(7) takes none, since it is always writable
            await asyncio.sleep(0)
            return
        try:
            await ready
        finally:
            loop.remove_writer(self._descriptor)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _parts(lines: Iterator[bytes]) -> Iterator[tuple[bytes, int]]:
    """Give what to write at once, and how many lines are complete with it: whole lines together, or a piece of one."""
    waiting: list[bytes] = []
    size = 0
    for each in lines:
        if waiting and size + len(each) > _UNDIVIDED_BYTES:
            yield b"".join(waiting), len(waiting)
            waiting, size = [], 0
        if len(each) <= _UNDIVIDED_BYTES:
            waiting.append(each)
            size += len(each)
            continue
        for start in range(0, len(each), _UNDIVIDED_BYTES):
            yield each[start : start + _UNDIVIDED_BYTES], int(start + _UNDIVIDED_BYTES >= len(each))
    if waiting:
        yield b"".join(waiting), len(waiting)
