"""From the state store to a broker: the newest only, again where the broker has lost it, and past what it refuses."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from bridge.errors import Rejected, TooLarge, Unavailable
from bridge.message import Message
from bridge.ports import Outcome, StateConnection
from bridge.state import publishing
from bridge.state.publishing import Publishing
from bridge.state.store import StateStore
from tests.support import until
from tests.unit.loops import kept, link
from tests.unit.state.conftest import Opening, change, rows


@dataclass
class Broker:
    """Keeps states and a mark; `answers` are what it says to the first deliveries instead, by resource id."""

    marks: bool = True
    answers: dict[str, list[Outcome]] = field(default_factory=dict)
    states: dict[str | None, Message] = field(default_factory=dict)
    log: list[tuple[str | None, int | None]] = field(default_factory=list)
    text: str = ""
    connections: int = 0
    lost: bool = False

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[StateConnection]:
        self.connections += 1
        self.lost = False
        yield StateConnection(self, self if self.marks else None)

    async def keep(self, text: str) -> None:
        self.text = text

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        if self.lost:
            raise Unavailable("it has gone", reason="network", at_once=True)
        outcomes: list[Outcome] = []
        for one in batch:
            answers = self.answers.get(one.resource_id or "", [])
            outcome = answers.pop(0) if answers else None
            outcomes.append(outcome)
            if outcome is None:
                self.states[one.resource_id] = one
                self.log.append((one.resource_id, one.version))
        return outcomes

    def restart(self, *, kept: int = 0, text: str = "") -> None:
        """Come back with the first `kept` publications and a mark."""
        self.log, self.text, self.lost = self.log[:kept], text, True


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "_IDLE_SECONDS", 0.01)
    monkeypatch.setattr(publishing, "_MARK_SECONDS", 0.01)


@asynccontextmanager
async def publishes(store: StateStore, broker: Broker, window: int = 3) -> AsyncIterator[None]:
    state = link("states of sink mqtt")
    async with kept(state, broker.connect, Publishing("mqtt", store, state, window, 0.5).run):
        yield


async def feed(store: StateStore, *changes: Message) -> None:
    await store.feed(rows(*changes), "journal", 1, 100.0)


async def all_out(store: StateStore) -> None:
    await until(lambda: store.numbers.lag("mqtt", 0)[0] == 0, 5, "all is published")


async def test_a_slow_broker_gets_the_newest_and_not_all(opening: Opening) -> None:
    broker = Broker()
    async with opening() as store:
        for version in range(1, 50):
            await feed(store, change("a", version), change("b", version))
        async with publishes(store, broker):
            await all_out(store)
            await feed(store, change("a", 50))
            await all_out(store)

    assert broker.log == [("a", 49), ("b", 49), ("a", 50)]
    assert store.numbers.publications["mqtt"].published == 3


async def test_a_broker_that_lost_everything_gets_everything_again(
    opening: Opening, caplog: pytest.LogCaptureFixture
) -> None:
    """Deletes as well, which does no harm; and the mark follows the states."""
    caplog.set_level(logging.WARNING)
    broker = Broker()
    async with opening() as store, publishes(store, broker):
        await feed(store, change("a", 1), change("b", 2, "deleted"), change("c", 3))
        await until(lambda: broker.text.endswith(":3"), 5, "the mark")
        broker.restart()
        await until(lambda: len(broker.log) == 3 and broker.text, 5, "all again")

    assert broker.log == [("a", 1), ("b", 2), ("c", 3)]
    assert broker.states["b"].body == b""
    assert "published again" in caplog.text


async def test_a_broker_that_lost_what_came_last_gets_that_again(opening: Opening) -> None:
    """One that saves its store now and then comes back with an old one, and with the mark of that moment."""
    broker = Broker()
    async with opening() as store, publishes(store, broker):
        await feed(store, change("a", 1), change("b", 1))
        await until(lambda: broker.text.endswith(":2"), 5, "a mark")
        saved = broker.text
        await feed(store, change("a", 2), change("c", 1))
        await all_out(store)
        broker.restart(kept=2, text=saved)
        await until(lambda: len(broker.log) >= 4, 5, "the last again")

    assert broker.log == [("a", 1), ("b", 1), ("a", 2), ("c", 1)]


async def test_a_mark_of_another_store_is_no_mark(opening: Opening) -> None:
    broker = Broker(text="0123456789abcdef:7")
    async with opening() as store, publishes(store, broker):
        await feed(store, change("a", 1))
        await until(lambda: broker.log, 5, "the state")
        await until(lambda: broker.text.endswith(":1"), 5, "our mark")


async def test_a_reconnect_alone_repeats_no_more_than_since_the_last_mark(opening: Opening) -> None:
    broker = Broker()
    async with opening() as store, publishes(store, broker):
        await feed(store, change("a", 1), change("b", 1))
        await until(lambda: broker.text.endswith(":2"), 5, "the mark")
        broker.lost = True
        await until(lambda: broker.connections == 2, 5, "another connection")
        await feed(store, change("c", 1))
        await all_out(store)

    assert broker.log == [("a", 1), ("b", 1), ("c", 1)]


async def test_without_a_mark_the_place_is_the_one_on_disk(opening: Opening) -> None:
    broker = Broker(marks=False)
    async with opening() as store, publishes(store, broker):
        await feed(store, change("a", 1))
        await all_out(store)
    async with opening() as store, publishes(store, broker):
        await feed(store, change("b", 1))
        await all_out(store)

    assert broker.log == [("a", 1), ("b", 1)]


async def test_a_state_that_is_never_taken_is_passed_over_and_told_once(
    opening: Opening, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    refused = Rejected("2 MB", reason="too_large")
    broker = Broker(answers={"a": [refused], "b": [refused]})
    async with opening() as store, publishes(store, broker):
        await feed(store, change("a", 1), change("b", 1), change("c", 1))
        await all_out(store)

    assert broker.log == [("c", 1)]
    assert store.numbers.publications["mqtt"].rejected == {"too_large": 2}
    assert caplog.text.count("never taken") == 1


@pytest.mark.parametrize("marks", [True, False])
async def test_a_state_that_ends_each_connection_is_passed_over_in_the_end(opening: Opening, *, marks: bool) -> None:
    """Also where each new connection begins before it."""
    poison = Unavailable("the broker hangs up", reason="poison_batch", bury_after=3)
    broker = Broker(marks, answers={"b": [poison] * 100})
    async with opening() as store:
        await feed(store, change("a", 1), change("b", 1), change("c", 1))
        async with publishes(store, broker):
            await all_out(store)

    assert set(broker.states) == {"a", "c"}
    assert store.numbers.publications["mqtt"].rejected == {"poison_batch": 1}
    assert broker.connections <= 5


@pytest.mark.parametrize("marks", [True, False])
async def test_a_state_that_is_refused_with_the_connection_costs_one_connection(
    opening: Opening, caplog: pytest.LogCaptureFixture, *, marks: bool
) -> None:
    """As by the `message_size_limit` of Mosquitto, also where each new connection begins before it."""
    caplog.set_level(logging.ERROR)
    refused, behind = TooLarge("150 KB"), Unavailable("not confirmed", reason="too_large", at_once=True)
    broker = Broker(marks, answers={"b": [refused] * 100, "e": [refused] * 100, "c": [behind], "f": [behind]})
    async with opening() as store:
        await feed(store, *(change(name, 1) for name in "abcdef"))
        async with publishes(store, broker):
            await all_out(store)
            await feed(store, change("g", 1))
            await all_out(store)

    assert set(broker.states) == {"a", "c", "d", "f", "g"}
    assert store.numbers.publications["mqtt"].rejected == {"too_large": 2}
    assert broker.connections == 3
    assert caplog.text.count("never taken") == 1


async def test_after_a_lost_connection_it_goes_on_with_what_was_not_confirmed(opening: Opening) -> None:
    """And with the newest of it, whatever was on its way."""
    broker = Broker(marks=False, answers={"b": [Unavailable("reset", reason="network")]})
    async with opening() as store:
        await feed(store, change("a", 1), change("b", 1), change("c", 1))
        async with publishes(store, broker):
            await all_out(store)

    assert broker.log == [("a", 1), ("c", 1), ("b", 1), ("c", 1)]


async def test_states_that_were_forgotten_are_told_where_they_would_be_published_again(
    opening: Opening, caplog: pytest.LogCaptureFixture
) -> None:
    """Not while a broker has all that it was given."""
    caplog.set_level(logging.WARNING)
    broker = Broker()
    async with opening(mqtt="m") as store, publishes(store, broker):
        await feed(store, *(change(f"t{number}", 1) for number in range(20)))
        await until(lambda: broker.text.endswith(":20"), 5, "all is published, and marked")
        await store._call(lambda table: table.forget(20))
        await feed(store, change("a", 1))
        await all_out(store)
        assert "forgotten" not in caplog.text

        broker.restart()
        await until(lambda: len(broker.log) == 19, 5, "those that are left")

    assert "forgotten for want of room" in caplog.text


async def test_the_damaged_are_left_out_and_counted(opening: Opening) -> None:
    broker = Broker()
    async with opening() as store:
        await feed(store, change("a", 1), change("b", 1))
        await store._call(lambda table: table._db.execute("UPDATE resource SET message = x'00' WHERE id = 'a'"))
        async with publishes(store, broker):
            await all_out(store)

    assert broker.log == [("b", 1)]
    assert store.numbers.publications["mqtt"].damaged == 1


async def test_a_broker_that_is_too_slow_for_a_page_gets_smaller_ones(opening: Opening) -> None:
    """Down to what it takes in time and no further, and larger ones again once it is quick."""
    sizes: list[int] = []
    slow = True

    class Slow(Broker):
        async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
            if batch:
                sizes.append(len(batch))
                await asyncio.sleep(0.1 * len(batch) if slow else 0)
            return await super().deliver(batch)

    broker = Slow()
    async with opening(mqtt="m") as store, publishes(store, broker, window=16):
        await feed(store, *[change(f"{number}", 1) for number in range(16)])
        await all_out(store)
        late, taken = sizes[:2], sizes[2:]
        slow = False
        await feed(store, *[change(f"{number}", 2) for number in range(40)])
        await all_out(store)

    assert (late, sum(taken), max(taken)) == ([16, 8], 16, 4)
    assert 16 in sizes[len(taken) + 2 :]
