"""Clients thrown away by the hundred, in every state that a sink throws one away in, and what is left of them."""

import asyncio
import gc
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bridge.contract import sample
from bridge.errors import Unavailable
from bridge.ports import SinkPlugin
from bridge.settings import SinkConfig

__all__ = ["Leftovers", "discard"]

C = TypeVar("C", bound=SinkConfig)

_PAGE_BYTES = 4096
_ALLOCATOR_BYTES = 4 * 2**20
_LIBRARIES = ("aiokafka.", "paho.", "sinks.")
_WARM_CLIENTS = 30


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What there is more of than before, and how many clients were thrown away meanwhile."""

    name: str
    clients: int
    tasks: int
    threads: int
    files: int
    objects: int
    memory_bytes: int

    @property
    def summary(self) -> str:
        """Say it in a line."""
        return (
            f"{self.clients} clients of {self.name} thrown away left {self.tasks} tasks, {self.threads} threads, "
            f"{self.files} open files, {self.objects} objects of theirs, {self.memory_bytes / 1024:.0f} KiB"
        )

    @property
    def problems(self) -> Sequence[str]:
        """Name what is left of them; memory counts from 4 MiB on, below that it is the allocator's."""
        counts = {"tasks": self.tasks, "threads": self.threads, "files": self.files, "objects": self.objects}
        grown = self.memory_bytes > _ALLOCATOR_BYTES
        return [f"{number} {what} left" for what, number in counts.items() if number > 0] + ["memory grows"] * grown


async def discard(plugin: SinkPlugin[C], config: C, clients: int) -> Leftovers:
    """Throw so many clients away: in turn after a delivery, within one, and while connecting."""
    for number in range(_WARM_CLIENTS):
        await _one(plugin, config, number)
    before = await _counts()
    for number in range(clients):
        await _one(plugin, config, number)
    after = await _counts()
    return Leftovers(plugin.config.__name__, clients, *(now - then for now, then in zip(after, before, strict=True)))


async def _one(plugin: SinkPlugin[C], config: C, number: int) -> None:
    kind = number % 3
    with suppress(TimeoutError, Unavailable):
        async with asyncio.timeout(0.001 * (number % 10) if kind == 2 else None), plugin.connect(config) as sink:
            assert list(await sink.deliver([sample(number)])) == [None]
            if kind == 1:
                async with asyncio.timeout(0.0005 * (number % 10)):
                    await sink.deliver([sample(each) for each in range(config.window_events)])


async def _counts() -> tuple[int, int, int, int, int]:
    for _ in range(5):
        await asyncio.sleep(0.05)  # what was cancelled or closed last ends now
    return _count()


def _count() -> tuple[int, int, int, int, int]:
    gc.collect()
    files = len(list(Path("/proc/self/fd").iterdir()))
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    objects = sum(str(type(each).__module__).startswith(_LIBRARIES) for each in gc.get_objects())
    return len(asyncio.all_tasks()), threading.active_count(), files, objects, pages * _PAGE_BYTES
