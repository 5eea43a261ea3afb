"""From the state store to one sink: the newest state of each resource, over a connection of its own.

What is behind the cursor is always the newest there is, so a state never goes back, whatever is repeated; a broker that
is slow gets fewer states, not older ones. A broker may lose what it held, all of it or what came last: so a mark is
kept beside the states where that can be done, which says up to where they are there, and what is behind it is published
again. Used by `bridge.state.topics`.
"""

import asyncio
import logging
import time
from dataclasses import replace

from bridge.deadline import Deadline
from bridge.errors import Unavailable
from bridge.link import Link
from bridge.policy import Verdict, first_page_events, judge, page_events
from bridge.ports import Mark, Outcome, Sink, StateConnection
from bridge.state.store import Place, StateStore
from bridge.state.table import Page

__all__ = ["Publishing"]

_log = logging.getLogger(__name__)
_IDLE_SECONDS = 2.0
_MARK_SECONDS = 5.0  # this much is published again after each reconnect; a mark with each state would double them


class Publishing:
    """See the module; one for all connections of a sink."""

    def __init__(self, name: str, store: StateStore, link: Link, window: int, answer_seconds: float) -> None:
        self._name = name
        self._store = store
        self._link = link
        self._window = window
        self._page_states = first_page_events(window)
        self._answer_seconds = answer_seconds
        self._stubborn = 0, 0  # the number of the state that has ended connections last, and how many
        self._given_up: set[int] = set()  # states that are never taken: left out when they come again, behind the mark
        self._told: set[str] = set()
        self._marked = 0
        self._mark_at = 0.0

    async def run(self, connection: StateConnection, deadline: Deadline) -> None:
        """Publish what is behind the cursor and what comes, until the connection is of no more use."""
        sink, mark = connection.sink, connection.mark
        place = await self._store.place(self._name)
        if mark is None:
            self._given_up.clear()  # what is behind the cursor has not been tried
        else:
            await self._go_back(mark, place)
        while True:
            page = self._fit(await self._store.after(place, self._page_states))
            if page.messages:
                await self._publish(sink, deadline, place, page)
            else:
                await self._store.settle(place, page.upto)
            self._tell_losses(page)
            if mark is not None and place.cursor != self._marked and time.monotonic() >= self._mark_at:
                await self._keep(mark, deadline, place)
            if not page.messages and not await self._wait(place):
                await self._deliver(sink, deadline, Page(0))

    async def _go_back(self, mark: Mark, place: Place) -> None:
        """Begin where the broker's own store ends, if it says so."""
        identity, _, cursor = mark.text.partition(":")
        self._marked = int(cursor) if identity == place.identity and cursor.isdecimal() else 0
        self._mark_at = 0.0
        if self._marked >= place.cursor:
            return
        if not self._marked:
            text = "%s: the broker does not hold the states of this bridge: all that are known are published again"
            _log.warning(text, self._link.name)
        await self._store.settle(place, self._marked)

    async def _keep(self, mark: Mark, deadline: Deadline, place: Place) -> None:
        with deadline.within(self._answer_seconds, "marking"):
            await mark.keep(f"{place.identity}:{place.cursor}")
        self._marked = place.cursor
        self._mark_at = time.monotonic() + _MARK_SECONDS
        self._given_up = {seq for seq in self._given_up if seq > self._marked}

    def _fit(self, page: Page) -> Page:
        """Leave out what is given up, and end a page before the state that has ended a connection: it goes first."""
        if self._given_up.intersection(page.seqs):
            left = [index for index, seq in enumerate(page.seqs) if seq not in self._given_up]
            seqs, messages = [page.seqs[index] for index in left], [page.messages[index] for index in left]
            page = replace(page, seqs=seqs, messages=messages)
        if self._stubborn[0] in page.seqs[1:]:
            end = page.seqs.index(self._stubborn[0])
            page = replace(page, upto=page.seqs[end] - 1, seqs=page.seqs[:end], messages=page.messages[:end])
        return page

    async def _publish(self, sink: Sink, deadline: Deadline, place: Place, page: Page) -> None:
        seq, refusals = self._stubborn
        started = time.perf_counter()
        try:
            outcomes = await self._deliver(sink, deadline, page)
        except Unavailable as error:
            self._size(page, Verdict(0, {}, error), started)
            raise
        verdict = judge(outcomes, len(page.seqs), refusals if seq == page.seqs[0] else 0)
        self._size(page, verdict, started)
        self._count(page, verdict)
        self._given_up.update(page.seqs[index] for index in verdict.buried)
        if verdict.error is None:
            await self._store.settle(place, page.upto)
            self._link.proved()
            return
        if verdict.settled:
            await self._store.settle(place, page.seqs[verdict.settled - 1])
        if verdict.error.bury_after is not None and verdict.buried.keys() != {0}:
            culprit = page.seqs[verdict.settled]
            self._stubborn = culprit, refusals + 1 if culprit == seq else 1
        raise verdict.error

    def _size(self, page: Page, verdict: Verdict, started: float) -> None:
        share = (time.perf_counter() - started) / self._answer_seconds
        self._page_states = page_events(self._page_states, self._window, len(page.seqs), verdict, share)

    def _count(self, page: Page, verdict: Verdict) -> None:
        found = self._store.numbers.publications[self._name]
        found.published += verdict.settled - len(verdict.buried)
        for index, why in verdict.buried.items():
            found.rejected[why.reason] = found.rejected.get(why.reason, 0) + 1
            if why.reason not in self._told:
                self._told.add(why.reason)
                what = f"{page.messages[index].resource!r}"
                text = "%s: the state of a resource of %s is never taken, and what is there stays as it is: %s"
                _log.error(text + " (said once)", self._link.name, what, why)

    def _tell_losses(self, page: Page) -> None:
        if page.forgotten:
            text = "%s: states are published again, but for those that were forgotten for want of room"
            _log.warning(text + "; see STATE__MAX_BYTES", self._link.name)
        if page.damaged:
            self._store.numbers.publications[self._name].damaged += page.damaged
            _log.error("%s: %d states are damaged on the disk and left out", self._link.name, page.damaged)

    async def _wait(self, place: Place) -> bool:
        """Wait for a change, but not longer than a lost connection may go unnoticed; False when none has come."""
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                await self._store.changed(place)
        except TimeoutError:
            return False
        return True

    async def _deliver(self, sink: Sink, deadline: Deadline, page: Page) -> list[Outcome]:
        with deadline.within(self._answer_seconds, "publishing states"):
            return list(await sink.deliver(page.messages))
