"""A journal that no bridge runs on, opened by itself: looked into and edited under the owner's lock.

Nothing is written but what is asked for, so that the next start finds how the last session ended. Used by
`portos-bridge dlq` and `journal`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from bridge.errors import StorageFailed
from bridge.journal.change import Change
from bridge.journal.checkup import what_is_wrong
from bridge.journal.entry import chunks_of
from bridge.journal.inspection import Inspection
from bridge.journal.letter import Edits
from bridge.journal.letter_box import LetterBox
from bridge.journal.letter_desk import LetterDesk
from bridge.journal.owner import owned
from bridge.journal.rebuild import Watch
from bridge.journal.room import Room
from bridge.journal.salvage import Repair, foreseen, is_there, made_usable, needs_mending
from bridge.journal.schema import EarlierSchema
from bridge.journal.store import NoRoom, Store
from bridge.message import Message

__all__ = ["StoppedJournal", "Unusable", "open_repaired", "open_stopped"]

T = TypeVar("T")
_REPAIR = "`portos-bridge journal repair` puts it right, as the next start does"


class Unusable(StorageFailed):
    """A journal's file is damaged, foreign or gone, so that nothing can be asked of it; a repair puts it right."""

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(f"journal {path} cannot be used: {why}; {_REPAIR}")


class StoppedJournal:
    """See the module; any failure of the disk is `StorageFailed`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        state = store.load()
        self._head = state.head
        self.inspection = Inspection(self._ask)
        self.desk = LetterDesk(self._ask, self._edit, LetterBox(state.dead_letters, (), Room(0)))

    def append(self, messages: Sequence[Message]) -> None:
        """Put events behind all that is stored; the sinks get them after the next start."""
        self._write(Change(chunks=chunks_of(messages, self._head + 1)))
        self._head += len(messages)

    async def _ask(self, function: Callable[[Store], T]) -> T:
        return function(self._store)

    async def _edit(self, edits: Edits) -> None:
        self._write(Change(edits=edits))

    def _write(self, change: Change) -> None:
        try:
            self._store.write(change)
        except NoRoom as error:
            raise StorageFailed(f"nothing was changed: {error}") from error


@contextmanager
def open_stopped(path: Path, max_bytes: int, *, reads: bool = False) -> Iterator[StoppedJournal]:
    """Open a journal that is there already; one that only `reads` leaves every byte of it as it is.

    Raises `JournalOwned` when a bridge runs on it, `Unusable` when its file can be repaired only, also while it is
    open, `StorageFailed` when there is none, or it is of another release.
    """
    if not is_there(path):
        raise _not_there(path)
    with owned(path):
        if not path.exists() or not path.stat().st_size:
            raise Unusable(path, what_is_wrong(path) or "the file is gone")
        if not reads and needs_mending(path):
            raise StorageFailed(
                f"journal {path} has a damaged log, and writing would lose what is behind it; {_REPAIR}"
            )
        with _told_if_unusable(path), closing(Store(path, max_bytes, reads=reads)) as store:
            yield StoppedJournal(store)


@contextmanager
def _told_if_unusable(path: Path) -> Iterator[None]:
    """Turn what SQLite says into what is wrong with the file, where it is the file."""
    try:
        yield
    except EarlierSchema:
        raise
    except StorageFailed as error:
        why = what_is_wrong(path)
        if why is None:
            raise
        raise Unusable(path, why) from error


@contextmanager
def open_repaired(
    path: Path, max_bytes: int, watch: Watch, *, dry_run: bool
) -> Iterator[tuple[Repair, StoppedJournal | None]]:
    """Do for a journal what a start does for one that it cannot use, and open it to be read.

    In a `dry_run` nothing is written, and there is no journal where one would have to be made first. Nor is there one
    of an earlier release, which the next start brings to this one. Raises as `open_stopped` does.
    """
    if not is_there(path):
        raise _not_there(path)
    with owned(path):
        repair = foreseen(path, watch) if dry_run else made_usable(path, max_bytes, watch)
        if dry_run and repair.salvaged is not None:
            yield repair, None
            return
        try:
            store = Store(repair.path, 0, reads=True)
        except EarlierSchema:
            yield repair, None
            return
        try:
            yield repair, StoppedJournal(store)
        finally:
            store.close()


def _not_there(path: Path) -> StorageFailed:
    return StorageFailed(f"there is no journal at {path}: is PORTOS_BRIDGE_JOURNAL__PATH that of the bridge?")
