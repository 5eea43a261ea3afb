"""Events that no sink will get any more, because an operator gives them up: what that would be, and doing it.

In one transaction an event that says so takes the place of the last of them, and each sink that was behind it goes on
there, so that it is told first; what is given up counts as skipped. What lies before is settled then, and freed step by
step. Used by `portos-bridge journal trim`, on a journal that no bridge runs on.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from bridge.errors import StorageFailed
from bridge.journal.change import Change, Chunk, State
from bridge.journal.checkup import what_is_wrong
from bridge.journal.chunk import decode, tail_of
from bridge.journal.entry import chunks_of
from bridge.journal.found import GIVEN_UP
from bridge.journal.listing import numbered
from bridge.journal.memory import Memory
from bridge.journal.owner import owned
from bridge.journal.rebuild import Watch
from bridge.journal.recall import recalled
from bridge.journal.salvage import is_there, needs_mending
from bridge.journal.store import NoRoom, Store
from bridge.journal.tally import GivenUp, Tally
from bridge.journal.volume import what_to_do
from bridge.ledger import recorded_cursors, restored
from bridge.message import Message

__all__ = ["Older", "Trim", "open_trim"]

T = TypeVar("T")
_READ_EVENTS = 1000
_READ_BYTES = 4 * 1024 * 1024
_REPAIR = "`portos-bridge journal repair` puts it right, as the next start does"
Older = Callable[[int, Message | None], bool]
"""Says of a row, by its number and what can be read of it, whether it is to be given up with all that are before it."""


class Trim:
    """See the module; one journal, whose lock the caller holds."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes

    def plan(self, older: Older, watch: Watch) -> GivenUp | None:
        """Say what would be given up; None if nothing would. Writes nothing."""
        with closing(Store(self._path, 0, reads=True)) as store:
            return _counted(store, older, watch)

    def dead_letters(self) -> Mapping[str, int]:
        """Count the dead letters by sink, which are left alone."""
        with closing(Store(self._path, 0, reads=True)) as store:
            return {sink: kept.events for sink, kept in sorted(store.load().dead_letters.items())}

    def carry_out(self, given_up: GivenUp, notice: Message, memory: Memory) -> None:
        """Give it up, and put `notice` in its place; `memory` is to know what it says of versions.

        Raises `StorageFailed` where there is no room for that; nothing is changed then.
        """
        with closing(Store(self._path, self._max_bytes)) as store:
            try:
                store.write(_change(store, given_up, notice, memory, self._max_bytes), in_place_of=given_up.last)
            except NoRoom as error:
                text = f"journal {self._path}: there is no room for writing what is given up; nothing is changed"
                raise StorageFailed(f"{text}{what_to_do(self._path)}") from error
            while store.free(given_up.last - 1) or store.shrink():
                store.fold()


@contextmanager
def open_trim(path: Path, max_bytes: int) -> Iterator[Trim]:
    """Hold a stopped journal of which events are to be given up.

    Raises `JournalOwned` when a bridge runs on it, `StorageFailed` when there is none or its file is damaged.
    """
    if not is_there(path):
        raise StorageFailed(f"there is no journal at {path}: is PORTOS_BRIDGE_JOURNAL__PATH that of the bridge?")
    with owned(path):
        why = "its log is damaged" if needs_mending(path) else what_is_wrong(path)
        if why is not None:
            raise StorageFailed(f"journal {path} is damaged ({why}); {_REPAIR}")
        yield Trim(path, max_bytes)


def _counted(store: Store, older: Older, watch: Watch) -> GivenUp | None:
    state = store.load()
    places = _places(state)
    floor = min(places.values(), default=state.head)
    tally = Tally(places, _received_at(store, floor))
    behind = time.time()
    for seq, message in _rows(store, floor, state.head):
        watch(seq - floor, state.head - floor)
        if not older(seq, message):
            behind = behind if message is None else message.received_at
            break
        tally.add(seq, message)
    return tally.given_up(state.identity or "", behind) if tally.events else None


def _places(state: State) -> Mapping[str, int]:
    """Give the places of the sinks that were fed in the last session: whoever was off misses what the others settle."""
    fed = recorded_cursors(state.ledger)
    return {sink: place for sink, place in state.cursors.items() if not fed or sink in fed}


def _received_at(store: Store, seq: int) -> float | None:
    """Tell when the row with a number was received, where it is there yet."""
    rows = numbered(store.read(seq - 1, 1, 0), seq - 1, seq)
    return next((row.received_at for number, row in rows if number == seq and isinstance(row, Message)), None)


def _rows(store: Store, after: int, head: int) -> Iterator[tuple[int, Message | None]]:
    """Give each number behind `after` with its row, None where that cannot be read."""
    while after < head:
        chunks = store.read(after, _READ_EVENTS, _READ_BYTES)
        for seq, row in numbered(chunks, after, head):
            yield seq, row if isinstance(row, Message) else None
        after = chunks[-1].last if chunks else head


def _change(store: Store, given_up: GivenUp, notice: Message, memory: Memory, max_bytes: int) -> Change:
    """Make what is written in the place of all that is given up."""
    state = store.load()
    last = given_up.last
    before = _places(state)
    after = {sink: max(place, last - 1) for sink, place in before.items()}
    ledger = restored(state.ledger, state.head, before, state.cursors)
    for sink, account in ledger.sinks.items():
        account.skipped += after[sink] - before[sink]
    record = asyncio.run(recalled(partial(_asked, store), state, memory, max_bytes)).next(state.head, last)
    return Change(
        chunks=_around(store, notice, last),
        cursors=after,
        ledger=ledger.record(state.head, after),
        records=[] if record is None else [record],
        notes={GIVEN_UP: last},
    )


async def _asked(store: Store, function: Callable[[Store], T]) -> T:
    return function(store)


def _around(store: Store, notice: Message, last: int) -> list[Chunk]:
    """Give the chunk that holds the last number in up to three parts: before it, the notice in its place, behind it."""
    (told,) = chunks_of([notice], last)
    match store.read(last - 1, 1, 0):
        case [Chunk(first=first) as chunk] if first <= last:
            of_last = tail_of(chunk.rows, first, chunk.last, last)
            before = chunk.rows[: len(chunk.rows) - len(of_last)]
            behind = tail_of(of_last, last, chunk.last, last + 1)
            parts = [_part(first, last - 1, before), told, _part(last + 1, chunk.last, behind)]
            return [part for part in parts if part.first <= part.last]
        case _:
            return [told]


def _part(first: int, last: int, rows: bytes) -> Chunk:
    body_bytes = sum(len(row.body) for row in decode(rows, first, last) if isinstance(row, Message))
    return Chunk(first, last, body_bytes, rows)
