"""Dead letters of one sink that are sent again: between two of its pages, over the same connection, oldest first.

Order comes first. A letter that a newer version has overtaken is not sent; and none is sent while something that was
handed to the sink is not settled, since that may be newer and may have arrived. Whatever a letter does to the
connection, events go on: what cannot be sent keeps its letter and loses its mark. Used by `bridge.pipeline`.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from bridge.errors import Unavailable
from bridge.journal import Edits, Journal, Letter, Page, Refusal
from bridge.message import Message
from bridge.metrics import Catalogue
from bridge.policy import Verdict, judge
from bridge.ports import Outcome

__all__ = ["Redrive"]

_log = logging.getLogger(__name__)
_ATTEMPTS = 3
_MOST_LETTERS = 100  # at once: a broker too slow for a page of them gets no smaller one before they are given up
_Ready = list[tuple[Letter, Message]]


class Redrive:
    """See the module; `handed_to` is the last sequence number that may have been handed to the sink."""

    def __init__(self, name: str, journal: Journal, catalogue: Catalogue, window_events: int) -> None:
        self._name = name
        self._journal = journal
        self._catalogue = catalogue
        self._page_letters = min(window_events, _MOST_LETTERS)
        self._culprit, self._attempts = 0, 0
        # What the last session stored it may have handed over as well, also where it ended in order.
        self.handed_to = journal.head

    @property
    def due(self) -> bool:
        """Whether a letter is to be sent now."""
        if self._journal.room.lacking:  # what has overtaken a letter may not be on disk, where it is looked up
            return False
        return self._journal.letters.marked(self._name) > 0 and self._journal.cursor(self._name) >= self.handed_to

    async def send(self, deliver: Callable[[Page], Awaitable[Sequence[Outcome]]]) -> None:
        """Send a page of letters; what is confirmed is no letter any more when this returns.

        Raises `Unavailable` when the connection is of no more use.
        """
        letters = await self._journal.desk.due(self._name, self._page_letters)
        if not self.due:
            return
        edits = Edits()
        ready = self._ready(letters, edits)
        verdict = Verdict(0, {}, None)
        if ready and self._begun(ready[0][0].number) > _ATTEMPTS:
            await self._give_up("the connection ended each time without an answer")
            ready = []
        if ready:
            page = Page([message for _, message in ready], [letter.kept.seq or 0 for letter, _ in ready])
            verdict = judge(await deliver(page), len(ready), 0)
            self._note(ready, page, verdict, edits)
        if edits:
            await self._journal.desk.sent(letters, edits)
        elif not letters:
            self._journal.letters.unmark_all(self._name)
        if verdict.error is None:
            self._attempts = 0
        else:
            culprit = ready[min(verdict.settled, len(ready) - 1)][0]
            await self._failed(culprit.number, verdict.error)

    def _ready(self, letters: Sequence[Letter], edits: Edits) -> _Ready:
        """Sort out what is not sent after all, and say so."""
        ready: _Ready = []
        overtaken = unreadable = 0
        for letter in letters:
            message = letter.event
            if message is not None and letter.overtaken_by is None:
                ready.append((letter, message))
                continue
            overtaken += letter.overtaken_by is not None
            unreadable += letter.overtaken_by is None
            edits.marked[letter.number] = None
        self._count("overtaken", overtaken)
        self._count("unreadable", unreadable)
        if overtaken:
            text = "sink %s: %d dead letters are not sent again, a newer version of their resource was delivered since"
            _log.warning(text, self._name, overtaken)
        if unreadable:
            _log.error("sink %s: %d dead letters are damaged and cannot be sent again", self._name, unreadable)
        return ready

    def _note(self, ready: _Ready, page: Page, verdict: Verdict, edits: Edits) -> None:
        """Write down what became of letters that were sent."""
        now = time.time()
        done = [index for index in range(verdict.settled) if index not in verdict.buried]
        edits.gone += [ready[index][0].number for index in done]
        edits.refused += [
            Refusal(ready[index][0].number, why.reason, str(why), now) for index, why in verdict.buried.items()
        ]
        delivered = Page([page.messages[index] for index in done], [page.seqs[index] for index in done])
        self._journal.letters.settle(self._name, delivered, len(done), {})
        self._journal.ledger.sinks[self._name].redriven(len(done))
        self._count("delivered", len(done))
        self._count("rejected", len(verdict.buried))
        self._catalogue.delivered.labels(self._name).inc(len(done))
        whole = [page.messages[index] for index in done if index not in verdict.shed]
        self._catalogue.delivered_bytes.labels(self._name).inc(sum(len(one.body) for one in whole))
        self._catalogue.shed.labels(self._name).inc(len(verdict.shed))
        if done:
            text = "sink %s: %d dead letters are delivered now, %d of them as references"
            _log.info(text, self._name, len(done), len(verdict.shed))
        if verdict.buried:
            first = next(iter(verdict.buried.values()))
            text = "sink %s: %d dead letters were sent again and refused again; the first: %s"
            _log.error(text, self._name, len(verdict.buried), first)

    def _begun(self, number: int) -> int:
        """Count the attempts in a row that begin with a letter, or ended with it: some come to no answer."""
        self._attempts = self._attempts + 1 if number == self._culprit else 1
        self._culprit = number
        return self._attempts

    async def _failed(self, number: int, error: Unavailable) -> None:
        """Begin again on a new connection, but not for ever: events are not to wait for a letter."""
        if number != self._culprit:
            self._culprit, self._attempts = number, 1
        if error.hold or self._attempts >= _ATTEMPTS:
            await self._give_up(str(error))
        raise Unavailable(str(error), reason=error.reason, at_once=True)

    async def _give_up(self, why: str) -> None:
        given_up = await self._journal.desk.give_up(self._name)
        self._count("stopped", given_up)
        text = "sink %s: %d dead letters are not sent again: %s; remove the cause, then `portos-bridge dlq retry`"
        _log.error(text, self._name, given_up, why)
        self._attempts = 0

    def _count(self, result: str, events: int) -> None:
        if events:
            self._catalogue.redriven.labels(self._name, result).inc(events)
