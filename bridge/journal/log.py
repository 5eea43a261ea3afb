"""The journal as the program sees it: append, read, settle.

An append-only log of messages with one cursor a sink. What is appended is on disk before `append` returns; what a
sink reads is everything behind its cursor, oldest first; what all sinks have settled is deleted. The newest messages
are held in memory as well, so that sinks that keep up never read the disk. Used by `bridge.pipeline`, opened by
`bridge.service`.

Order that must never change: received, committed, sent, confirmed, cursor committed.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from bridge.errors import StorageFailed
from bridge.journal.change import Change
from bridge.journal.damage import Damage
from bridge.journal.entry import Buried, buried_letters, chunks_of, corrupt_letter, set_aside
from bridge.journal.inspection import Inspection
from bridge.journal.letter import Edits
from bridge.journal.letter_box import LetterBox
from bridge.journal.letter_desk import LetterDesk
from bridge.journal.memory import Records
from bridge.journal.reader import Ahead, Page, Reader
from bridge.journal.store import Store
from bridge.journal.tail import Tail
from bridge.journal.upkeep import Upkeep
from bridge.journal.writer import Writer, Written
from bridge.labels import JOURNAL
from bridge.ledger import Ledger
from bridge.message import Message
from bridge.ports import Unreadable

__all__ = ["Journal", "Lag", "Limits", "Previous"]

_log = logging.getLogger(__name__)
T = TypeVar("T")
_NOTHING = Page((), ())
_FULL_DISK = "nothing is stored, and a sink waits where nothing can be recorded; make room on its volume"
_FULL_FILE = (
    "nothing is stored, and a sink that refuses an event waits, until the others have settled some; see"
    " `portos-bridge dlq list`, then `dlq purge`, or raise JOURNAL__MAX_BYTES"
)
_DISK_AGAIN_SECONDS = 1.0
_IDLE_SECONDS = 0.5
_READ_AHEAD_EVENTS = 1000
_READ_AHEAD_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the journal may hold and how far a cursor on disk may lag behind the one in memory."""

    capacity_bytes: int
    memory_max_bytes: int
    cursor_every_events: int
    cursor_every_seconds: float
    blocks_when_full: bool = False


@dataclass(frozen=True, slots=True)
class Lag:
    """What is accepted and not yet settled for a sink; `oldest_at` is None when nothing is."""

    events: int
    body_bytes: int
    oldest_at: float | None


@dataclass(frozen=True, slots=True)
class Previous:
    """What the last session left: whether it ended in order, up to when all that the hub had sent was stored.

    `scope` is what was asked of the hub, see `bridge.scope`. All are None in a journal that is new; the moment is in
    seconds since the epoch.
    """

    clean: bool | None = None
    proved_at: float | None = None
    scope: str | None = None
    forgotten: bool = False
    """Whether a journal before this one was lost with all that was known."""


