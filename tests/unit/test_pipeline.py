"""The loops: whatever a source or a sink does, nothing accepted is lost, and one sink does not stop the other."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from bridge import deadline as deadline_module
from bridge import pipeline
from bridge.contract import sample
from bridge.deadline import Deadline
from bridge.errors import Rejected, StorageFailed, TooLarge, Unavailable
from bridge.journal import Journal
from bridge.journal.letter import Which
from bridge.journal.letter_table import letters
from bridge.link import Gauges, Link, Times
from bridge.message import Message
from bridge.metrics import Catalogue
from bridge.pipeline import Delivery, keep
from bridge.policy import Pauses
from bridge.ports import Outcome
from bridge.reference import reference
from tests.support import until
from tests.unit.journal.conftest import messages
from tests.unit.loops import kept, link, value

LOST = Unavailable("lost", reason="network")


@dataclass
class Broker:
    """What a sink writes to: every accepted message in order, and a script of what goes wrong at which call.

    `sizes` are those of the batches, `seconds` is how long it takes over each message.
    """

    held: list[str] = field(default_factory=list)
    script: dict[int, Callable[[Sequence[Message]], Awaitable[Sequence[Outcome]]]] = field(default_factory=dict)
    calls: int = 0
    connections: int = 0
    sizes: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["Broker"]:
        self.connections += 1
        yield self

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        self.calls += 1
        act = self.script.get(self.calls)
        if act is not None:
            return await act(batch)
        if batch:
            self.sizes.append(len(batch))
        if self.seconds:
            await asyncio.sleep(self.seconds * len(batch))
        self.held += [message.id for message in batch]
        return [None] * len(batch)


@asynccontextmanager
async def delivering(
    journal: Journal,
    catalogue: Catalogue,
    broker: Broker,
    window: int = 10,
    held: Callable[[bool], None] = lambda _: None,
) -> AsyncIterator[Link]:
    state = link(held=held)
    async with kept(state, broker.connect, delivery(journal, catalogue, state, window).run):
        yield state


def delivery(
    journal: Journal,
    catalogue: Catalogue,
    state: Link | None = None,
    window: int = 10,
    target: Callable[[Message], str | None] = lambda _: None,
    *,
    shed: bool = False,
) -> Delivery:
    return Delivery("kafka", journal, catalogue, state or link(), window, 0.3, target, shed=shed)


def ids(first: int, count: int) -> list[str]:
    return [f"id-{number}" for number in range(first, first + count)]


async def raise_unavailable(batch: Sequence[Message]) -> Sequence[Outcome]:
    raise Unavailable("broken pipe", reason="network")


async def never_answer(batch: Sequence[Message]) -> Sequence[Outcome]:
    await asyncio.Event().wait()
    return []


async def fail_as_a_library(batch: Sequence[Message]) -> Sequence[Outcome]:
    raise AssertionError("a bug in a client library")


@pytest.mark.parametrize("misfortune", [raise_unavailable, never_answer, fail_as_a_library])
async def test_whatever_a_sink_does_everything_is_delivered_in_order_on_a_new_connection(
    journal: Journal,
    catalogue: Catalogue,
    misfortune: Callable[[Sequence[Message]], Awaitable[Sequence[Outcome]]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    broker = Broker(script={2: misfortune, 3: misfortune})
    await journal.append(messages(1, 35))

    async with delivering(journal, catalogue, broker):
        await until(lambda: len(broker.held) >= 35, 10, "all delivered")

    assert broker.held == ids(1, 35)
    assert broker.connections == 3
    assert value(catalogue, "sink_delivered_events_total", sink="kafka") == 35


async def test_after_a_failure_everything_behind_it_is_sent_again(journal: Journal, catalogue: Catalogue) -> None:
    """Go-back-N: what was confirmed behind the failure comes again, after what failed."""
    broker = Broker()

    async def third_fails(batch: Sequence[Message]) -> Sequence[Outcome]:
        broker.held += [message.id for index, message in enumerate(batch) if index != 2]
        return [None, None, LOST, None, None]

    broker.script[1] = third_fails
    await journal.append(messages(1, 5))

    async with delivering(journal, catalogue, broker, window=5):
        await until(lambda: len(broker.held) >= 7, 10, "sent again")

    assert broker.held == ["id-1", "id-2", "id-4", "id-5", "id-3", "id-4", "id-5"]


async def test_a_broker_that_is_too_slow_for_a_page_gets_smaller_ones(journal: Journal, catalogue: Catalogue) -> None:
    """Down to what it takes in time and no further, and larger ones again once it is quick."""
    broker = Broker(seconds=0.05)
    await journal.append(messages(1, 30))
    async with delivering(journal, catalogue, broker, window=16):
        await until(lambda: len(broker.held) == 30, 20, "all is there")
        late, taken = broker.sizes[:2], broker.sizes[2:]
        broker.seconds = 0
        await journal.append(messages(31, 60))
        await until(lambda: len(broker.held) == 90, 5, "the rest as well")

    assert broker.held == ids(1, 90)
    assert (late, sum(taken), max(taken)) == ([16, 8], 30, 4)
    assert broker.sizes.count(16) > 1


async def test_a_quick_broker_soon_gets_a_window_at_once(journal: Journal, catalogue: Catalogue) -> None:
    """And a slow one is not asked for that much: the first page is a small one."""
    broker = Broker()
    await journal.append(messages(1, 1000))
    async with delivering(journal, catalogue, broker, window=300):
        await until(lambda: len(broker.held) == 1000, 10, "all is there")

    assert (broker.sizes[0], max(broker.sizes)) == (100, 300)


async def test_everything_else_has_its_turn_between_two_pages(journal: Journal, catalogue: Catalogue) -> None:
    """Also where neither the journal nor the sink ever waits."""
    turns, seen = 0, list[int]()

    class Noting(Broker):
        async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
            seen.append(turns)
            return await super().deliver(batch)

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    broker = Noting()
    await journal.append(messages(1, 100))
    beside = asyncio.create_task(turn())
    async with delivering(journal, catalogue, broker, window=10):
        await until(lambda: len(broker.held) == 100, 10, "all is there")
    beside.cancel()

    assert len(set(seen)) == len(seen) >= 10


async def test_a_rejected_message_is_buried_and_its_neighbours_are_delivered(
    journal: Journal, catalogue: Catalogue
) -> None:
    broker = Broker()

    async def second_rejected(batch: Sequence[Message]) -> Sequence[Outcome]:
        broker.held += [batch[0].id, batch[2].id]
        return [None, Rejected("2 MB", reason="too_large"), None]

    broker.script[1] = second_rejected
    await journal.append(messages(1, 3))

    async with delivering(journal, catalogue, broker, window=3):
        await until(lambda: journal.lag("kafka").events == 0, 10, "settled")

    assert broker.held == ["id-1", "id-3"]
    assert broker.connections == 1
    assert value(catalogue, "sink_dead_lettered_events_total", sink="kafka", reason="too_large") == 1
    assert value(catalogue, "sink_attempts_total", sink="kafka", result="rejected") == 1


@dataclass
class Narrow(Broker):
    """A broker that refuses what is too large for it, which shows only in its answer and costs the connection."""

    most_bytes: int = 200
    bodies: dict[str, bytes] = field(default_factory=dict)

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        self.calls += 1
        for at, message in enumerate(batch):
            if len(message.body) > self.most_bytes:
                lost = Unavailable("of no more use after a refusal", reason="session", at_once=True)
                return [None] * at + [TooLarge("too many bytes")] + [lost] * (len(batch) - at - 1)
            self.held.append(message.id)
            self.bodies[message.id] = message.body
        return [None] * len(batch)


async def test_what_a_broker_refuses_for_its_size_goes_out_as_a_reference_in_its_place(
    journal: Journal, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    """Once each, without a dead letter, in order, and said in the log and the metrics."""
    broker, large = Narrow(), {3, 4, 17}
    made = [sample(number, body=b"x" * (1000 if number in large else 10)) for number in range(20)]
    await journal.append(made)

    async with kept(link(), broker.connect, delivery(journal, catalogue, shed=True).run):
        await until(lambda: journal.lag("kafka").events == 0, 10, "settled")

    assert list(dict.fromkeys(broker.held)) == [message.id for message in made]
    assert {number for number in large if broker.bodies[made[number].id] != reference(made[number])} == set()
    assert broker.connections == 1 + len(large)
    assert value(catalogue, "sink_shed_events_total", sink="kafka") == 3
    assert value(catalogue, "sink_delivered_events_total", sink="kafka") == 20
    assert value(catalogue, "sink_delivered_bytes_total", sink="kafka") == 17 * 10
    assert value(catalogue, "sink_dead_lettered_events_total", sink="kafka", reason="too_large") == 0
    assert "1 events are too large for its broker and went out as references; the first: too many bytes" in caplog.text


@pytest.mark.parametrize(("shed", "connections"), [(True, 3), (False, 2)])
async def test_what_is_too_large_without_its_body_is_a_dead_letter_with_it(
    journal: Journal,
    catalogue: Catalogue,
    shed: bool,  # noqa: FBT001
    connections: int,
) -> None:
    """So it is whole when it is sent again; and where nothing is to be shortened, it is one at once."""
    broker = Narrow(most_bytes=50)
    await journal.append([sample(1, body=b"x"), sample(2, body=b"x" * 1000), sample(3, body=b"x")])

    async with kept(link(), broker.connect, delivery(journal, catalogue, shed=shed).run):
        await until(lambda: journal.lag("kafka").events == 0, 10, "settled")

    (letter,) = await journal._writer.call(lambda store: letters(store._db, Which(), 10, bodies=True))
    assert letter.event is not None
    assert (letter.kept.reason, letter.event.body, letter.event.flags) == ("too_large", b"x" * 1000, ())
    assert broker.connections == connections
    assert value(catalogue, "sink_shed_events_total", sink="kafka") == 0


async def test_a_letter_says_since_when_it_was_tried_and_where_it_was_to_go(
    journal: Journal, catalogue: Catalogue
) -> None:
    """What the sink says of the topic comes first, what it would explain comes second."""
    stubborn = Unavailable("0x80", reason="refused", bury_after=2)
    broker = Broker()

    async def refused(batch: Sequence[Message]) -> Sequence[Outcome]:
        return [stubborn, None]

    async def too_large(batch: Sequence[Message]) -> Sequence[Outcome]:
        return [Rejected("2 MB", reason="too_large", target="portos.orders")]

    broker.script |= {1: refused, 2: refused, 3: too_large}
    before = time.time()
    await journal.append(messages(1, 2))

    async with kept(link(), broker.connect, delivery(journal, catalogue, target=lambda _: "portos.tickets").run):
        await until(lambda: journal.lag("kafka").events == 0, 10, "settled")

    first, second = await journal._writer.call(lambda store: letters(store._db, Which(), 10))
    assert (first.kept.attempts, first.kept.target, first.kept.reason) == (2, "portos.tickets", "refused")
    assert before <= first.kept.first_at < first.kept.last_at
    assert (second.kept.attempts, second.kept.target) == (1, "portos.orders")
    assert second.kept.first_at == second.kept.last_at


async def test_what_is_on_its_way_is_seen_while_it_is(journal: Journal, catalogue: Catalogue) -> None:
    """Also after a broker that never answers there is nothing on its way any more."""
    seen = []

    async def look(batch: Sequence[Message]) -> Sequence[Outcome]:
        seen.append(value(catalogue, "sink_inflight_events", sink="kafka"))
        return await never_answer(batch)

    await journal.append(messages(1, 7))
    broker = Broker(script={1: look})

    async with delivering(journal, catalogue, broker, window=5):
        await until(lambda: len(broker.held) >= 7, 10, "all delivered")
        await until(lambda: not value(catalogue, "sink_inflight_events", sink="kafka"), 5, "the last answer")

    assert seen == [5]


async def test_a_hold_is_over_once_something_is_delivered(journal: Journal, catalogue: Catalogue) -> None:
    broker = Broker()

    async def hold(batch: Sequence[Message]) -> Sequence[Outcome]:
        raise Unavailable("no such topic", reason="missing_topic", hold=True)

    broker.script[1] = hold
    await journal.append(messages(1, 3))

    holds: list[bool] = []

    async with delivering(journal, catalogue, broker, held=holds.append):
        await until(lambda: journal.lag("kafka").events == 0, 5, "delivered")
        await until(lambda: holds[-1:] == [False], 5, "no longer held")

    assert True in holds


async def test_a_message_refused_again_and_again_is_buried_after_its_limit_only(
    journal: Journal, catalogue: Catalogue
) -> None:
    """Refusals of one message are counted over connections; lost connections between them are not refusals."""
    broker = Broker()

    async def refuse(batch: Sequence[Message]) -> Sequence[Outcome]:
        return [Unavailable("0x80", reason="refused", bury_after=3), *[None] * (len(batch) - 1)]

    broker.script = {1: raise_unavailable, 2: refuse, 3: raise_unavailable, 4: refuse, 5: refuse}
    await journal.append(messages(1, 3))

    async with delivering(journal, catalogue, broker):
        await until(lambda: journal.lag("kafka").events == 0, 10, "settled")

    assert broker.held == ["id-2", "id-3"]
    assert value(catalogue, "sink_dead_lettered_events_total", sink="kafka", reason="refused") == 1


async def test_the_next_message_begins_without_the_refusals_of_a_buried_one(
    journal: Journal, catalogue: Catalogue
) -> None:
    """Each message has its own three tries."""
    refused: list[str] = []
    broker = Broker()

    async def refuse(batch: Sequence[Message]) -> Sequence[Outcome]:
        refused.append(batch[0].id)
        return [Unavailable("0x80", reason="refused", bury_after=3)] * len(batch)

    broker.script = dict.fromkeys(range(1, 7), refuse)
    await journal.append(messages(1, 3))

    async with delivering(journal, catalogue, broker):
        await until(lambda: journal.lag("kafka").events == 0, 10, "settled")

    assert refused == ["id-1"] * 3 + ["id-2"] * 3
    assert broker.held == ["id-3"]


async def test_a_sink_that_raises_what_it_should_return_does_not_stop_the_bridge(
    journal: Journal, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    broker = Broker()

    async def raise_rejected(batch: Sequence[Message]) -> Sequence[Outcome]:
        raise Rejected("too large", reason="too_large")

    broker.script[1] = raise_rejected
    await journal.append(messages(1, 3))

    async with delivering(journal, catalogue, broker):
        await until(lambda: len(broker.held) == 3, 10, "delivered")


async def test_a_connection_lost_while_idle_is_noticed(
    journal: Journal, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing to deliver the sink is asked now and then, so that the status does not show what is long gone."""
    monkeypatch.setattr(pipeline, "_IDLE_SECONDS", 0.02)
    asked: list[int] = []
    broker = Broker()

    async def lost(batch: Sequence[Message]) -> Sequence[Outcome]:
        asked.append(len(batch))
        raise Unavailable("the broker is gone", reason="network")

    broker.script[1] = lost

    async with delivering(journal, catalogue, broker):
        await until(lambda: broker.connections == 2, 5, "a new connection")

    assert asked == [0]


