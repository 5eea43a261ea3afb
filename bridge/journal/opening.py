"""Opening the journal: one owner, every sink's place found, the last session's end told.

Used by `bridge.service`.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from bridge.errors import StorageFailed
from bridge.journal.change import Change, Chunk, Previous, State
from bridge.journal.chunk import decode
from bridge.journal.damage import Damage, Lost, Telling, told_plainly
from bridge.journal.letter_box import LetterBox
from bridge.journal.log import Journal
from bridge.journal.memory import Memory
from bridge.journal.owner import owned
from bridge.journal.reader import Reader
from bridge.journal.recall import recalled
from bridge.journal.recorder import Limits, Recorder
from bridge.journal.room import Room
from bridge.journal.salvage import Repair, made_usable
from bridge.journal.schema import SCHEMA_VERSION
from bridge.journal.stage import Stage
from bridge.journal.store import Store
from bridge.journal.volume import what_to_do
from bridge.journal.writer import Writer
from bridge.ledger import restored
from bridge.message import Message

__all__ = ["open_journal"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_RESERVE = 16  # one part in 16 of the file is kept for cursors, dead letters and records when the rest is full


@asynccontextmanager
async def open_journal(  # noqa: PLR0913 - opened in one place, by `bridge.service`
    path: Path,
    sinks: Sequence[str],
    max_bytes: int,
    limits: Limits,
    on_commit: Callable[[float], None] = lambda _: None,
    memory: Memory | None = None,
    tell: Telling = told_plainly,
    on_lost: Callable[[Lost], None] = lambda _: None,
    stage: Stage | None = None,
) -> AsyncIterator[Journal]:
    """Open the journal for the sinks named, made if it is not there; leaving records every cursor and closes it.

    `memory` is given back what it has recorded, and from then on records what is deleted. `tell` makes what the sinks
    get in the place of rows that are damaged or gone, and `on_lost` is called once for each run of them.
    `stage` is told how far this is: what may take minutes is done in a thread, which is left behind where this is
    cancelled meanwhile; the journal has no other owner before that thread has ended.
    Raises `JournalOwned` when another process has it, `StorageFailed` when the disk or the file is not usable.
    """
    stage = stage or Stage()
    with ExitStack() as stack:
        lock = await asyncio.to_thread(stack.enter_context, owned(path))
        _tell_repair(path, await _apart(lock, lambda: made_usable(path, max_bytes, stage.looked_at)))
        stage.usable()
        writer = Writer(await _apart(lock, lambda: Store(path, max_bytes)))
        try:
            state = await writer.call(lambda store: store.load())
            readers = {sink: await _reader(writer, state, sink) for sink in sinks}
            records = await recalled(writer.call, state, memory, max_bytes)
            identity = state.identity or uuid4().hex[:16]
            cursors = {sink: reader.cursor for sink, reader in readers.items()}
            await _begin(writer, path, identity, cursors)
            damage = Damage(identity, state.corrupt_letters, tell, on_lost)
            previous = Previous(state.clean, state.proved_at, state.scope, state.forgotten)
            ledger = restored(state.ledger, state.head, cursors, state.cursors)
            room = Room(limits.capacity_bytes, blocks=limits.blocks_when_full, folder=str(path.parent))
            room.used_bytes = await writer.call(lambda store: store.used_bytes())
            letters = LetterBox(state.dead_letters, state.letter_keys, room)
            recorder = Recorder(writer, state.head, readers, limits, ledger, records, letters, on_commit)
            journal = Journal(writer, recorder, readers, limits, previous, ledger, letters, damage)
        except BaseException:
            await writer.close()
            raise
        _tell(path, state, journal, sinks)
        try:
            yield journal
        finally:
            await asyncio.shield(journal.close())


async def _apart(lock: int, function: Callable[[], T]) -> T:
    """Call in a thread what may change the file; the lock is held until it ends, also where nobody waits for it."""
    held = os.dup(lock)

    def call() -> T:
        try:
            return function()
        finally:
            os.close(held)

    return await asyncio.to_thread(call)


async def _begin(writer: Writer, path: Path, identity: str, cursors: Mapping[str, int]) -> None:
    """Record that a session begins, and where; raises `StorageFailed` where even that finds no room.

    Nothing could be stored or settled then, and supervisors start again until there is room. A sink that will settle
    nothing has a place as well: a salvage has to know what it is waiting for.
    """
    begun = Change(cursors=dict(cursors), clean=False, identity=identity, notes={"schema": SCHEMA_VERSION})
    if (await writer.write(begun)).refused:
        raise StorageFailed(f"journal {path}: there is no room for writing anything{what_to_do(path)}")


def capacity(max_bytes: int) -> int:
    """Tell how much of a journal's limit messages may take; the rest is kept for cursors and dead letters."""
    return max_bytes - max_bytes // _RESERVE


