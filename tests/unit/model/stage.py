"""A real journal on a file, its event loop standing still but where it is led on, its disk held or full as wanted.

What is asked of the journal runs as a task and is looked at when nothing moves any more; a crash is a copy of the
files, opened by the next life. Used by `tests.unit.model.machine`.
"""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from bridge.journal import (
    Journal,
    Letter,
    Limits,
    Page,
    Which,
    entry,
    letter_desk,
    log,
    open_journal,
    store,
    tail,
    upkeep,
)
from bridge.journal.change import Change
from bridge.journal.shrinking import _QUIET_SECONDS
from bridge.journal.store import NoRoom, Store

__all__ = ["Stage"]

T = TypeVar("T")
_MEMORY_FOLDER = Path("/dev/shm")
_TURNS = 5  # of the loop, in which whatever is ready runs to its next wait
_ROUNDS = 60  # of questions to the disk, in which whatever does not wait for ever is done
_ROUNDS_OF_READING = 3  # in which whoever waits for events gets them, if there are any
_AGAIN_SECONDS = 1.1  # by then the journal has tried again
_ALL = 10_000
_SHRINKING_ROUNDS = 10
_WAIT_SECONDS = 20.0
# So small that a few dozen events meet them.
_BOUNDS: Sequence[tuple[Any, str, int]] = (
    (log, "_READ_AHEAD_EVENTS", 7),
    (log, "_READ_AHEAD_BYTES", 20_000),
    (entry, "_CHUNK_MAX_BYTES", 9_000),
    (upkeep, "_MUCH_EVENTS", 20),
    (upkeep, "_SOME_EVENTS", 5),
    (tail, "_TRIM_EVENTS", 8),
    (letter_desk, "_PAGE_LETTERS", 2),
    (store, "_UNASKED_BYTES", 8_192),
    (store, "_MANY_PAGES", 4),
    (store, "_STEP_PAGES", 2),
)


class _StandingLoop(asyncio.SelectorEventLoop):
    """Its time is `now` and nothing else."""

    now = 1000.0

    def time(self) -> float:
        return self.now


