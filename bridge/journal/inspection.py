"""Looking into a journal, whether a bridge runs on it or not: only how the store is asked differs.

Used by the admin port and `portos-bridge journal`; nothing is written.
"""

from collections.abc import Sequence

from bridge.journal.change import Chunk, Places, State
from bridge.journal.letter_desk import Ask
from bridge.journal.store import Store

__all__ = ["Inspection"]

_PAGE_BYTES = 1024 * 1024  # a page is read between two commits, which wait for it


class Inspection:
    """See the module; raises `StorageFailed` where the file cannot be read."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def state(self) -> State:
        """Read everything but the messages and what dead letters are about."""
        return await self._ask(lambda store: store.load(keys=False))

    async def page(self, after: int, limit: int) -> tuple[Places, Sequence[Chunk]]:
        """Read the chunks with the messages behind a number, about `limit` of them, and the places at that moment."""
        return await self._ask(lambda store: _page(store, after, limit))


def _page(store: Store, after: int, limit: int) -> tuple[Places, Sequence[Chunk]]:
    places = store.places()
    return places, store.read(min(max(after, places.freed), places.head), limit, _PAGE_BYTES)
