"""What is done with what a source has read: count it, drop what was there before, store it, tell what was missed.

The arrow from `bridge.source.Source` to `bridge.journal`; `bridge.pipeline.keep` gives it one connection after another.
"""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from bridge.blind import Sight, Window, cause_of, resync_required
from bridge.deadline import Deadline
from bridge.errors import Unavailable
from bridge.journal import Journal
from bridge.link import Link
from bridge.message import OWN_EVENTS, Message
from bridge.metrics import Catalogue
from bridge.scope import Minimisation, Scope
from bridge.sieve import Sieve, Sifted
from bridge.source import Batch, Source, SourceActivity, Unreadable

__all__ = ["Intake"]

_log = logging.getLogger(__name__)
_PROOF_EVERY_SECONDS = 0.25
_ROW_BYTES = 200  # what a row takes beside the body, generously


_AS_IT_CAME = Minimisation()


class Intake:
    """What is done with a source's batches: count, leave out, drop repeats, store; one for all connections.

    Whatever may have been missed is told in the journal itself, before the first event that was heard after it.
    """

    def __init__(  # noqa: PLR0913 - built once, by the composition root
        self,
        journal: Journal,
        catalogue: Catalogue,
        link: Link,
        activity: SourceActivity,
        sieve: Sieve,
        sight: Sight,
        scope: Scope,
        minimisation: Minimisation = _AS_IT_CAME,
    ) -> None:
        self._journal = journal
        self._catalogue = catalogue
        self._link = link
        self._activity = activity
        self._sieve = sieve
        self._sight = sight
        self._scope = scope
        self._unheard = scope.unheard(journal.previous.scope)
        self._to_record: str | None = scope.recorded()
        self._minimisation = minimisation
        self._next: tuple[Scope, Minimisation] | None = None
        self._recorded_at = 0.0
        self._ledger = journal.ledger
        self._before = journal.ledger.received
        self._overflowing = self._shedding = False
        self._dropped = 0

    def turn_to(self, scope: Scope, minimisation: Minimisation) -> None:
        """Keep something else from the next batch on; the source goes on as it is, and has to give all of it already.

        Where that is more than before, the sinks are told as they are after a restart.
        """
        self._next = scope, minimisation

    def _turn(self, scope: Scope, minimisation: Minimisation) -> None:
        if scope.unheard(self._scope.recorded()):
            self._sight.widened()
        self._scope, self._minimisation, self._next = scope, minimisation, None
        self._to_record = scope.recorded()

    async def read(self, source: Source, _: Deadline) -> None:
        """Store batch after batch; the source goes on when a batch is on disk."""
        self._link.proved()
        cause = "other"
        try:
            async for batch in source.batches():
                if self._journal.room.blocks:
                    await self._wait_for_room(batch)
                await self._take(batch)
        except Unavailable as error:
            cause = cause_of(error.reason)
            raise
        finally:
            if self._sight.cause is None and self._sight.proved_at is not None:
                self._journal.prove(self._sight.proved_at, self._to_record)
            self._sight.lost(cause)

    async def _take(self, batch: Batch) -> None:
        if self._next is not None:
            self._turn(*self._next)
        window = self._window(batch)
        told = [] if window is None else self._tells(window)
        wanted = self._wanted(batch.messages)
        sifted = self._sieve.sift(wanted)
        if (reduced := self._minimisation.reduced) is not None:  # but not the bridge's own among them
            sifted.messages = [
                message if message.event.startswith(OWN_EVENTS) else reduced(message) for message in sifted.messages
            ]
        self._count(batch.messages, sifted)
        site, ledger, activity = self._catalogue.site, self._ledger, self._activity
        ledger.received = self._before + activity.received - activity.waiting - activity.abandoned
        ledger.filtered += len(batch.messages) - len(wanted)
        ledger.duplicate += sifted.exact + sifted.stale
        ledger.invalid += len(batch.unreadable)
        missed, self._dropped = activity.dropped - self._dropped, activity.dropped
        ledger.dropped += missed
        for record in batch.unreadable:
            self._catalogue.count_invalid(record.reason)
        if batch.unreadable and (shortened := self._minimisation.shortened) is not None:
            batch = replace(batch, unreadable=[shortened(record) for record in batch.unreadable])
        passed = sifted.passed
        if self._journal.room.crowded(_size(sifted.messages)):
            self._sieve.shed(sifted)
        stored = await self._store(sifted, batch, window, told)
        if not stored:
            self._sieve.forget()
            ledger.dropped += passed
            self._sight.lost("shed")
        self._catalogue.dropped.labels(site, "journal_full").inc(sifted.shed if stored else passed)
        if batch.unreadable:
            fate = "kept as dead letters" if stored else "lost, since the journal is full"
            text = "the hub sent %d records that cannot be read, %s; the first: %s"
            _log.warning(text, len(batch.unreadable), fate, batch.unreadable[0].text)
        self._tell(overflowing=not stored, shedding=stored and sifted.shed > 0)
        self._catalogue.dropped.labels(site, "memory_full").inc(missed)

    async def _wait_for_room(self, batch: Batch) -> None:
        """Let the source wait with a batch, of which nothing is counted yet, until the journal takes it."""
        size = _size(batch.messages) + _size(batch.unreadable)
        if self._journal.room.takes(size):
            return
        text = "the journal is full: the hub has to wait, and what it sends after 5 s is lost; %s"
        _log.error(text, self._journal.room.lacking or self._what_to_do())
        await self._journal.until_room(size)
        _log.warning("the journal takes notifications again")

    def _wanted(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Leave out what the settings leave out, and count it."""
        reason_of = self._minimisation.filtered
        if reason_of is None:
            return messages
        reasons = [reason_of(message) for message in messages]
        for reason, count in Counter(filter(None, reasons)).items():
            self._catalogue.filtered.labels(self._catalogue.site, reason).inc(count)
        return [message for message, reason in zip(messages, reasons, strict=True) if reason is None]

    def _window(self, batch: Batch) -> Window | None:
        """Give the window that has to be told before a batch, if there is one."""
        if batch.missed is not None:
            self._sight.lost(cause_of(batch.missed.cause), batch.missed.since)
        return self._sight.window(time.time() if batch.proved_at is None else batch.proved_at)

    async def _store(self, sifted: Sifted, batch: Batch, window: Window | None, told: Sequence[Message]) -> bool:
        """Store what is left of a batch, and before it what tells of the window in which something may be missing."""
        messages = [*told, *sifted.messages] if told else sifted.messages
        proved_at = batch.proved_at
        due = proved_at is not None and abs(proved_at - self._recorded_at) >= _PROOF_EVERY_SECONDS
        to_record = window.until if window is not None else proved_at if due else None
        appending = bool(messages or batch.unreadable)
        if appending:
            generated = len(messages) - sifted.passed
            self._ledger.generated += generated
            self._ledger.dropped += sifted.shed  # now: the ledger may be recorded with them
            scope = self._to_record
            if not await self._journal.append(messages, batch.unreadable, to_record, scope):
                self._ledger.generated -= generated
                self._ledger.dropped -= sifted.shed
                return False
            self._catalogue.count_stored(sifted)
            self._catalogue.size.observe_all([len(message.body) for message in messages])
            self._to_record = None
        elif to_record is not None:  # which a lack of room may undo, so that what is kept is recorded with the next too
            self._journal.prove(to_record, self._to_record)
        if to_record is not None:
            self._recorded_at = to_record
        if window is not None:
            self._saw(window)
        if proved_at is not None:
            self._sight.proved(proved_at)
        return True

    def _saw(self, window: Window) -> None:
        """Note that a window is told, and with it what is heard from now on."""
        for one, _ in self._windows(window):
            self._catalogue.count_window(one.cause, one.seconds)
        self._unheard = ()
        self._sight.told(window)
        if window.since is None:
            _log.warning("what is kept from now on was not heard before (%s): told to the sinks", window.cause)
        else:
            _log.warning("the bridge was blind for %.1f s (%s): told to the sinks", window.seconds, window.cause)

    def _tells(self, window: Window) -> Sequence[Message]:
        """Make the events that tell a window."""
        told = []
        for one, resources in self._windows(window):
            told.append(resync_required(one, resources, self._catalogue.site, self._activity.clocks_differ_by))
            self._sieve.window(told[-1].id, resources)
        return told

    def _windows(self, window: Window) -> Sequence[tuple[Window, Sequence[str]]]:
        """Give a window with the resources that it is about: of what was never asked for before, all may be missing."""
        unheard = self._unheard
        heard = [name for name in self._scope.resources if name not in unheard]
        if not unheard or window.since is None:
            return [(window, self._scope.resources)]
        ever = Window(None, window.until, "first_start")
        return [*([(window, heard)] if heard else []), (ever, unheard)]

    def _count(self, messages: Sequence[Message], sifted: Sifted) -> None:
        catalogue = self._catalogue
        kinds = Counter([(message.resource, message.action) for message in messages])
        for (resource, action), count in kinds.items():
            catalogue.received.labels(catalogue.site, catalogue.resource(resource), action or "unknown").inc(count)
        for kind, count in (("exact", sifted.exact), ("stale", sifted.stale)):
            if count:
                catalogue.duplicate.labels(catalogue.site, kind).inc(count)

    def _tell(self, *, overflowing: bool, shedding: bool) -> None:
        if overflowing != self._overflowing:
            self._overflowing = overflowing
            if overflowing and (lacking := self._journal.room.lacking):  # of which the journal says what to do
                _log.error("the journal takes nothing, since %s: notifications are lost until there is room", lacking)
            elif overflowing:
                text = "the journal is full: notifications are lost until a sink has drained it; %s"
                _log.error(text, self._what_to_do())
            else:
                _log.warning("the journal takes notifications again")
        if shedding and not self._shedding:
            self._shedding = True
            text = "the journal is nearly full: changes are stored without their bodies, each told as a gap; %s"
            _log.error(text, self._what_to_do())
        elif self._shedding and self._journal.room.roomy:
            self._shedding = False
            _log.warning("the journal takes the bodies of changes again")

    def _what_to_do(self) -> str:
        return f"look at the sinks, or {self._journal.room.growth}"


def _size(items: Sequence[Message | Unreadable]) -> int:
    """Estimate what they take in the journal."""
    return sum([len(item.body) for item in items]) + _ROW_BYTES * len(items)
