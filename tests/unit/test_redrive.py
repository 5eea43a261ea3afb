"""Dead letters that are sent again: in order, never after a newer version, and never in the way of events."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from bridge import pipeline
from bridge.errors import Rejected, TooLarge, Unavailable
from bridge.journal import Edits, Journal, Limits, Retried, Which, open_journal
from bridge.message import Message
from bridge.metrics import Catalogue
from bridge.pipeline import Delivery
from bridge.ports import Outcome, Shed
from tests.oracle.journal import copy
from tests.support import until
from tests.unit.journal.conftest import message
from tests.unit.journal.test_damage import change as damage
from tests.unit.journal.test_full_disk import Disk, disk
from tests.unit.loops import kept, link, value

__all__ = ["disk"]  # a fixture

ALL = Which()
LIMITS = Limits(60 * 2**20, 2**20, 100, 0.02)


def change(resource_id: str, version: int | None) -> Message:
    identity = f"{resource_id}{version or ''}"
    return msgspec.structs.replace(message(1), id=identity, resource_id=resource_id, version=version)


@dataclass
class Broker:
    """Takes what it does not refuse; `error` says what it answers to a message instead, from then on as well.

    `sizes` are those of the batches.
    """

    refused: set[str] = field(default_factory=set)
    error: Callable[[str], Unavailable | None] = lambda _: None
    held: list[str] = field(default_factory=list)
    connections: int = 0
    sizes: list[int] = field(default_factory=list)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["Broker"]:
        self.connections += 1
        yield self

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        self.sizes.append(len(batch))
        outcomes: list[Outcome] = []
        for one in batch:
            if (error := self.error(one.id)) is not None:
                return [*outcomes, *[error] * (len(batch) - len(outcomes))]
            if one.id in self.refused:
                outcomes.append(Rejected("2 MB", reason="too_large"))
            else:
                outcomes.append(None)
                self.held.append(one.id)
        return outcomes


class Silent(Broker):
    """Takes everything and confirms nothing until `answer` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = asyncio.Event()

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        outcomes = await super().deliver(batch)
        await self.answer.wait()
        return outcomes


class Shortening(Broker):
    """Takes everything without its body."""

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        return [outcome or Shed("2 MB") for outcome in await super().deliver(batch)]


@dataclass
class Narrow(Broker):
    """Refuses what is larger than its limit, which costs the connection."""

    limit: int = 200

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        large = next((at for at, one in enumerate(batch) if len(one.body) > self.limit), None)
        if large is None:
            return await super().deliver(batch)
        lost = Unavailable("of no more use after a refusal", reason="session", at_once=True)
        behind = [lost] * (len(batch) - large - 1)
        return [*await super().deliver(batch[:large]), TooLarge("too many bytes"), *behind]


@asynccontextmanager
async def delivering(journal: Journal, catalogue: Catalogue, broker: Broker, window: int = 10) -> AsyncIterator[None]:
    state = link()
    async with kept(state, broker.connect, Delivery("kafka", journal, catalogue, state, window, 30.0).run):
        yield


async def settled(journal: Journal) -> None:
    await until(lambda: journal.lag("kafka").events == 0, 10, "all settled")


async def retried(journal: Journal, which: Which = ALL) -> Retried:
    done = await journal.desk.retry(which, time.time())
    await until(lambda: not journal.letters.marked("kafka"), 10, "no letter is marked")
    return done


def redriven(catalogue: Catalogue, result: str) -> float:
    return value(catalogue, "dlq_redriven_events_total", sink="kafka", result=result)


async def numbers(journal: Journal) -> list[str | None]:
    return [letter.kept.event_id for letter in await journal.desk.letters(ALL, 100)]


