"""The journal as the program sees it: append, read, settle.

An append-only log of messages with one cursor a sink. What is appended is on disk before `append` returns; what a
sink reads is everything behind its cursor, oldest first; what all sinks have settled is deleted. The newest messages
are held in memory as well, so that sinks that keep up never read the disk. Used by `bridge.pipeline`, opened by
`bridge.service`.

Order that must never change: received, committed, sent, confirmed, cursor committed.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn, TypeVar

from bridge.errors import StorageFailed
from bridge.journal.change import Change, Previous
from bridge.journal.coming import Coming
from bridge.journal.damage import Damage
from bridge.journal.entry import Buried, buried_letters, chunks_of, corrupt_letter, set_aside
from bridge.journal.inspection import Inspection
from bridge.journal.letter import Edits
from bridge.journal.letter_box import LetterBox
from bridge.journal.letter_desk import LetterDesk
from bridge.journal.reader import Lag, Page, Reader
from bridge.journal.recorder import Limits, Recorder
from bridge.journal.shrinking import shrink
from bridge.journal.store import Store
from bridge.journal.tail import Tail
from bridge.journal.writer import Writer
from bridge.labels import JOURNAL
from bridge.ledger import Ledger
from bridge.message import Message
from bridge.source import Unreadable

__all__ = ["Journal"]

T = TypeVar("T")
_NOTHING = Page((), ())
_READ_AHEAD_EVENTS = 1000
_READ_AHEAD_BYTES = 4 * 1024 * 1024
_PAGE_BYTES = _READ_AHEAD_BYTES  # of bodies, which a sink may hold twice while they are on their way


class Journal:
    """See the module. One task per sink reads and settles; any may append. Any failure of the disk is final."""

    def __init__(  # noqa: PLR0913 - opened in one place, by `bridge.journal.opening`
        self,
        writer: Writer,
        recorder: Recorder,
        readers: Mapping[str, Reader],
        limits: Limits,
        previous: Previous,
        ledger: Ledger,
        letters: LetterBox,
        damage: Damage,
    ) -> None:
        self.limits = limits
        self.previous = previous
        self.ledger = ledger
        self.letters = letters
        self.room = letters.room
        self._damage = damage
        self._writer = writer
        self._recorder = recorder
        self._readers = readers
        self._opened = recorder.head, time.time()
        self._tail = Tail(recorder.head, limits.memory_max_bytes)
        self._coming: dict[str, Coming] = {}
        self._arrived = asyncio.Event()
        self._settled = asyncio.Event()
        self.inspection = Inspection(self._ask)
        self.desk = LetterDesk(self._ask, self.edit, letters)
        recorder.on_stored, recorder.on_failed = self._stored, self._failed

    @property
    def head(self) -> int:
        """The sequence number of the newest message that is on disk."""
        return self._recorder.head

    @property
    def identity(self) -> str:
        """What tells this journal from any other, also from one that had its place before it was lost."""
        return self._damage.journal

    @property
    def failure(self) -> StorageFailed | None:
        """What has ended the journal, if anything has."""
        return self._recorder.failure

    @property
    def alive(self) -> bool:
        """Whether there is still somebody who writes."""
        return self._writer.alive

    @property
    def busy_seconds(self) -> float:
        """For how long the disk has not answered."""
        return self._writer.busy_seconds

    def _stored(self, messages: Sequence[Message]) -> None:
        self._tail.add(messages)
        self._arrived.set()

    def _failed(self) -> None:
        self._arrived.set()
        self._settled.set()

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
        chunks = chunks_of(messages, self._recorder.given + 1)
        letters = [set_aside(record) for record in unreadable]
        size = sum(len(chunk.rows) for chunk in chunks) + sum(len(letter.data) for letter in letters)
        if not self.room.takes(size):
            return False
        self._recorder.given += len(messages)
        kept = [letter for letter in letters if self.letters.add(letter)]
        asked = self._recorder.write(Change(chunks=chunks, proved_at=proved_at, scope=scope), messages)
        if (await asyncio.shield(asked)).refused:
            self.letters.withdraw(kept)
            return False
        return True

    async def until_room(self, size: int) -> None:
        """Wait until so many bytes more are taken; no longer where they never will be."""
        while self.room.ever_takes(size) and not self.room.takes(size):
            self._recorder.wrote.clear()
            await self._recorder.wrote.wait()
            self._recorder.check()

    async def edit(self, edits: Edits) -> None:
        """Change dead letters that are kept; on disk when this returns."""
        self._recorder.write(Change(edits=edits))
        await self._recorder.last_written()
        self._arrived.set()  # whoever waits for events may have letters to send now

    def _ask(self, function: Callable[[Store], T]) -> "asyncio.Future[T]":
        """Ask the store, behind all that is known of letters up to now."""
        self._recorder.check()
        if self.letters:
            self._recorder.write(Change())
        return self._writer.call(function)

    def prove(self, at: float, scope: str | None = None) -> None:
        """Record, without waiting for it, that all is stored that the hub has sent up to a moment, `scope` in mind."""
        self._recorder.write(Change(proved_at=at, scope=scope))

    async def read(self, sink: str, limit: int, window: int = 0) -> Page:
        """Wait for messages behind a sink's cursor and return up to `limit` of them, fewer where they are large.

        Reading again gives the same. None are returned when the sink's dead letters are to be sent again while it
        waits. `window` is the largest `limit` of this sink, where this one is smaller.
        """
        reader = self._readers[sink]
        while True:
            self._recorder.check()
            # The send gate: no more is given out than a crash may repeat, a window and what is not yet recorded.
            reader.unrecorded = self.limits.cursor_every_events or max(limit, window)
            room = reader.durable + limit + reader.unrecorded - reader.cursor
            if room <= 0:
                await self._recorder.moved_on(reader)
                continue
            page = reader.ahead(min(limit, room)) or self._newest(reader, min(limit, room))
            if page is not None:
                page = page.within(_PAGE_BYTES)
                reader.oldest_at = page.messages[0].received_at
                if reader.ends_with(page) and page.seqs[-1] < self._tail.first - 1:
                    self._ask_ahead(sink, page.seqs[-1])
                return page
            if reader.cursor < self.head:
                await self._read_ahead(sink, reader)
                await asyncio.sleep(0)  # a thousand rows have been taken: all else has its turn
            else:
                self._arrived.clear()
                await self._arrived.wait()
                if self.letters.marked(sink):
                    return _NOTHING

    def _newest(self, reader: Reader, limit: int) -> Page | None:
        messages = self._tail.after(reader.cursor, limit)
        return Page(messages, range(reader.cursor + 1, reader.cursor + 1 + len(messages))) if messages else None

    def _ask_ahead(self, sink: str, after: int) -> Coming:
        coming = self._coming.get(sink)
        if coming is None or coming.after != after:
            upto = self._tail.first - 1
            until = self._tail.received_at(upto + 1) or time.time()
            chunks = self._writer.call(lambda store: store.read(after, _READ_AHEAD_EVENTS, _READ_AHEAD_BYTES))
            coming = self._coming[sink] = Coming(after, upto, until, chunks)
        return coming

    async def _read_ahead(self, sink: str, reader: Reader) -> None:
        coming = self._ask_ahead(sink, reader.cursor)
        ahead = await coming.ahead(_READ_AHEAD_EVENTS, _READ_AHEAD_BYTES, self._opened)
        del self._coming[sink]
        runs, remains = reader.take(ahead, self._damage.journal, self._damage.tell)
        if runs:
            for row in self._damage.note(runs, remains, self._recorder.floor()):
                self.letters.add(corrupt_letter(JOURNAL, row))

    async def settle(self, sink: str, page: Page, count: int, buried: Mapping[int, Buried]) -> None:
        """Move a sink's cursor over the first `count` messages of a page.

        Those in `buried`, by index, become dead letters. Waits for the disk only when something is buried; otherwise
        recording goes on beside the next delivery, and `read` waits if it falls behind.
        """
        self._recorder.check()
        reader = self._readers[sink]
        if count:
            self.letters.settle(sink, page, count, buried_letters(sink, page, buried) if buried else {})
            reader.body_bytes -= sum(len(message.body) for message in page.messages[:count])
            reader.oldest_at = page.messages[min(count, len(page.messages) - 1)].received_at
            reader.settled_at = page.messages[count - 1].received_at
            self._move(sink, reader, page.seqs[count - 1])
        if buried:
            await self._recorder.all_written()

    def _move(self, sink: str, reader: Reader, seq: int) -> None:
        self.ledger.sinks[sink].skipped += reader.pass_over(seq)
        self._recorder.move(sink, seq)
        self._tail.forget(self._recorder.floor())
        if seq == self.head:
            reader.body_bytes = 0  # of lost rows it is not known
            self._settled.set()

    async def failed(self) -> NoReturn:
        """Wait until the disk fails, and raise it: also where nobody reads or writes just then."""
        await self._recorder.failed()

    async def drained(self) -> None:
        """Wait until every sink has settled everything that is stored."""
        while self._recorder.floor() < self.head:
            self._recorder.check()
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
        return self.head - self._recorder.floor()

    async def shrink(self) -> NoReturn:
        """Give the disk back what a long outage has taken, see `bridge.journal.shrinking`."""
        await shrink(self._recorder, self._writer)

    async def close(self) -> None:
        """Record every cursor and an orderly end, then give the file back."""
        try:
            await self._recorder.close()
        finally:
            await self._writer.close()

    def imbalances(self) -> Mapping[str, int]:
        """Compare the ledger with the sequence numbers, see `bridge.ledger`."""
        return self.ledger.imbalances(self._recorder.given, self._recorder.cursors())