async def test_a_dead_sink_does_not_stop_the_other(journal: Journal, catalogue: Catalogue) -> None:
    dead, alive = Broker(script=dict.fromkeys(range(1, 10_000), never_answer)), Broker()
    other = Delivery("mqtt", journal, catalogue, link("sink mqtt"), 10, 0.3)
    await journal.append(messages(1, 100))

    async with delivering(journal, catalogue, dead), asyncio.TaskGroup() as group:
        task = group.create_task(keep(link("sink mqtt"), alive.connect, other.run))
        await until(lambda: len(alive.held) == 100, 5, "the other sink")
        task.cancel()

    assert dead.held == []
    assert journal.lag("kafka").events == 100


async def test_a_sink_that_confirms_too_little_is_not_believed(journal: Journal, catalogue: Catalogue) -> None:
    broker = Broker()

    async def too_few(batch: Sequence[Message]) -> Sequence[Outcome]:
        return [None]

    broker.script[1] = too_few
    await journal.append(messages(1, 5))

    async with delivering(journal, catalogue, broker):
        await until(lambda: len(broker.held) == 5, 10, "all sent again")

    assert broker.held == ids(1, 5)


async def test_a_failing_disk_stops_the_loop(journal: Journal, catalogue: Catalogue) -> None:
    journal._recorder.failure = StorageFailed("disk I/O error")
    state = link()
    delivery = Delivery("kafka", journal, catalogue, state, 10, 1)

    with pytest.raises(StorageFailed):
        await asyncio.wait_for(keep(state, Broker().connect, delivery.run), 5)