async def test_what_is_fixed_is_delivered_oldest_first_and_the_overtaken_are_skipped(
    journal: Journal, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    broker = Broker(refused={"a1", "b1", "c1", "b2"})
    await journal.append([change("a", 1), change("b", 1), change("c", 1), change("b", 2), change("c", 2)])
    async with delivering(journal, catalogue, broker):
        await settled(journal)
        broker.refused.clear()

        done = await retried(journal)

        assert (done.marked, done.overtaken) == (3, 1)
        assert broker.held == ["c2", "a1", "b1", "b2"]
        assert await numbers(journal) == ["c1"]
        assert journal.letters.numbers("kafka")["events"] == 1
        assert redriven(catalogue, "delivered") == 3
        assert value(catalogue, "sink_delivered_events_total", sink="kafka") == 4
        assert (await retried(journal)).marked == 0
        assert broker.held == ["c2", "a1", "b1", "b2"]
        account = journal.ledger.sinks["kafka"]
        assert (account.delivered, account.dead_lettered) == (4, 1)
        assert journal.imbalances()["kafka"] == 0


async def test_what_is_overtaken_after_it_was_marked_is_skipped_and_said_so(
    journal: Journal, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    """The newer version is delivered first, since nothing newer may be left unsettled behind a letter."""
    broker = Broker(refused={"a1"})
    await journal.append([change("a", 1)])
    async with delivering(journal, catalogue, broker):
        await settled(journal)
    broker.refused.clear()
    await journal.append([change("a", 2)])
    page = await journal.read("kafka", 1)
    await journal.settle("kafka", page, 1, {})
    letters = await journal.desk.letters(ALL, 10)
    assert letters[0].overtaken_by == 2
    await journal.edit(Edits(marked={letters[0].number: 1.0}))
    journal.letters.mark(letters)

    async with delivering(journal, catalogue, broker):
        await until(lambda: redriven(catalogue, "overtaken"), 10, "skipped")

    assert broker.held == []
    assert "newer version" in caplog.text
    assert [letter.retry_at for letter in await journal.desk.letters(ALL, 10)] == [None]


async def test_what_is_delivered_now_overtakes_the_letters_before_it(journal: Journal, catalogue: Catalogue) -> None:
    broker = Broker(refused={"a1", "a2"})
    await journal.append([change("a", 1), change("a", 2)])
    async with delivering(journal, catalogue, broker):
        await settled(journal)
        broker.refused.clear()

        await retried(journal, Which(numbers=(2,)))
        rest = await retried(journal)

    assert broker.held == ["a2"]
    assert (rest.marked, rest.overtaken) == (0, 1)


async def test_a_letter_that_the_disk_has_spoilt_is_not_sent_and_stays(
    tmp_path: Path, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    path = tmp_path / "j.db"
    broker = Broker(refused={"a1", "b1"})
    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal:
        await journal.append([change("a", 1), change("b", 1)])
        async with delivering(journal, catalogue, broker):
            await settled(journal)
    damage(path, lambda database: database.execute("UPDATE dead_letter SET data = x'00' WHERE id = 1"))
    broker.refused.clear()

    async with (
        open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal,
        delivering(journal, catalogue, broker),
    ):
        await retried(journal)
        assert await numbers(journal) == ["a1"]

    assert broker.held == ["b1"]
    assert (redriven(catalogue, "unreadable"), redriven(catalogue, "delivered")) == (1, 1)
    assert "1 dead letters are damaged" in caplog.text


async def test_what_is_refused_again_keeps_its_letter_and_counts_its_attempts(
    journal: Journal, catalogue: Catalogue
) -> None:
    broker = Broker(refused={"a1", "b1"})
    await journal.append([change("a", 1), change("b", 1)])
    async with delivering(journal, catalogue, broker):
        await settled(journal)
        broker.refused = {"a1"}

        await retried(journal)

    (letter,) = await journal.desk.letters(ALL, 10)
    assert (letter.kept.event_id, letter.kept.attempts, letter.retry_at) == ("a1", 2, None)
    assert letter.kept.first_at < letter.kept.last_at
    assert broker.held == ["b1"]
    assert (redriven(catalogue, "rejected"), redriven(catalogue, "delivered")) == (1, 1)


async def test_a_letter_that_went_without_its_body_counts_no_bytes(journal: Journal, catalogue: Catalogue) -> None:
    """As an event does: only what arrived was delivered."""
    broker = Shortening(refused={"a1"})
    await journal.append([change("a", 1)])
    async with delivering(journal, catalogue, broker):
        await settled(journal)
        broker.refused.clear()

        await retried(journal)

    assert redriven(catalogue, "delivered") == 1
    assert value(catalogue, "sink_shed_events_total", sink="kafka") == 1
    assert value(catalogue, "sink_delivered_bytes_total", sink="kafka") == 0


async def test_a_letter_that_its_broker_finds_too_large_stays_whole(journal: Journal, catalogue: Catalogue) -> None:
    """It is not shortened, as a new event would be: a retry costs at most one connection a letter, and is over then."""
    broker = Narrow()
    large = [msgspec.structs.replace(change(name, 1), body=b"x" * 1000) for name in "bde"]
    await journal.append([change("a", 1), large[0], change("c", 1), *large[1:]])
    state = link()
    async with delivering(journal, catalogue, broker):
        await settled(journal)
    assert await numbers(journal) == ["b1", "d1", "e1"]
    broker.connections = 0
    async with kept(state, broker.connect, Delivery("kafka", journal, catalogue, state, 10, 30.0, shed=True).run):
        await retried(journal)
        await journal.append([change("f", 1), msgspec.structs.replace(change("g", 1), body=b"x" * 1000)])
        await settled(journal)

    letters = await journal.desk.letters(ALL, 10, bodies=True)
    assert [letter.event for letter in letters] == large
    assert broker.held == ["a1", "c1", "f1", "g1"]
    assert broker.connections == 4, "one, one behind each letter that others followed, one to shorten the new event"
    assert (redriven(catalogue, "rejected"), redriven(catalogue, "stopped")) == (3, 0)


async def test_a_letter_is_sent_as_often_as_it_is_asked_for(journal: Journal, catalogue: Catalogue) -> None:
    broker = Broker(refused={"a1"})
    await journal.append([change("a", 1)])
    async with delivering(journal, catalogue, broker):
        await settled(journal)

        for _ in range(5):
            await retried(journal)

    assert redriven(catalogue, "rejected") == 5
    assert redriven(catalogue, "stopped") == 0


@pytest.mark.parametrize(("hold", "connections"), [(True, 2), (False, 4)], ids=["hold", "poison"])
async def test_a_letter_that_ends_every_connection_does_not_stop_events(
    journal: Journal, catalogue: Catalogue, caplog: pytest.LogCaptureFixture, *, hold: bool, connections: int
) -> None:
    """A cause that somebody must remove ends the retry at once, any other at the third attempt; the letters stay."""
    caplog.set_level(logging.CRITICAL)
    error = Unavailable("no such topic", reason="missing_topic", hold=hold)
    broker = Broker(refused={"a1", "b1"})
    await journal.append([change("a", 1), change("b", 1)])
    async with delivering(journal, catalogue, broker):
        await settled(journal)
        broker.refused.clear()
        broker.error = lambda name: error if name == "a1" else None

        await retried(journal)
        await journal.append([change("c", 1)])
        await settled(journal)

    assert broker.held == ["c1"]
    assert broker.connections == connections
    assert await numbers(journal) == ["a1", "b1"]
    assert redriven(catalogue, "stopped") == 2


async def test_a_letter_that_no_attempt_brings_to_an_answer_does_not_stop_events(
    journal: Journal, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    """A client library that fails in a way of its own tells no outcome: the attempts are counted all the same."""
    caplog.set_level(logging.CRITICAL)
    broker = Broker(refused={"a1"})
    await journal.append([change("a", 1)])
    async with delivering(journal, catalogue, broker):
        await settled(journal)
        broker.refused.clear()

        def fails(name: str) -> Unavailable | None:
            if name == "a1":
                raise ValueError("of the library")
            return None

        broker.error = fails
        await retried(journal)
        await journal.append([change("b", 1)])
        await settled(journal)

    assert broker.held == ["b1"]
    assert broker.connections == 4
    assert redriven(catalogue, "stopped") == 1


async def test_a_letter_that_is_thrown_away_on_its_way_is_counted_once(journal: Journal, catalogue: Catalogue) -> None:
    broker, silent = Broker(refused={"a1", "b1"}), Silent()
    await journal.append([change("a", 1), change("b", 1)])
    async with delivering(journal, catalogue, broker):
        await settled(journal)
    async with delivering(journal, catalogue, silent):
        await journal.desk.retry(Which(numbers=(1,)), 1.0)
        await until(lambda: silent.held == ["a1"], 10, "on its way")

        purged = await journal.desk.purge(Which(numbers=(1,)))
        silent.answer.set()
        await until(lambda: redriven(catalogue, "delivered"), 10, "confirmed")

    assert purged == 1
    assert await numbers(journal) == ["b1"]
    assert (journal.letters.numbers("kafka")["events"], journal.letters.marked("kafka")) == (1, 0)


async def test_each_letter_has_attempts_of_its_own(
    journal: Journal, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    """Two that fail twice are both delivered in the end."""
    caplog.set_level(logging.CRITICAL)
    broker = Broker(refused={"a1", "b1", "c1"})
    await journal.append([change(name, 1) for name in "abc"])
    failing = ["b1", "b1", "c1", "c1"]
    async with delivering(journal, catalogue, broker):
        await settled(journal)
        broker.refused.clear()

        def fails(name: str) -> Unavailable | None:
            if failing and name == failing[0]:
                failing.pop(0)
                return Unavailable("reset", reason="network")
            return None

        broker.error = fails
        await retried(journal)

    assert broker.held == ["a1", "b1", "c1"]
    assert redriven(catalogue, "stopped") == 0


async def test_a_mark_whose_letter_is_gone_is_forgotten(journal: Journal, catalogue: Catalogue) -> None:
    """Or its sink would look for it for ever."""
    broker = Broker(refused={"a1"})
    await journal.append([change("a", 1)])
    async with delivering(journal, catalogue, broker):
        await settled(journal)
        letters = await journal.desk.letters(ALL, 1)
        await journal.edit(Edits(gone=[letters[0].number]))
        journal.letters.mark(letters)

        await journal.append([change("b", 1)])
        await until(lambda: not journal.letters.marked("kafka"), 10, "no letter is marked")
        await settled(journal)

    assert broker.held == ["b1"]


async def test_a_connection_that_is_lost_between_letters_sends_none_twice(
    journal: Journal, catalogue: Catalogue
) -> None:
    broker = Broker(refused={"a1", "b1", "c1"})
    await journal.append([change(name, 1) for name in "abc"])
    lost = [Unavailable("reset", reason="network")]
    async with delivering(journal, catalogue, broker):
        await settled(journal)
        broker.refused.clear()
        broker.error = lambda name: lost.pop() if name == "b1" and lost else None

        await retried(journal)

    assert broker.held == ["a1", "b1", "c1"]
    assert await numbers(journal) == []


async def test_no_letter_is_sent_while_something_newer_may_have_arrived(journal: Journal, catalogue: Catalogue) -> None:
    """What was handed over and not confirmed comes again first: a letter of the same resource is overtaken then."""
    broker = Broker(refused={"a1"})
    await journal.append([change("a", 1)])
    lost = [Unavailable("reset", reason="network")]
    async with delivering(journal, catalogue, broker):
        await settled(journal)
        broker.refused.clear()

        def fails(name: str) -> Unavailable | None:
            if name == "a2" and lost:
                broker.held.append(name)  # it arrived, and its confirmation did not
                return lost.pop()
            return None

        broker.error = fails
        letters = await journal.desk.letters(ALL, 10)
        await asyncio.gather(journal.append([change("a", 2)]), journal.desk.retry(ALL, 1.0))
        await until(lambda: not journal.letters.marked("kafka"), 10, "no letter is marked")
        await settled(journal)

    assert len(letters) == 1
    assert broker.held in (["a1", "a2", "a2"], ["a2", "a2"])


async def test_a_letter_waits_for_what_was_on_its_way_when_it_was_marked(
    journal: Journal, catalogue: Catalogue
) -> None:
    broker = Silent()
    broker.answer.set()
    broker.refused = {"a1"}
    await journal.append([change("a", 1)])
    lost = [Unavailable("reset", reason="network")]
    async with delivering(journal, catalogue, broker):
        await settled(journal)
        broker.answer.clear()
        broker.refused.clear()

        def fails(name: str) -> Unavailable | None:
            if name == "a2" and lost:
                broker.held.append(name)
                return lost.pop()
            return None

        broker.error = fails
        await journal.append([change("a", 2)])
        await until(lambda: broker.held == ["a2"], 10, "it has arrived")
        await journal.desk.retry(ALL, 1.0)
        broker.answer.set()
        await until(lambda: not journal.letters.marked("kafka"), 10, "no letter is marked")

    assert broker.held == ["a2", "a2"]
    assert redriven(catalogue, "overtaken") == 1


async def test_no_letter_is_sent_while_it_is_not_on_disk_what_has_overtaken_it(
    journal: Journal, catalogue: Catalogue, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no room, that is known in memory alone; letters go when there is room again."""
    monkeypatch.setattr(pipeline, "_IDLE_SECONDS", 0.05)
    broker = Broker(refused={"a1", "b1"})
    await journal.append([change("a", 1), change("b", 1)])
    async with delivering(journal, catalogue, broker):
        await settled(journal)
    broker.refused.clear()
    await journal.append([change("a", 2)])
    await journal.desk.retry(ALL, 1.0)
    disk.full = True

    async with delivering(journal, catalogue, broker):
        await settled(journal)
        await until(lambda: disk.refused > 3, 10, "it is tried again and again")
        assert broker.held == ["a2"]
        disk.full = False
        await until(lambda: not journal.letters.marked("kafka"), 10, "no letter is marked")

    assert broker.held == ["a2", "b1"]
    assert redriven(catalogue, "overtaken") == 1


async def test_after_a_crash_letters_wait_for_what_may_have_been_delivered(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    """A newer version was delivered and its cursor was not recorded: the letter goes after that is known again."""
    path = tmp_path / "live" / "j.db"
    broker = Broker(refused={"a1"})
    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal:
        await journal.append([change("a", 1)])
        async with delivering(journal, catalogue, broker):
            await settled(journal)
        await journal.append([change("b", 1), change("a", 2)])
        await journal.desk.retry(ALL, 1.0)
        copied = copy(path, tmp_path / "crashed")
    broker.refused.clear()

    async with open_journal(copied, ["kafka"], 64 * 2**20, LIMITS) as journal:
        assert journal.letters.marked("kafka") == 1
        async with delivering(journal, catalogue, broker, window=1):
            await until(lambda: not journal.letters.marked("kafka"), 10, "no letter is marked")

    assert broker.held == ["b1", "a2"]
    assert redriven(catalogue, "overtaken") == 1


async def test_after_an_orderly_end_letters_wait_for_what_was_on_its_way(tmp_path: Path, catalogue: Catalogue) -> None:
    """A newer version arrived, and the bridge was stopped before its confirmation came."""
    broker = Broker(refused={"a1"})
    async with open_journal(tmp_path / "j.db", ["kafka"], 64 * 2**20, LIMITS) as journal:
        await journal.append([change("a", 1)])
        async with delivering(journal, catalogue, broker):
            await settled(journal)
        broker.refused.clear()
        silent = Silent()
        await journal.append([change("a", 2)])
        async with delivering(journal, catalogue, silent):
            await until(lambda: silent.held == ["a2"], 10, "handed over")
        await journal.desk.retry(ALL, 1.0)

    async with (
        open_journal(tmp_path / "j.db", ["kafka"], 64 * 2**20, LIMITS) as journal,
        delivering(journal, catalogue, broker),
    ):
        await until(lambda: not journal.letters.marked("kafka"), 10, "no letter is marked")

    assert journal.previous.clean is True
    assert broker.held == ["a2"]


async def test_a_crash_between_confirmation_and_record_repeats_the_letter_with_its_id(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    path = tmp_path / "live" / "j.db"
    broker = Broker(refused={"a1"})
    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal:
        await journal.append([change("a", 1)])
        async with delivering(journal, catalogue, broker):
            await settled(journal)
        await journal.desk.retry(ALL, 1.0)
        copied = copy(path, tmp_path / "crashed")
        broker.refused.clear()
        async with delivering(journal, catalogue, broker):
            await until(lambda: not journal.letters.marked("kafka"), 10, "delivered")

    async with open_journal(copied, ["kafka"], 64 * 2**20, LIMITS) as journal:
        async with delivering(journal, catalogue, broker):
            await until(lambda: not journal.letters.marked("kafka"), 10, "delivered again")
        assert await numbers(journal) == []
        assert journal.imbalances()["kafka"] == 0

    assert broker.held == ["a1", "a1"]


async def test_letters_go_a_hundred_at_once_at_most(journal: Journal, catalogue: Catalogue) -> None:
    """Whatever the window: a slow broker has to confirm them within one deadline."""
    changes = [change(f"{number}-", 1) for number in range(150)]
    broker = Broker(refused={one.id for one in changes})
    await journal.append(changes)
    async with delivering(journal, catalogue, broker, window=1000):
        await settled(journal)
        broker.refused, broker.sizes = set(), []
        await retried(journal)

    assert [size for size in broker.sizes if size] == [100, 50]
    assert len(broker.held) == 150