class Stage:
    """See the module.

    `held`: nothing reaches the disk. `full`: where there is no room, on the `disk` for anything, or in the `file` for
    what is large.
    """

    journal: Journal

    def __init__(self) -> None:
        self.held, self.full = False, ""
        self.on_disk: Mapping[str, int] = {}
        """The cursors on disk, as of when it was not held last."""
        self._folders = Path(tempfile.mkdtemp(dir=_MEMORY_FOLDER if _MEMORY_FOLDER.is_dir() else None))
        self._lives = 0
        self._loop = _StandingLoop()
        self._life = AsyncExitStack()
        self._gate = threading.Event()
        self._running: dict[asyncio.Task[Any], Callable[[Any], None]] = {}
        self._reading: dict[asyncio.Task[Page], Callable[[Page], None]] = {}
        self._patch = pytest.MonkeyPatch()
        for module, name, bound in _BOUNDS:
            self._patch.setattr(module, name, bound)
        clock = SimpleNamespace(monotonic=self._loop.time, time=self._loop.time)
        self._patch.setattr(log, "time", clock)
        write = Store.write

        def written(store: Store, change: Change) -> None:
            large = change.chunks or change.dead_letters or change.records
            if self.full == "disk" or (self.full and large):
                raise NoRoom(disk=self.full == "disk")
            write(store, change)

        self._patch.setattr(Store, "write", written)

    @property
    def path(self) -> Path:
        """Where the journal of this life is."""
        return self._folders / str(self._lives) / "journal.db"

    def open(self, sinks: Sequence[str], max_bytes: int, limits: Limits) -> None:
        """Begin a life."""
        self._life = AsyncExitStack()
        opening = self._life.enter_async_context(open_journal(self.path, sinks, max_bytes, limits))
        self.journal = self._loop.run_until_complete(opening)
        self._loop.run_until_complete(self._quiet())

    def run(self, what: Coroutine[Any, Any, T], then: Callable[[T], None]) -> None:
        """Begin something and lead it as far as it goes; `then` is told what came of it, now or later."""
        self._running[self._loop.create_task(what)] = then
        self.settle()

    def read(self, sink: str, limit: int, then: Callable[[Page], None]) -> None:
        """Begin to read; as `run`, but it may wait for events."""
        self._reading[self._loop.create_task(self.journal.read(sink, limit))] = then
        self.settle()

    def settle(self) -> None:
        """Let happen whatever does not need time, and tell what is done, what was read last.

        Raises if something waits that should not.
        """
        self._loop.run_until_complete(self._quiet())
        for tasks in (self._running, self._reading):
            while (task := next((task for task in tasks if task.done()), None)) is not None:
                tasks.pop(task)(task.result())  # which may settle more
        if not self.held and not self.full:
            assert not self._running, f"waits for ever: {list(self._running)}"

    def ask(self, function: Coroutine[Any, Any, T]) -> T:
        """Do something at once."""
        return self._loop.run_until_complete(function)

    def letters(self) -> Sequence[Letter]:
        """Read the dead letters."""
        return self.ask(self.journal.desk.letters(Which(), _ALL, bodies=True))

    def skip(self, seconds: float) -> None:
        """Let time pass."""
        self._loop.now += seconds
        self.settle()

    def hold(self) -> None:
        """Let nothing more reach the disk."""
        if self.held:
            return
        self.held = True
        gate, closed = threading.Event(), threading.Event()
        self._gate = gate

        def wait(_: Store) -> None:
            closed.set()
            gate.wait(_WAIT_SECONDS)

        self.journal._writer.call(wait)
        assert closed.wait(_WAIT_SECONDS)

    def heal(self) -> None:
        """Let the disk be well: what was held becomes one commit, what found no room is tried again."""
        was_full, self.held, self.full = self.full, False, ""
        self._gate.set()
        if was_full:
            self._loop.run_until_complete(self._quiet())
            self._loop.now += _AGAIN_SECONDS
        self.settle()

    def shrink(self) -> None:
        """Let the file shrink while nothing else happens, as far as it does."""
        shrinking = self._loop.create_task(self.journal.shrink())
        self.skip(_QUIET_SECONDS + 1.0)
        for _ in range(_SHRINKING_ROUNDS):
            self.settle()
        shrinking.cancel()
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(shrinking)

    def close(self) -> None:
        """End a life in order."""
        self._cancel()
        self._loop.run_until_complete(self._life.aclose())

    def kill(self, *, after_commit: bool) -> None:
        """End a life where it is: what the disk holds up to then is written before, or is lost."""
        if self.held and after_commit:
            self._gate.set()
            done = threading.Event()
            self.journal._writer.call(lambda _: done.set())
            assert done.wait(_WAIT_SECONDS)
        shutil.copytree(self.path.parent, self._folders / str(self._lives + 1))
        if self.held and not after_commit:
            self._cancel()
        self._gate.set()
        self.held = False
        full, self.full = self.full, ""
        if full:
            self._cancel()
        self.settle()
        self.close()
        self._lives += 1

    def end(self) -> None:
        """Leave nothing behind."""
        self._gate.set()
        self.held, self.full = False, ""
        try:
            self.close()
        finally:
            self._patch.undo()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            shutil.rmtree(self._folders)

    def _cancel(self) -> None:
        tasks = [*self._running, *self._reading]
        for task in tasks:
            task.cancel()
        if tasks:
            self._loop.run_until_complete(asyncio.wait(tasks))
        self._running.clear()
        self._reading.clear()

    async def _quiet(self) -> None:
        for number in range(_ROUNDS):
            if not self.held:
                self.on_disk = (await self.journal._writer.call(lambda store: store.places())).cursors
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            done = all(task.done() for task in self._running) and (not self._reading or number > _ROUNDS_OF_READING)
            if self.held or self.full or done:
                return