async def test_a_connection_that_never_opens_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    attempts = 0
    state = Link(
        "sink x",
        Times(0.02, 0.02, 30, Pauses(0.001, 0.002, 0.01)),
        Gauges(lambda _: None, lambda _: None, lambda _: None, lambda _: None),
    )

    @asynccontextmanager
    async def hang() -> AsyncIterator[None]:
        nonlocal attempts
        attempts += 1
        await asyncio.Event().wait()
        yield

    async def use(_: None, __: Deadline) -> None:
        raise AssertionError("never connected")

    task = asyncio.create_task(keep(state, hang, use))
    await until(lambda: attempts >= 3, 5, "three attempts")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not state.connected
    assert "connecting took longer" in state.last_error


async def test_a_delivery_that_was_left_behind_never_settles_anything(
    journal: Journal, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer comes when its successor is further on: the cursor would go back."""
    monkeypatch.setattr(deadline_module, "_INSIST_SECONDS", 0.02)
    came_back, answered = asyncio.Event(), asyncio.Event()

    async def answer_much_too_late(batch: Sequence[Message]) -> Sequence[Outcome]:
        while not came_back.is_set():
            with suppress(asyncio.CancelledError):
                await came_back.wait()
        answered.set()
        return [None] * len(batch)

    broker = Broker(script={1: answer_much_too_late})
    await journal.append(messages(1, 35))

    async with delivering(journal, catalogue, broker):
        await until(lambda: journal.cursor("kafka") == 35, 10, "all delivered by the successor")
        came_back.set()
        await answered.wait()

    assert broker.held == ids(1, 35)
    assert journal.cursor("kafka") == 35


async def test_a_connection_that_does_not_close_is_left_and_the_next_is_opened() -> None:
    opened = 0

    @asynccontextmanager
    async def sticky() -> AsyncIterator[None]:
        nonlocal opened
        opened += 1
        try:
            yield
        finally:
            await asyncio.sleep(60)

    async def use(_: None, __: Deadline) -> None:
        raise Unavailable("lost", reason="network")

    task = asyncio.create_task(keep(link(), sticky, use))
    await until(lambda: opened >= 2, 5, "the next connection")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_connection_that_is_let_go_is_not_shown_as_one() -> None:
    """While a bridge that stops still delivers, its hub is not connected any more; that is no failure."""

    @asynccontextmanager
    async def connect() -> AsyncIterator[None]:
        yield

    async def use(_: None, __: Deadline) -> None:
        await asyncio.Event().wait()

    async with kept(link("hub"), connect, use) as state:
        await until(lambda: state.connected, 5, "connected")

    assert not state.connected
    assert state.failures == 0
