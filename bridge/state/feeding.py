"""From the journal to the state store: a reader of the journal like a sink, with a cursor of its own.

The store remembers how far it was fed, in the transaction of what it takes: so nothing is taken twice, and what a crash
leaves between the store and the cursor is passed over. While the store cannot be written its cursor stays, and the
journal keeps what it has to take, as it does for any sink. Used by `bridge.state.topics`.
"""

import asyncio
import logging
from collections.abc import Callable

from bridge.deadline import Deadline
from bridge.journal import Journal, Page
from bridge.link import Link
from bridge.message import Message
from bridge.state.row import Row, state_of
from bridge.state.store import StateStore

__all__ = ["READER", "Feeding"]

_log = logging.getLogger(__name__)
READER = "bridge/state"
"""Its name among the journal's readers: no sink can have it, since no variable can."""
_PAGE_EVENTS = 1_000
_LINGER_SECONDS = 0.05  # between two commits: each costs the journal's disk a sync


class Feeding:
    """See the module; one for all openings of the store."""

    def __init__(
        self,
        journal: Journal,
        store: StateStore,
        link: Link,
        change_of: Callable[[Message], Message | None],
        *,
        versioned: bool,
    ) -> None:
        self._journal = journal
        self._store = store
        self._link = link
        self._change_of = change_of
        self._versioned = versioned
        self._account = journal.ledger.sinks[READER]
        self._told: set[str] = set()

    async def run(self, store: StateStore, _deadline: Deadline) -> None:
        """Take page after page; raises `Unavailable` when the store cannot be used."""
        fed = await self._begin(store)
        if not self._journal.lag(READER).events:
            self._link.proved()
        while True:
            page = await self._journal.read(READER, _PAGE_EVENTS)
            await self._take(store, page, fed)
            await self._journal.settle(READER, page, len(page.seqs), {})
            self._account.delivered += len(page.seqs)
            self._link.proved()
            if len(page.seqs) < _PAGE_EVENTS:
                await asyncio.sleep(_LINGER_SECONDS)

    async def _begin(self, store: StateStore) -> int:
        """Say how far the store was fed from this journal, and what it has missed."""
        journal, fed = await store.fed()
        at = self._journal.cursor(READER)
        if journal != self._journal.identity:
            if journal:
                text = "the state store was fed from another journal: what changed since is not in the state topics"
                _log.error("%s, nor known; see docs/events.md", text)
            return 0
        if at > fed:
            store.numbers.missed += at - fed
            text = "the state topics missed %d events, since they were switched off: what these changed they show as it"
            _log.error(text + " was before, until it changes again; see docs/events.md", at - fed)
        return fed

    async def _take(self, store: StateStore, page: Page, fed: int) -> None:
        """Feed a page in pieces that fit; the last one moves the place behind all that is no state."""
        since = page.messages[0].received_at
        rows: list[Row] = []
        size = 0
        for seq, message in zip(page.seqs, page.messages, strict=True):
            row = state_of(message, self._change_of, versioned=self._versioned) if seq > fed else None
            if row is None:
                continue
            if len(row[-1]) > store.piece_bytes:
                self._leave_out(store, row)
                continue
            rows.append(row)
            size += len(row[-1])
            if size > store.piece_bytes:
                await store.feed(rows, self._journal.identity, seq, since)
                rows, size = [], 0
        await store.feed(rows, self._journal.identity, max(page.seqs[-1], fed), since)

    def _leave_out(self, store: StateStore, row: Row) -> None:
        store.numbers.forgotten += 1
        resource, *_, data = row
        if resource in self._told:
            return
        self._told.add(resource)
        text = "a state of %r has %d bytes and is left out of the state topics, which show it as it was; the largest"
        _log.error(text + " may have %d, see STATE__MAX_BYTES (said once)", resource, len(data), store.piece_bytes)
