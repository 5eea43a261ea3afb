"""A disk whose time is the model's: the real writer, the real SQLite and a real file, each commit when it is due.

What the writer's thread would do is done in the event loop, so every run of a seed is the same. A crash is before a
commit, or between the commit and its answer; SQLite sees to it that there is no other.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from queue import Empty
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.errors import StorageFailed
from bridge.journal import writer
from bridge.journal.store import Change, Store

__all__ = ["Disk", "installed"]


class Disk:
    """The disk under one life of the bridge. `dead`: nothing is written any more, though somebody asks."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.slowest_seconds = 0.002
        self.breaks = 0.0
        """How probable it is that a write fails, having been carried out or not: the bridge has to stop."""
        self.crashes = 0.0
        self.crashed = asyncio.Event()
        self.dead = False

    def seconds(self) -> float:
        """Say how long the next commit takes."""
        return self.dice.uniform(0.0001, self.slowest_seconds)

    def crash(self, release: Callable[[], None]) -> None:
        """Lose the machine: what is on its way to the disk is there as a whole, or not at all.

        It is answered in any case, since whoever waited for ever would keep its file open, which no lost machine does.
        """
        written = self.dice.random() < 0.5
        if written:
            release()
        self.dead = True
        if not written:
            release()
        self.crashed.set()


class _Gate:
    """Stands where the writer has its queue and its thread: what is put there is done when the disk is due."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._loop = asyncio.get_running_loop()
        self._asked: deque[Any] = deque()
        self._passed: deque[Any] = deque()
        self._due: asyncio.TimerHandle | None = None
        self.work: Callable[[], object]

    def put(self, job: Any) -> None:
        """Be the queue."""
        self._asked.append(job)
        if job is None or self._disk.dead:
            self._release()
        elif self._due is None:
            self._due = self._loop.call_later(self._disk.seconds(), self._is_due)

    def get(self) -> Any:
        """Be the queue, which is asked only where there is something in it."""
        return self._passed.popleft()

    def get_nowait(self) -> Any:
        """Be the queue."""
        if not self._passed:
            raise Empty
        return self._passed.popleft()

    def _is_due(self) -> None:
        if self._disk.dice.random() < self._disk.crashes:
            self._disk.crash(self._release)
        else:
            self._release()

    def _release(self) -> None:
        """Let the writer do all that was asked for until now."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self._asked:
            self._passed, self._asked = self._asked, deque()
            while self._passed:
                self.work()


class _NoThread:
    """Stands where the writer has its thread; its work is the gate's."""

    gate: _Gate

    def __init__(self, *, target: Any, **_: object) -> None:
        self._writer = target.__self__

    def start(self) -> None:
        self.gate.work = self._writer._serve

    def join(self) -> None:
        """Everything is done already."""


def installed(patch: pytest.MonkeyPatch, disk: Callable[[], Disk]) -> None:
    """Put the disk of the moment under every journal that is opened."""
    write = Store.write

    def written(store: Store, change: Change) -> None:
        under = disk()
        if under.dead:
            raise StorageFailed("the machine is gone")
        breaks = under.dice.random() < under.breaks
        if not breaks or under.dice.random() < 0.5:
            write(store, change)
        if breaks:
            raise StorageFailed("the disk has failed")

    def gate() -> _Gate:
        _NoThread.gate = _Gate(disk())
        return _NoThread.gate

    patch.setattr(Store, "write", written)
    patch.setattr(writer, "SimpleQueue", gate)
    patch.setattr(writer, "threading", SimpleNamespace(Thread=_NoThread))
