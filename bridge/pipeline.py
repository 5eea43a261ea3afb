"""The loops of the program: one connection after another, and from the journal to each sink.

`keep` opens connections; what happens on one is `bridge.intake.Intake.read` or `Delivery.run`. Back-off, deadlines,
counting and logging of reconnects exist here and nowhere else. Used by `bridge.service`.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from bridge.deadline import Deadline
from bridge.errors import BridgeError, Rejected, Unavailable
from bridge.journal import Buried, Journal, Page
from bridge.link import Link
from bridge.message import Message
from bridge.metrics import Catalogue
from bridge.pausing import unchanged
from bridge.policy import Verdict, first_page_events, judge, page_events, pause
from bridge.ports import Outcome, Sink
from bridge.presence import Presence
from bridge.redrive import Redrive
from bridge.shedding import Shedding

__all__ = ["Delivery", "keep"]

_log = logging.getLogger(__name__)
_IDLE_SECONDS = 2.0
T = TypeVar("T")


async def keep(
    link: Link,
    connect: Callable[[], AbstractAsyncContextManager[T]],
    use: Callable[[T, Deadline], Awaitable[object]],
    changed: Callable[[], Awaitable[str]] = unchanged,
) -> NoReturn:
    """Use one connection after another, for ever: what ends one is counted, logged and followed by a pause.

    The pause ends at once where `changed` says what an attempt might find otherwise now.
    Only what stops the bridge is raised: `ConfigError`, `StorageFailed`, and cancellation, which closes the connection.
    """
    while True:
        error = await _one_connection(link, connect, use)
        seconds = pause(error, link.failures, link.outage_seconds, random.random(), link.times.pauses)  # noqa: S311
        link.log_failure(error, seconds)
        if names := await link.pausing.wait(seconds, changed):
            _log.info("%s: %s changed: tried again at once", link.name, names)


async def _one_connection(
    link: Link,
    connect: Callable[[], AbstractAsyncContextManager[T]],
    use: Callable[[T, Deadline], Awaitable[object]],
) -> Unavailable:
    """Open a connection, use it, close it; return what ended it."""
    deadline = Deadline()
    task = asyncio.create_task(_session(link, connect, use, deadline), name=f"{link.name} connection")
    try:
        hung_in = await deadline.supervise(task)
    except asyncio.CancelledError:
        link.left()
        raise
    finally:
        if task.done() and not task.cancelled():
            task.exception()  # seen, also when this task is being cancelled itself
        else:
            task.add_done_callback(lambda late: late.cancelled() or late.exception())
    return link.ended(_reason(link, task, hung_in))


def _reason(link: Link, task: "asyncio.Task[None]", hung_in: str) -> Unavailable:
    if hung_in:
        _log.error("%s: the client library does not end; it is left behind while %s", link.name, hung_in)
        return Unavailable(f"{hung_in} did not end", reason="timeout")
    if task.cancelled():
        return Unavailable(f"closing took longer than {link.times.close_seconds:g} s", reason="timeout")
    match task.exception():
        case None:
            return Unavailable("the connection ended without a reason", reason="protocol")
        case Unavailable() as error:
            return error
        case BridgeError() as error if not isinstance(error, Rejected):  # which is to be returned, never raised
            raise error
        case error:
            # An adapter's library may raise anything; what it does to one link must not stop the others.
            _log.error("%s: an error that the adapter does not know", link.name, exc_info=error)
            return Unavailable(f"unexpected {type(error).__name__}", reason="fault", slowly=True)


async def _session(
    link: Link,
    connect: Callable[[], AbstractAsyncContextManager[T]],
    use: Callable[[T, Deadline], Awaitable[object]],
    deadline: Deadline,
) -> None:
    async with AsyncExitStack() as stack:
        with deadline.within(link.times.connect_seconds, "connecting"):
            connection = await stack.enter_async_context(connect())
        link.began()
        try:
            await use(connection, deadline)
        finally:
            deadline.start(link.times.close_seconds, "closing")


@dataclass(slots=True)
class _Stubborn:
    """How often the message at the head of a sink was the one to be refused, and since when."""

    seq: int = 0
    refusals: int = 0
    since: float | None = None


class Delivery:
    """What is done with a sink: read, deliver, judge, settle; one for all connections of the sink."""

    def __init__(  # noqa: PLR0913 - built once, by the composition root
        self,
        name: str,
        journal: Journal,
        catalogue: Catalogue,
        link: Link,
        window_events: int,
        answer_seconds: float,
        target: Callable[[Message], str | None] = lambda _: None,
        presence: Presence | None = None,
        *,
        shed: bool = False,
    ) -> None:
        self._name = name
        self._journal = journal
        self._catalogue = catalogue
        self._link = link
        self._window_events = window_events
        self._page_events = first_page_events(window_events)
        self._answer_seconds = answer_seconds
        self._target = target
        self._presence = presence
        self._stubborn = _Stubborn()
        self._shedding = Shedding(wanted=shed)
        self._redrive = Redrive(name, journal, catalogue, window_events)
        self._account = journal.ledger.sinks[name]
        self._ok, self._rejected = (catalogue.attempts.labels(name, result) for result in ("ok", "rejected"))
        self._delivered = catalogue.delivered.labels(name)
        self._delivered_bytes = catalogue.delivered_bytes.labels(name)
        self._last_delivered = catalogue.last_delivered.labels(name)
        self._in_flight = catalogue.in_flight.labels(name)

    async def run(self, sink: Sink, deadline: Deadline) -> None:
        """Deliver page after page in the journal's order until the connection is of no more use."""
        while True:
            await self._look(deadline)
            if self._redrive.due:
                await self._redrive.send(lambda letters: self._deliver(sink, letters, deadline))
                if not self._journal.lag(self._name).events:
                    continue
            page = await self._read(sink, deadline)
            if not page.seqs:
                continue
            self._redrive.handed_to = max(self._redrive.handed_to, page.seqs[-1])
            started = time.perf_counter()
            outcomes = await self._deliver(sink, self._shedding.applied(page), deadline)
            refusals = self._stubborn.refusals if page.seqs[0] == self._stubborn.seq else 0
            outcomes = self._shedding.noted(page, outcomes, refusals)
            verdict = judge(outcomes, len(page.messages), refusals)
            seconds = time.perf_counter() - started
            self._count(page, verdict, seconds)
            buried = self._buried(page, verdict, refusals) if verdict.buried else {}
            await self._journal.settle(self._name, page, verdict.settled, buried)
            share = seconds / self._answer_seconds
            self._page_events = page_events(self._page_events, self._window_events, len(page.seqs), verdict, share)
            if verdict.settled:
                self._shedding.settled(page.seqs[verdict.settled - 1])
            if verdict.error is not None:
                self._remember(page, verdict, verdict.error, refusals)
                raise verdict.error
            self._link.proved()
            await asyncio.sleep(0)  # a page costs milliseconds before and after it is delivered: all else has its turn

    async def _read(self, sink: Sink, deadline: Deadline) -> Page:
        """Wait for a page; ask the sink now and then whether its connection still stands, so that a loss is seen.

        None is returned when letters are due instead.
        """
        while True:
            try:
                async with asyncio.timeout(_IDLE_SECONDS):
                    return await self._journal.read(self._name, self._page_events, self._window_events)
            except TimeoutError:
                with deadline.within(self._answer_seconds, "answering"):
                    await sink.deliver([])
                await self._look(deadline)
                if self._redrive.due:
                    return Page((), ())

    async def _look(self, deadline: Deadline) -> None:
        """Let the broker be told of the bridge, where there is something new and it wants to know."""
        if self._presence is not None and self._presence.due():
            with deadline.within(self._answer_seconds, "announcing"):
                await self._presence.look()

    async def _deliver(self, sink: Sink, page: Page, deadline: Deadline) -> Sequence[Outcome]:
        self._in_flight.set(len(page.messages))
        try:
            with deadline.within(self._answer_seconds, "delivering"):
                return await sink.deliver(page.messages)
        except Unavailable as error:
            return [error] * len(page.messages)
        finally:
            self._in_flight.set(0)

    def _buried(self, page: Page, verdict: Verdict, refusals: int) -> dict[int, Buried]:
        since = self._stubborn.since if refusals else None
        return {
            index: Buried(why, refusals + 1, since, why.target or self._target(page.messages[index]))
            for index, why in verdict.buried.items()
        }

    def _remember(self, page: Page, verdict: Verdict, error: Unavailable, refusals: int) -> None:
        """Count the refusals of one message over connections."""
        if error.bury_after is None or verdict.settled >= len(page.seqs) or verdict.buried.keys() == {0}:
            return
        again = verdict.settled == 0 and refusals > 0
        since = self._stubborn.since if again else time.time()
        self._stubborn = _Stubborn(page.seqs[verdict.settled], refusals + 1 if again else 1, since)

    def _count(self, page: Page, verdict: Verdict, seconds: float) -> None:
        catalogue, name = self._catalogue, self._name
        for why in verdict.buried.values():
            catalogue.count_dead_letter(name, why.reason)
        if verdict.buried:
            first = next(iter(verdict.buried.values()))
            text = "sink %s will never take %d events, kept as dead letters; the first: %s"
            _log.error(text, name, len(verdict.buried), first)
        if verdict.shed:
            catalogue.shed.labels(name).inc(len(verdict.shed))
            text = "sink %s: %d events are too large for its broker and went out as references; the first: %s"
            _log.warning(text, name, len(verdict.shed), next(iter(verdict.shed.values())).text)
        if verdict.error is not None:
            error = verdict.error
            result = "held" if error.hold else "timeout" if error.reason == "timeout" else "unavailable"
            catalogue.attempts.labels(name, result).inc(len(page.messages) - verdict.settled)
        done = page.messages[: verdict.settled]
        if verdict.buried:
            done = [message for index, message in enumerate(done) if index not in verdict.buried]
        self._rejected.inc(len(verdict.buried))
        self._account.dead_lettered += len(verdict.buried)
        self._account.delivered += len(done)
        if not done:
            return
        now = time.time()
        self._ok.inc(len(done))
        self._delivered.inc(len(done))
        without = sum(len(page.messages[index].body) for index in verdict.shed)
        self._delivered_bytes.inc(sum(len(message.body) for message in done) - without)
        self._last_delivered.set(now)
        catalogue.publish[name].observe(seconds, len(done))
        catalogue.delivery[name].observe_ages([message.received_at for message in done], now)
        created = [message.created_at for message in done if message.created_at is not None]
        catalogue.end_to_end[name].observe_ages(created, now)
