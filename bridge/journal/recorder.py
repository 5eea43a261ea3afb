"""The journal's way to the disk: what is asked for goes together, and what is known of it is what is on disk.

Every change takes along what waits for one: letters, cursors that have moved, what is due to be deleted. Where there is
no room, all but the events is kept and tried again. Used by `bridge.journal.log` alone.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from bridge.errors import StorageFailed
from bridge.journal.change import Change
from bridge.journal.letter_box import LetterBox
from bridge.journal.memory import Records
from bridge.journal.reader import Reader
from bridge.journal.upkeep import Upkeep
from bridge.journal.writer import Writer, Written
from bridge.ledger import Ledger
from bridge.message import Message

__all__ = ["Limits", "Recorder"]

_log = logging.getLogger(__name__)
_AGAIN_SECONDS = 1.0
_FULL_DISK = "nothing is stored, and a sink waits where nothing can be recorded; make room on its volume"
_FULL_FILE = (
    "nothing is stored, and a sink that refuses an event waits, until the others have settled some; see"
    " `portos-bridge dlq list`, then `dlq purge`, or "
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the journal may hold and how far a cursor on disk may lag behind the one in memory.

    `cursor_every_events` is None for as many events as the sink asks for at once at most.
    """

    capacity_bytes: int
    memory_max_bytes: int
    cursor_every_events: int | None
    cursor_every_seconds: float
    blocks_when_full: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is true once a change is on disk: the cursors in it, its messages, and how far the letters go."""

    cursors: Mapping[str, int]
    messages: Sequence[Message]
    body_bytes: int
    letter_bytes: int


class Recorder:
    """See the module. `on_stored` is told messages that are on disk, `on_failed` that nothing will be any more."""

    def __init__(  # noqa: PLR0913 - made in one place
        self,
        writer: Writer,
        head: int,
        readers: Mapping[str, Reader],
        limits: Limits,
        ledger: Ledger,
        records: Records,
        letters: LetterBox,
        on_commit: Callable[[float], None],
    ) -> None:
        self.head = self.given = head
        """The newest number that is on disk, and the newest given, which may be on its way."""
        self.failure: StorageFailed | None = None
        self.broken = asyncio.Event()
        self.wrote = asyncio.Event()
        self.on_stored: Callable[[Sequence[Message]], None] = lambda _: None
        self.on_failed: Callable[[], None] = lambda: None
        self._writer = writer
        self._readers = readers
        self._limits = limits
        self._ledger = ledger
        self._letters = letters
        self._room = letters.room
        self._on_commit = on_commit
        self._upkeep = Upkeep(self.floor(), records)
        self._moved: dict[str, int] = {}
        self._owing = False  # the last change was refused: what it was made of goes with the next one
        self._flush: asyncio.TimerHandle | None = None
        self._last: asyncio.Future[Written] | None = None
        writer.on_died = self._broke

    def cursors(self) -> Mapping[str, int]:
        """Tell the sinks' places."""
        return {sink: reader.cursor for sink, reader in self._readers.items()}

    def floor(self) -> int:
        """Tell up to which number every sink has settled."""
        return min((reader.cursor for reader in self._readers.values()), default=0)

    def move(self, sink: str, seq: int) -> None:
        """Note a sink's new place; it is on disk soon."""
        reader = self._readers[sink]
        reader.cursor = seq
        self._moved[sink] = seq
        if seq - reader.asked >= reader.unrecorded:
            self.write(Change())
        elif self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(self._limits.cursor_every_seconds, self._flush_now)

    def _flush_now(self) -> None:
        self._flush = None
        if (self._moved or self._owing) and self.failure is None:
            self.write(Change())

    async def all_written(self) -> None:
        """Wait until every cursor and dead letter up to now is on disk."""
        self._write_what_waits()
        await self.last_written()

    async def last_written(self, enough: Callable[[], bool] = lambda: False) -> None:
        """Wait until what was asked for last is on disk, and all that was refused before it, or it is `enough`."""
        while self._last is not None and (await asyncio.shield(self._last)).refused and not enough():
            await asyncio.sleep(_AGAIN_SECONDS)
            self.write(Change())

    async def moved_on(self, reader: Reader) -> None:
        """Wait until a sink's place on disk is a later one, whatever else finds no room."""
        durable = reader.durable
        self._write_what_waits()
        await self.last_written(lambda: reader.durable != durable)
        if reader.durable == durable:
            await asyncio.sleep(
                0
            )  # it is on disk, and `_written` has still to run: waiting for what is done takes no time

    def _write_what_waits(self) -> None:
        if self._moved or self._letters or self._last is None:
            self.write(Change())

    def write(self, change: Change, messages: Sequence[Message] = ()) -> "asyncio.Future[Written]":
        """Ask for a change, with everything that waits for the next transaction; nobody need await the answer."""
        self.check()
        if self._letters:
            self._take_letters(change)
        half_full = self._room.used_bytes * 2 > self._limits.capacity_bytes
        due = self._upkeep.ride_along(change, self.floor(), self.given, time.monotonic(), half_full=half_full)
        due = due or self._owing
        # With the ledger go the cursors that it knows: what a crash takes from them it must not have counted.
        moved = self._cursors_to_write() if due or not change.chunks else {}
        change.cursors |= moved
        if due:
            change.ledger = self._ledger.record(self.given, self.cursors())
        body_bytes = sum(chunk.body_bytes for chunk in change.chunks)  # now: what comes next is merged into it
        asked = _Asked(moved, messages, body_bytes, self._letters.given_bytes)
        self._last = self._writer.write(change)
        self._last.add_done_callback(lambda done: self._written(done, asked))
        return self._last

    def _take_letters(self, change: Change) -> None:
        """Put the letters that wait before what the change itself says of letters."""
        letters, edits = self._letters.take()
        change.dead_letters += letters
        if edits is not None:
            if change.edits is not None:
                edits.merge(change.edits)
            change.edits = edits

    def _cursors_to_write(self) -> Mapping[str, int]:
        """Take the cursors that have moved; all of them where the last change was refused.

        They are written by themselves or with the ledger: with each commit of events they would cost it a statement
        and a page of 4 KiB.
        """
        moved, self._moved = dict(self.cursors()) if self._owing else self._moved, {}
        for sink, cursor in moved.items():
            self._readers[sink].asked = cursor
        return moved

    def _written(self, done: "asyncio.Future[Written]", asked: _Asked) -> None:
        error = done.exception()
        if error is not None:
            self._broke(error if isinstance(error, StorageFailed) else StorageFailed(f"journal: {error!r}"))
            return
        written = done.result()
        for sink, cursor in (written.cursors if written.refused else asked.cursors).items():
            self._readers[sink].durable = cursor
        if written.refused:
            self._refused(asked.messages, disk=written.disk)
            return
        if self._room.lacking:
            _log.warning("the journal has room again")
        self._owing, self._room.lacking = False, ""
        self.wrote.set()
        self._room.used_bytes = written.used_bytes
        self._letters.stored(asked.letter_bytes)
        self._on_commit(written.seconds)
        if asked.messages:
            for reader in self._readers.values():
                reader.body_bytes += asked.body_bytes
                if reader.cursor == self.head:  # also where nobody reads: the sink may be down
                    reader.oldest_at = asked.messages[0].received_at
            self.head += len(asked.messages)
            self.on_stored(asked.messages)

    def _broke(self, failure: StorageFailed) -> None:
        self.failure = failure
        self.broken.set()
        self.wrote.set()
        self.on_failed()

    def _refused(self, messages: Sequence[Message], *, disk: bool) -> None:
        """Take back the events that found no room; all else is tried again every second."""
        if not self._room.lacking:
            full = f"its file system is full ({self._room.folder})"
            self._room.lacking = full if disk else "it is full of events and dead letters"
            _log.error("journal: %s: %s", self._room.lacking, _FULL_DISK if disk else _FULL_FILE + self._room.growth)
        self._owing = True
        if messages:
            self.given = self.head
            self._upkeep.lower(self.head)
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._flush_now)

    async def failed(self) -> NoReturn:
        """Wait until the disk fails, and raise it: also where nobody reads or writes just then."""
        await self.broken.wait()
        self.check()
        raise AssertionError("a broken journal has its failure")

    def check(self) -> None:
        """Raise the failure, if there was one."""
        if self.failure is not None:
            raise StorageFailed(str(self.failure)) from self.failure

    async def close(self) -> None:
        """Record every cursor and an orderly end."""
        if self._flush is not None:
            self._flush.cancel()
        if self.failure is None and (await self.write(Change(clean=True))).refused:
            _log.error("the end of this session could not be recorded, for want of room: it will look like a crash")
