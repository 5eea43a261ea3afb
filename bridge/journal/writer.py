"""The one thread that touches the journal's file, and the group commit.

Whatever was asked for while a transaction was on its way to the disk is written by the next one, together: the commit
in progress is the batch window, and there is no other linger. Reads run between transactions on the same thread,
since the file has one connection. Used by `bridge.journal.log` alone.
"""

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from bridge.errors import StorageFailed
from bridge.journal.change import Change
from bridge.journal.store import NoRoom, Store

__all__ = ["Writer", "Written"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Written:
    """What one commit tells: how long it took, and how much of the file is in use after it.

    `refused`: there is no room. Nothing of the change is on disk but `cursors`, which are the places of sinks that need
    none; what else there was in it beside events is written with the next one. `disk`: it is the file system that has
    no room, and not the journal's own limit.
    """

    seconds: float
    used_bytes: int
    refused: bool = False
    disk: bool = False
    cursors: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Write:
    change: Change
    done: "asyncio.Future[Written]"
    refusals: int
    """How many refusals were known to who asked for it."""


@dataclass(frozen=True, slots=True)
class _Call(Generic[T]):
    function: Callable[[Store], T]
    done: "asyncio.Future[T]"
    writes: bool


class Writer:
    """Carries changes and reads to the store and their results back to the event loop.

    `on_died` is told on the loop when the thread has ended without being told to: nobody is answered any more.
    """

    def __init__(self, store: Store) -> None:
        self.on_died: Callable[[StorageFailed], None] = lambda _: None
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Write | _Call[object] | None] = SimpleQueue()
        self._failed: StorageFailed | None = None
        self._refusals = self._known_refusals = 0  # the first is the thread's, the other what the loop knows
        self._owed: Change | None = None
        self._busy_since: float | None = None
        self._head = sys.maxsize  # the last number that is stored, once that is known
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def write(self, change: Change) -> "asyncio.Future[Written]":
        """Ask for a change; the future is done when it is on disk, or failed with `StorageFailed`.

        After one that failed no other is written. After one that was refused none is tried that was asked for before
        that was known: it builds on what is not there.
        """
        job = _Write(change, self._loop.create_future(), self._known_refusals)
        self._jobs.put(job)
        return job.done

    def call(self, function: Callable[[Store], T], *, writes: bool = False) -> "asyncio.Future[T]":
        """Ask for anything else that needs the store; after one that `writes` and failed nothing else is written."""
        job = _Call(function, self._loop.create_future(), writes)
        self._jobs.put(job)
        return job.done

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    @property
    def busy_seconds(self) -> float:
        """For how long its thread has been at what it does now, waiting for the disk as a rule; 0 while idle."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    async def close(self) -> None:
        """Carry out what was asked for, then end the thread and close the store."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._store.close()

    def _run(self) -> None:
        try:
            while self._serve():
                pass
        except BaseException as error:
            failed = StorageFailed(f"journal: its thread has died of {error!r}; nothing is stored any more")
            with contextlib.suppress(RuntimeError):  # as in `_post`
                self._loop.call_soon_threadsafe(self.on_died, failed)
            raise

    def _serve(self) -> bool:
        """Wait for something to do, and do all that has come by then; say whether more may come."""
        jobs = [self._jobs.get()]
        with contextlib.suppress(Empty):
            while True:
                jobs.append(self._jobs.get_nowait())
        self._busy_since = time.monotonic()
        self._commit([job for job in jobs if isinstance(job, _Write)])
        for job in jobs:
            if isinstance(job, _Call):
                self._busy_since = time.monotonic()
                self._answer(job)
        self._busy_since = None
        return None not in jobs

    def _commit(self, writes: Sequence[_Write]) -> None:
        if not writes:
            return
        if writes[0].refusals < self._refusals:
            stale = [write for write in writes if write.refusals < self._refusals]
            self._owe(_merged(stale))
            self._post(_resolve, [write.done for write in stale], Written(0.0, 0, refused=True))
            self._commit(writes[len(stale) :])
            return
        change = _merged(writes)
        futures = [write.done for write in writes]
        if self._failed is not None:
            self._post(_fail, futures, self._failed)
            return
        if self._owed is not None:
            self._owed.merge(change)
            change, self._owed = self._owed, None
        try:
            started = time.perf_counter()
            self._store.write(change)
            seconds = time.perf_counter() - started
            written = Written(seconds, self._store.used_bytes())
        except NoRoom as no_room:
            self._refusals += 1
            self._refuse(change, no_room, futures)
        except Exception as error:  # noqa: BLE001 - as below
            self._failed = _final(error)
            self._post(_fail, futures, self._failed)
        else:
            if change.chunks:
                self._head = change.chunks[-1].last
            self._post(_resolve, futures, written)
            self._store.mark()  # behind the answers: nobody waits for it

    def _refuse(self, change: Change, no_room: NoRoom, futures: "Sequence[asyncio.Future[Written]]") -> None:
        """Write of a change what needs no room, keep what else it owes beside its events, and say what is not written.

        A sink whose letters find no room waits for others to free some: these must not wait for it.
        """
        self._owe(change)
        frugal = change.frugal()
        try:
            self._store.write(frugal)
        except NoRoom:
            frugal.merge(change)
            self._owed, frugal = frugal, Change()
        except Exception as error:  # noqa: BLE001 - as in `_commit`
            self._failed = _final(error)
            self._post(_fail, futures, self._failed)
            return
        written = Written(0.0, 0, refused=True, disk=no_room.disk, cursors=frugal.cursors)
        self._post(self._told, futures, (written, self._refusals))

    def _owe(self, change: Change) -> None:
        """Keep what a change owes beside its events, to be written with the next one."""
        if change.chunks:
            self._head = min(self._head, change.chunks[0].first - 1)
        change.withdraw(self._head)
        if self._owed is None:
            self._owed = change
        else:
            self._owed.merge(change)

    def _told(self, futures: "Sequence[asyncio.Future[Written]]", told: tuple[Written, int]) -> None:
        written, self._known_refusals = told
        _resolve(futures, written)

    def _answer(self, job: _Call[object]) -> None:
        try:
            result = job.function(self._store)
        except Exception as error:  # noqa: BLE001 - whatever it is: a thread that ended would let all wait for ever
            failed = _final(error)
            if job.writes:
                self._failed = failed
            self._post(_fail, [job.done], failed)
        else:
            self._post(_resolve, [job.done], result)

    def _post(self, deliver: Callable[..., None], futures: "Sequence[asyncio.Future[T]]", what: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(deliver, futures, what)


def _merged(writes: Sequence[_Write]) -> Change:
    change = writes[0].change
    for write in writes[1:]:
        change.merge(write.change)
    return change


def _final(error: Exception) -> StorageFailed:
    if isinstance(error, StorageFailed):
        return error
    failed = StorageFailed(f"journal: {error!r}")
    failed.__cause__ = error
    return failed


def _resolve(futures: "Sequence[asyncio.Future[T]]", result: T) -> None:
    for future in futures:
        if not future.done():
            future.set_result(result)


def _fail(futures: "Sequence[asyncio.Future[T]]", error: StorageFailed) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