async def _reader(writer: Writer, state: State, sink: str) -> Reader:
    """Find a sink's place: where it was, or at the oldest message that is kept."""
    known = state.cursors.get(sink, 0)
    cursor = max(known, state.freed)
    if sink in state.cursors and cursor > known:
        _log.error(
            "sink %s missed %d events: they were settled by the other sinks while it was switched off",
            sink,
            cursor - known,
        )
    reader = Reader(cursor, cursor)  # not `known`: a restart leads here again, so nothing has to be written first
    last = await writer.call(lambda store: store.read(cursor - 1, 1, 0))
    reader.settled_at = next((at for seq, at in _received(last) if seq == cursor), None)
    first = await writer.call(lambda store: store.read(cursor, 1, 0))
    until = first[0].last if first else cursor
    reader.body_bytes = await writer.call(lambda store: store.body_bytes(until))
    for chunk in first:
        rows = decode(chunk.rows, chunk.first, chunk.last)[max(cursor + 1 - chunk.first, 0) :]
        reader.body_bytes += sum(len(row.body) for row in rows if isinstance(row, Message))
    reader.oldest_at = next((at for seq, at in _received(first) if seq > cursor), None)
    return reader


def _received(chunks: Sequence[Chunk]) -> Iterator[tuple[int, float]]:
    """Give of each row that can be read its number and when it was received."""
    for chunk in chunks:
        for seq, row in enumerate(decode(chunk.rows, chunk.first, chunk.last), chunk.first):
            if isinstance(row, Message):
                yield seq, row.received_at


def _tell_repair(path: Path, repair: Repair) -> None:
    if not repair.wrong:
        return
    why, kept = "; ".join(repair.wrong), ", ".join(map(str, repair.aside))
    old = f"the old file is kept as {kept}" if kept else "there was no old file to be kept"
    salvaged = repair.salvaged
    if salvaged is None:
        _log.error("journal %s was damaged (%s): what is whole is used; %s", path, why, old)
        return
    lost = f"{salvaged.lost} are lost{' and told to the sinks' if salvaged.lost else ''}"
    if salvaged.forgotten:
        most = f"up to {salvaged.lost_at_most}" if salvaged.lost_at_most > 0 else "nobody knows how many"
        lost = f"{most} are lost, which the sinks are told as journal_lost"
    text = "journal %s was damaged (%s): %d events could be read again, %s; %s"
    _log.error(text, path, why, salvaged.events, lost, old)


def _tell(path: Path, state: State, journal: Journal, sinks: Sequence[str]) -> None:
    waiting = ", ".join(f"{sink} {journal.lag(sink).events}" for sink in sinks)
    last = {None: "it is new", True: "the last session ended in order", False: "the last session ended without warning"}
    _log.info("journal %s opened: %s; events waiting for the sinks: %s", path, last[state.clean], waiting)
    for sink, kept in state.dead_letters.items():
        _log.warning("journal %s holds dead letters of %s: %d", path, sink, kept.events)
    for sink in set(state.cursors) - set(sinks):
        behind = state.head - state.cursors[sink]
        if behind:
            _log.warning(
                "sink %s is switched off with %d events undelivered; they are kept no longer than the others need",
                sink,
                behind,
            )
