"""The state store: what the publishers of all sinks read, on a thread of its own, and healed when its disk refuses.

A file beside the journal that holds nothing which the hub has not told, and no sink waits for it. Where it cannot be
written or read, whoever asks gets `Unavailable`, and the next to ask opens it again; a file that is damaged or foreign
is moved aside, and a new one begins with what comes from then on. While it cannot be written the journal keeps what it
has to take: one that stays so fills the journal in the end, as a sink that is down does, and is told as one. Used by
`bridge.state.feeding` and `bridge.state.publishing`.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from bridge.errors import StorageFailed, Unavailable
from bridge.journal.file import log_of
from bridge.journal.volume import what_to_do
from bridge.state.numbers import Numbers
from bridge.state.row import Row
from bridge.state.table import Page, Table

__all__ = ["Place", "StateStore"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_CROWDED = 3 / 4  # of the limit; the rest is for the transaction on its way, and the log of changes in it
_PIECES = 16  # one part in so many of the limit is the most that one state may have, and about what is taken at once
_PLACE_SECONDS = 1.0  # a place that a crash takes back repeats what is the newest, and nothing else
_CLOSE_SECONDS = 5.0  # for one transaction and the log put into the file; what is not done by then costs repeats only


class Place:
    """Where a publisher is: behind which number, of the store with which identity, for which target."""

    def __init__(self, name: str, target: str, identity: str, cursor: int) -> None:
        self.name = name
        self.target = target
        self.identity = identity
        self.cursor = cursor
        self.recorded_at = 0.0
        self.recorded = cursor


class StateStore:
    """See the module. `targets` has for each publisher what it publishes to: only their places count."""

    def __init__(self, path: Path, max_bytes: int, targets: Mapping[str, str], numbers: Numbers) -> None:
        self.path = path
        self.numbers = numbers
        self._max_bytes = max_bytes
        self._targets = targets
        self._thread = ThreadPoolExecutor(1, "state", initializer=self._begun)
        self._worker: threading.Thread | None = None
        self._table: Table | None = None
        self._spoilt = ""
        self._places: dict[str, Place] = {}
        self._fed = asyncio.Event()
        self._told = False

    def _begun(self) -> None:
        self._worker = threading.current_thread()

    @property
    def alive(self) -> bool:
        """Whether its thread runs, or has not been needed yet."""
        return self._worker is None or self._worker.is_alive()

    async def place(self, name: str) -> Place:
        """Give the place of a publisher: where it was, or 0 where it published to another target, or the store is new.

        Raises `Unavailable`, as everything here that asks the disk.
        """
        await self._call(lambda _: None)  # so that it is open
        return self._places[name]

    @asynccontextmanager
    async def opened(self) -> "AsyncIterator[StateStore]":
        """Give the store, opened; raises `Unavailable` where it cannot be."""
        await self._call(lambda _: None)
        yield self

    @property
    def piece_bytes(self) -> int:
        """How much is to be fed at once: a state that is larger has no place here."""
        return self._max_bytes // _PIECES

    async def fed(self) -> tuple[str, int]:
        """Tell which journal the store was fed from, and how far."""
        return await self._call(lambda table: (table.journal, table.fed))

    async def feed(self, rows: Sequence[Row], journal: str, fed: int, received_at: float) -> None:
        """Take what is newer than what is here, received from `received_at` on; on disk when this returns."""
        await self._call(lambda table: self._feed(table, rows, journal, fed))
        for found in self.numbers.publications.values():
            if found.waiting_since is None and found.cursor < self.numbers.head:
                found.waiting_since = received_at
        self._fed.set()
        self._fed = asyncio.Event()

    def _feed(self, table: Table, rows: Sequence[Row], journal: str, fed: int) -> None:
        self._make_room(table)
        if table.feed(rows, journal, fed):
            self.numbers.head = table.head
        self.numbers.used_bytes, self.numbers.max_bytes = table.used()

    def _make_room(self, table: Table) -> None:
        """Forget what all publishers have passed, as far as there is need and there is such.

        Where there is none SQLite refuses what does not fit, and whoever feeds waits for the publishers.
        """
        numbers = self.numbers
        while numbers.used_bytes > numbers.max_bytes * _CROWDED:
            gone = table.forget(min(place.cursor for place in self._places.values()))
            if not gone:
                return
            numbers.forgotten += gone
            numbers.used_bytes, _ = table.used()
            if not self._told:
                self._told = True
                text = "state store %s has no room for more: the oldest states are forgotten, and if a broker loses its"
                _log.warning(text + " store they cannot be published again; see STATE__MAX_BYTES", self.path)

    async def after(self, place: Place, limit: int) -> Page:
        """Give the next states behind a place; raises `Unavailable` where the store is another one by now."""

        def ask(table: Table) -> Page | None:
            return table.after(place.cursor, limit) if table.identity == place.identity else None

        page = await self._call(ask)
        if page is None:
            raise Unavailable("the state store was begun anew", reason="planned", at_once=True)
        if page.messages:
            self.numbers.publications[place.name].waiting_since = page.messages[0].received_at
        return page

    async def changed(self, place: Place) -> None:
        """Wait until there is something behind a place."""
        while place.cursor >= self.numbers.head:
            await self._fed.wait()

    async def settle(self, place: Place, cursor: int) -> None:
        """Move a place, also back; it is on disk after a second at most, if this is called again, or with the end."""
        place.cursor = cursor
        found = self.numbers.publications[place.name]
        found.cursor = cursor
        if cursor >= self.numbers.head:
            found.waiting_since = None
        now = time.monotonic()
        if place.recorded != cursor and now >= place.recorded_at + _PLACE_SECONDS:
            place.recorded_at = now
            await self._call(lambda table: _record(table, place))

    async def close(self) -> None:
        """Record every place and give the file back, within a deadline; what fails by then the next start tells.

        A thread that hangs in its disk is left behind: only the process's end waits for it.
        """
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await asyncio.get_running_loop().run_in_executor(self._thread, self._finish)
        except TimeoutError:
            text = "state store %s: its disk does not answer: what was published last is published again"
            _log.warning(text, self.path)
        finally:
            self._thread.shutdown(wait=False)

    def _finish(self) -> None:
        if self._table is None:
            return
        try:
            self._ask(self._record_all)
        except Unavailable as error:
            _log.warning("%s: what was published last is published again", error)
        finally:
            self._give_back()

    def _record_all(self, table: Table) -> None:
        for place in self._places.values():
            _record(table, place)

    async def _call(self, function: Callable[[Table], T]) -> T:
        """Ask the table on its thread, opened where it is not open.

        Cancelling leaves open whether it was done; the next call comes behind it.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, function)

    def _ask(self, function: Callable[[Table], T]) -> T:
        try:
            return function(self._table or self._open())
        except (sqlite3.OperationalError, OSError) as error:  # what another disk, or more room on it, would cure
            self._give_back()
            raise Unavailable(self._refusal(error), reason="storage", hold=True) from error
        except (sqlite3.DatabaseError, StorageFailed) as error:
            self._give_back()
            self._spoilt = str(error)
            raise Unavailable(f"state store {self.path}: {error}", reason="storage") from error

    def _refusal(self, error: Exception) -> str:
        """Say what the disk said, and what would cure it: the file's own limit is reached where the volume has room."""
        cure = what_to_do(self.path, error)
        if not cure and "full" in str(error):
            cure = "; what a sink has not published is not forgotten: see what keeps it, or raise STATE__MAX_BYTES"
        return f"state store {self.path}: {error}{cure}"

    def _open(self) -> Table:
        if self._spoilt:
            self._move_aside()
        table = Table(self.path, self._max_bytes)
        self._table, self._spoilt = table, ""
        self.numbers.head = table.head
        self.numbers.used_bytes, self.numbers.max_bytes = table.used()
        for name, target in self._targets.items():
            self._places[name] = place = self._found(table, name, target)
            found = self.numbers.publications[name]
            found.cursor = place.cursor
            first = table.after(place.cursor, 1).messages
            found.waiting_since = first[0].received_at if first else None
        return table

    def _found(self, table: Table, name: str, target: str) -> Place:
        known = self._places.get(name)
        if known is not None and known.identity == table.identity:
            known.cursor = min(known.cursor, table.head)
            return known  # which is newer than what is on disk
        before, cursor = table.cursors.get(name, (target, 0))
        if before != target:
            _log.info("sink %s publishes its states to another place now, and all of them again", name)
            cursor = 0
        # A disk that took back what it had confirmed must not hide what comes under the same numbers.
        return Place(name, target, table.identity, min(cursor, table.head))

    def _move_aside(self) -> None:
        aside = self.path.with_name(self.path.name + ".aside")
        log_of(self.path).unlink(missing_ok=True)  # without its file it says nothing
        if not self.path.exists():
            return
        self.path.replace(aside)
        text = "state store %s cannot be used (%s) and is kept as %s; a new one begins with what comes from now on"
        _log.error(text, self.path, self._spoilt, aside)

    def _give_back(self) -> None:
        table, self._table = self._table, None
        if table is not None:
            table.close()


def _record(table: Table, place: Place) -> None:
    if place.identity == table.identity and place.recorded != place.cursor:
        cursor = place.cursor
        table.place(place.name, place.target, cursor)
        place.recorded = cursor