class Journal:
    """See the module. One task appends; one task per sink reads and settles. Any failure of the disk is final."""

    def __init__(  # noqa: PLR0913 - opened in one place, by `bridge.journal.opening`
        self,
        writer: Writer,
        head: int,
        readers: Mapping[str, Reader],
        limits: Limits,
        on_commit: Callable[[float], None],
        previous: Previous,
        ledger: Ledger,
        records: Records,
        letters: LetterBox,
        damage: Damage,
    ) -> None:
        self.limits = limits
        self.previous = previous
        self.ledger = ledger
        self.room = letters.room
        self.failure: StorageFailed | None = None
        self.head = head
        """The sequence number of the newest message that is on disk."""
        self._given = head  # the newest number given, on disk or on its way
        self._damage = damage
        self._writer = writer
        self._readers = dict(readers)
        self._upkeep = Upkeep(self._floor(), records)
        self._tail = Tail(head, limits.memory_max_bytes)
        self._on_commit = on_commit
        self._arrived = asyncio.Event()
        self._settled = asyncio.Event()
        self._broken = asyncio.Event()
        self._wrote = asyncio.Event()
        self._moved: dict[str, int] = {}
        self._owing = False  # the last change was refused: what it was made of goes with the next one
        self.letters = letters
        self.inspection = Inspection(self._ask)
        self.desk = LetterDesk(self._ask, self.edit, letters)
        self._flush: asyncio.TimerHandle | None = None
        self._last_write: asyncio.Future[Written] | None = None

    async def append(
        self,
        messages: Sequence[Message],
        unreadable: Sequence[Unreadable] = (),
        proved_at: float | None = None,
        scope: str | None = None,
    ) -> bool:
        """Store what the hub sent; when this returns True it is on disk.

        `proved_at`, in the same transaction, says up to when all that the hub has sent is stored with it, and `scope`
        what all that is from now on. False when it would exceed the capacity, or the file system is full: nothing of it
        is stored then. Cancelling leaves open whether it is.
        """
        if self.room.closed:
            return False
        chunks = chunks_of(messages, self._given + 1)
        letters = [set_aside(record) for record in unreadable]
        size = sum(len(chunk.rows) for chunk in chunks) + sum(len(letter.data) for letter in letters)
        if not self.room.takes(size):
            return False
        self._given += len(messages)
        kept = [letter for letter in letters if self.letters.add(letter)]
        asked = self._write(Change(chunks=chunks, proved_at=proved_at, scope=scope), messages)
        if (await asyncio.shield(asked)).refused:
            self.letters.withdraw(kept)
            return False
        return True

    async def until_room(self, size: int) -> None:
        """Wait until so many bytes more are taken; no longer where they never will be."""
        while self.room.ever_takes(size) and not self.room.takes(size):
            self._wrote.clear()
            await self._wrote.wait()
            self._check()

    async def edit(self, edits: Edits) -> None:
        """Change dead letters that are kept; on disk when this returns."""
        self._write(Change(edits=edits))
        await self._last_written()
        self._arrived.set()  # whoever waits for events may have letters to send now

    def _ask(self, function: Callable[[Store], T]) -> "asyncio.Future[T]":
        """Ask the store, behind all that is known of letters up to now."""
        self._check()
        if self.letters:
            self._write(Change())
        return self._writer.call(function)

    def prove(self, at: float) -> None:
        """Record, without waiting for it, that all is stored that the hub has sent up to a moment."""
        self._write(Change(proved_at=at))

    async def read(self, sink: str, limit: int) -> Page:
        """Wait for messages behind a sink's cursor and return up to `limit` of them. Reading again gives the same.

        None are returned when the sink's dead letters are to be sent again while it waits.
        """
        reader = self._readers[sink]
        while True:
            self._check()
            # The send gate: no more is given out than a crash may repeat, a window and what is not yet recorded.
            room = reader.durable + limit + self.limits.cursor_every_events - reader.cursor
            if room <= 0:
                await self._moved_on(reader)
                continue
            page = reader.ahead(min(limit, room)) or self._newest(reader, min(limit, room))
            if page is not None:
                reader.oldest_at = page.messages[0].received_at
                return page
            if reader.cursor < self.head:
                await self._read_ahead(reader)
            else:
                self._arrived.clear()
                await self._arrived.wait()
                if self.letters.marked(sink):
                    return _NOTHING

    def _newest(self, reader: Reader, limit: int) -> Page | None:
        messages = self._tail.after(reader.cursor, limit)
        return Page(messages, range(reader.cursor + 1, reader.cursor + 1 + len(messages))) if messages else None

    async def _read_ahead(self, reader: Reader) -> None:
        after, upto = reader.cursor, self._tail.first - 1
        chunks = await self._writer.call(lambda store: store.read(after, _READ_AHEAD_EVENTS, _READ_AHEAD_BYTES))
        enough = bool(chunks) and chunks[-1].last - after >= _READ_AHEAD_EVENTS
        cut = enough or sum(len(chunk.rows) for chunk in chunks) >= _READ_AHEAD_BYTES
        ahead = Ahead(chunks, upto, not cut, self._tail.received_at(upto + 1) or time.time())
        runs, remains = reader.take(ahead, self._damage.journal, self._damage.tell)
        if runs:
            for row in self._damage.note(runs, remains, self._floor()):
                self.letters.add(corrupt_letter(JOURNAL, row))

    async def settle(self, sink: str, page: Page, count: int, buried: Mapping[int, Buried]) -> None:
        """Move a sink's cursor over the first `count` messages of a page.

        Those in `buried`, by index, become dead letters. Waits for the disk only when something is buried; otherwise
        recording goes on beside the next delivery, and `read` waits if it falls behind.
        """
        self._check()
        reader = self._readers[sink]
        if count:
            self.letters.settle(sink, page, count, buried_letters(sink, page, buried) if buried else {})
            reader.body_bytes -= sum(len(message.body) for message in page.messages[:count])
            reader.oldest_at = page.messages[min(count, len(page.messages) - 1)].received_at
            reader.settled_at = page.messages[count - 1].received_at
            self._move(sink, reader, page.seqs[count - 1])
        if buried:
            await self._cursors_written()

    def _move(self, sink: str, reader: Reader, seq: int) -> None:
        self.ledger.sinks[sink].skipped += reader.pass_over(seq)
        reader.cursor = seq
        self._moved[sink] = seq
        self._tail.forget(self._floor())
        if seq - reader.asked >= self.limits.cursor_every_events:
            self._write(Change())
        elif self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(self.limits.cursor_every_seconds, self._flush_now)
        if seq == self.head:
            reader.body_bytes = 0  # of lost rows it is not known
            self._settled.set()

    def _flush_now(self) -> None:
        self._flush = None
        if (self._moved or self._owing) and self.failure is None:
            self._write(Change())

    async def _moved_on(self, reader: Reader) -> None:
        """Wait until a sink's place on disk is a later one, whatever else finds no room."""
        durable = reader.durable
        if self._moved or self.letters or self._last_write is None:
            self._write(Change())
        while self._last_write is not None and (await asyncio.shield(self._last_write)).refused:
            if reader.durable != durable:
                return
            await asyncio.sleep(_DISK_AGAIN_SECONDS)
            self._write(Change())

    async def _cursors_written(self) -> None:
        """Wait until every cursor and dead letter up to now is on disk."""
        if self._moved or self.letters or self._last_write is None:
            self._write(Change())
        await self._last_written()

    async def _last_written(self) -> None:
        """Wait until what was asked for last is on disk, and all that was refused before it."""
        while self._last_write is not None and (await asyncio.shield(self._last_write)).refused:
            await asyncio.sleep(_DISK_AGAIN_SECONDS)
            self._write(Change())

    async def failed(self) -> NoReturn:
        """Wait until the disk fails, and raise it: also where nobody reads or writes just then."""
        await self._broken.wait()
        self._check()
        raise AssertionError("a broken journal has its failure")

    async def drained(self) -> None:
        """Wait until every sink has settled everything that is stored."""
        while self._floor() < self.head:
            self._check()
            self._settled.clear()
            await self._settled.wait()

    def lag(self, sink: str) -> Lag:
        """Tell what a sink has still to settle."""
        reader = self._readers[sink]
        events = self.head - reader.cursor
        if not events:
            return Lag(0, 0, None)
        return Lag(events, reader.body_bytes, self._tail.received_at(reader.cursor + 1) or reader.oldest_at)

    def cursor(self, sink: str) -> int:
        """Tell a sink's place: the sequence number of the last message it has settled."""
        return self._readers[sink].cursor

    @property
    def corrupt_rows(self) -> int:
        """How many rows were found damaged or gone since the start."""
        return self._damage.rows

    @property
    def events(self) -> int:
        """How many messages some sink has still to settle."""
        return self.head - self._floor()

    async def shrink(self) -> NoReturn:
        """Give the disk back what a long outage has taken, a few pages at a time and only while no event comes."""
        while True:
            given = self._given
            await asyncio.sleep(_IDLE_SECONDS)
            while given == self._given and await self._writer.call(lambda store: store.shrink()):
                pass

    async def close(self) -> None:
        """Record every cursor and an orderly end, then give the file back."""
        if self._flush is not None:
            self._flush.cancel()
        try:
            if self.failure is None:
                written = await self._write(Change(clean=True))
                if written.refused:
                    _log.error(
                        "the end of this session could not be recorded, for want of room: it will look like a crash"
                    )
        finally:
            await self._writer.close()

    def imbalances(self) -> Mapping[str, int]:
        """Compare the ledger with the sequence numbers, see `bridge.ledger`."""
        return self.ledger.imbalances(self._given, self._cursors())

    def _cursors(self) -> Mapping[str, int]:
        return {sink: reader.cursor for sink, reader in self._readers.items()}

    def _floor(self) -> int:
        return min((reader.cursor for reader in self._readers.values()), default=0)

    def _write(self, change: Change, messages: Sequence[Message] = ()) -> "asyncio.Future[Written]":
        """Ask for a change, with everything that waits for the next transaction; nobody need await the answer."""
        self._check()
        if self.letters:
            self._take_letters(change)
        half_full = self.room.used_bytes * 2 > self.limits.capacity_bytes
        due = self._upkeep.ride_along(change, self._floor(), self._given, time.monotonic(), half_full=half_full)
        due = due or self._owing
        # With the ledger go the cursors that it knows: what a crash takes from them it must not have counted.
        moved = self._cursors_to_write() if due or not change.chunks else {}
        change.cursors |= moved
        if due:
            change.ledger = self.ledger.record(self._given, self._cursors())
        size = sum(
            chunk.body_bytes for chunk in change.chunks
        )  # now: the writer merges what comes next into the change
        self._last_write = self._writer.write(change)
        letters = self.letters.given_bytes
        self._last_write.add_done_callback(lambda done: self._written(done, moved, messages, size, letters))
        return self._last_write

    def _take_letters(self, change: Change) -> None:
        """Put the letters that wait before what the change itself says of letters."""
        letters, edits = self.letters.take()
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
        moved, self._moved = dict(self._cursors()) if self._owing else self._moved, {}
        for sink, cursor in moved.items():
            self._readers[sink].asked = cursor
        return moved

    def _written(
        self,
        done: "asyncio.Future[Written]",
        moved: Mapping[str, int],
        messages: Sequence[Message],
        size: int,
        letters: int,
    ) -> None:
        error = done.exception()
        if error is not None:
            self.failure = error if isinstance(error, StorageFailed) else StorageFailed(f"journal: {error!r}")
            self._broken.set()
            self._arrived.set()
            self._settled.set()
            self._wrote.set()
            return
        written = done.result()
        for sink, cursor in (written.cursors if written.refused else moved).items():
            self._readers[sink].durable = cursor
        if written.refused:
            self._refused(messages, disk=written.disk)
            return
        if self.room.lacking:
            _log.warning("the journal has room again")
        self._owing, self.room.lacking = False, ""
        self._wrote.set()
        self.room.used_bytes = written.used_bytes
        self.letters.stored(letters)
        self._on_commit(written.seconds)
        if messages:
            for reader in self._readers.values():
                reader.body_bytes += size
                if reader.cursor == self.head:  # also where nobody reads: the sink may be down
                    reader.oldest_at = messages[0].received_at
            self.head += len(messages)
            self._tail.add(messages)
            self._arrived.set()

    def _refused(self, messages: Sequence[Message], *, disk: bool) -> None:
        """Take back the events that found no room; all else is tried again every second."""
        if not self.room.lacking:
            self.room.lacking = "its file system is full" if disk else "it is full of events and dead letters"
            _log.error("journal: %s: %s", self.room.lacking, _FULL_DISK if disk else _FULL_FILE)
        self._owing = True
        if messages:
            self._given = self.head
            self._upkeep.lower(self.head)
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(_DISK_AGAIN_SECONDS, self._flush_now)

    def _check(self) -> None:
        if self.failure is not None:
            raise StorageFailed(str(self.failure)) from self.failure
