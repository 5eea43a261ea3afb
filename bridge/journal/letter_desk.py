"""What can be done with dead letters that are kept: look at them, have them sent again, throw them away.

The same on a running journal and on one that is opened by itself: only how the store is asked and written differs.
Used by `bridge.redrive`, the admin port, and `portos-bridge dlq`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bridge.journal.letter import Edits, Letter, Which
from bridge.journal.letter_box import LetterBox
from bridge.journal.store import Store

__all__ = ["Ask", "LetterDesk", "Retried"]

T = TypeVar("T")
_PAGE_LETTERS = 500  # of one transaction, so that no event waits long behind it


class Ask(Protocol):
    """Runs a function on the store, behind all that was written before."""

    def __call__(self, function: Callable[[Store], T], /) -> Awaitable[T]:
        """Give what the function returns."""
        ...


@dataclass(slots=True)
class Retried:
    """What became of the letters that were meant: those sent again, and why others are not.

    `waiting` are to be sent again already, `overtaken` by a newer version, and of those `without_event` there is
    nothing to send: a record that was no event, a damaged row, or a letter that found no room.
    """

    marked: int = 0
    waiting: int = 0
    overtaken: int = 0
    without_event: int = 0

    @property
    def meant(self) -> int:
        """How many letters that makes."""
        return self.marked + self.waiting + self.overtaken + self.without_event


class LetterDesk:
    """See the module; what is written is on disk when a method returns."""

    def __init__(self, ask: Ask, edit: Callable[[Edits], Awaitable[object]], box: LetterBox) -> None:
        self._ask = ask
        self._edit = edit
        self._box = box
        self._writing = asyncio.Lock()  # a page by a page, or two would count the same letter

    async def letters(self, which: Which, limit: int, *, after: int = 0, bodies: bool = False) -> list[Letter]:
        """Read the letters that are meant, by number from the one after `after`; fewer if they are large."""
        return await self._ask(lambda store: store.letters(which, limit, after=after, bodies=bodies))

    async def due(self, sink: str, limit: int) -> list[Letter]:
        """Read those of a sink that are to be sent again, oldest event first, with their data."""
        return await self._ask(lambda store: store.letters(Which(sink=sink), limit, bodies=True, queue="retry"))

    async def uncopied(self, sink: str, limit: int) -> list[Letter]:
        """Read those of a sink that are not copied yet, with their data."""
        return await self._ask(lambda store: store.letters(Which(sink=sink), limit, bodies=True, queue="copy"))

    async def retry(self, which: Which, now: float) -> Retried:
        """Have letters sent again that can be: their sink takes them between two of its pages."""
        done = Retried()

        async def mark(letters: Sequence[Letter]) -> None:
            ready = [letter for letter in letters if _is_ready(letter, done)]
            if ready:
                await self._edit(Edits(marked={letter.number: now for letter in ready}))
                self._box.mark(ready)

        await self._each_page(which, mark)
        return done

    async def purge(self, which: Which, *, expired: bool = False) -> int:
        """Throw letters away, and tell how many; `expired` if it is for their age."""

        async def remove(letters: Sequence[Letter]) -> None:
            await self._edit(Edits(gone=[letter.number for letter in letters]))
            for letter in letters:
                self._box.remove(letter, expired=expired)

        return await self._each_page(which, remove)

    async def give_up(self, sink: str) -> int:
        """Take the mark from all letters of a sink, and tell how many had one."""

        async def unmark(letters: Sequence[Letter]) -> None:
            await self._edit(Edits(marked=dict.fromkeys((letter.number for letter in letters), None)))
            for letter in letters:
                self._box.unmark(letter)

        return await self._each_page(Which(sink=sink, marked=True), unmark)

    async def sent(self, letters: Iterable[Letter], edits: Edits) -> None:
        """Write down what became of letters that were sent; one that was thrown away meanwhile counts no more."""
        ended = {*edits.gone, *edits.marked, *(refusal.number for refusal in edits.refused)}
        gone, reasons = set(edits.gone), {refusal.number: refusal.reason for refusal in edits.refused}
        async with self._writing:
            for letter in letters:
                if letter.number not in ended or not self._box.unmark(letter):
                    continue
                if letter.number in gone:
                    self._box.remove(letter)
                elif letter.number in reasons:
                    self._box.refused_again(letter, reasons[letter.number])
            await self._edit(edits)

    async def _each_page(self, which: Which, act: Callable[[Sequence[Letter]], Awaitable[None]]) -> int:
        """Do something with the letters that are meant, a page at a time; nobody else changes letters meanwhile."""
        count = after = 0
        while True:
            async with self._writing:
                letters = await self.letters(which, _PAGE_LETTERS, after=after)
                if not letters:
                    return count
                await act(letters)
            count += len(letters)
            after = letters[-1].number


def _is_ready(letter: Letter, done: Retried) -> bool:
    """Say whether a letter can be sent again, and count it."""
    if not letter.sendable:
        done.without_event += 1
    elif letter.overtaken_by is not None:
        done.overtaken += 1
    elif letter.retry_at is not None:
        done.waiting += 1
    else:
        done.marked += 1
        return True
    return False
