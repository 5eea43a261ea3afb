"""Copies of dead letters: made after the letter is on disk, once each, and in nobody's way."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from bridge import copying
from bridge.copying import Copying, copies
from bridge.errors import Rejected, Unavailable
from bridge.journal import Buried, Journal
from bridge.journal.store import Store
from bridge.message import Message
from bridge.ports import Outcome, SinkPlugin
from bridge.settings import SinkConfig
from tests.support import until
from tests.unit.journal.conftest import messages
from tests.unit.loops import TIMES, kept, link


@dataclass
class Topic:
    """Takes copies; `answers` are what it says to the first of them instead."""

    answers: list[Outcome] = field(default_factory=list)
    held: list[Message] = field(default_factory=list)
    connections: int = 0
    batches: list[int] = field(default_factory=list)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["Topic"]:
        self.connections += 1
        yield self

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        self.batches += [len(batch)] if batch else []
        outcomes = [self.answers.pop(0) if self.answers else None for _ in batch]
        self.held += [one for one, outcome in zip(batch, outcomes, strict=True) if outcome is None]
        return outcomes


@asynccontextmanager
async def copied(journal: Journal, topic: Topic) -> AsyncIterator[None]:
    state = link("copies")
    async with kept(state, topic.connect, Copying("kafka", journal, state, 0.3, 100).run):
        yield


async def bury(journal: Journal, first: int, count: int, sink: str = "kafka", text: str = "2 MB") -> None:
    await journal.append(messages(first, count))
    page = await journal.read(sink, count)
    why = Buried(Rejected(text, reason="too_large", target="portos.tickets"), 3, 5.0)
    await journal.settle(sink, page, count, dict.fromkeys(range(count), why))


def spoil(store: Store) -> None:
    store._db.execute("UPDATE dead_letter SET data = x'00'")


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_IDLE_SECONDS", 0.01)


async def test_each_letter_is_copied_once_with_all_that_is_known_of_it(journal: Journal) -> None:
    """Those that were there, those that come, and none of another sink or of before a restart again."""
    topic = Topic()
    await bury(journal, 1, 2)
    async with copied(journal, topic):
        await until(lambda: len(topic.held) == 2, 10, "two copies")
        await bury(journal, 3, 1)
        await until(lambda: len(topic.held) == 3, 10, "one more")
    await bury(journal, 4, 1, "mqtt")
    async with copied(journal, topic):
        await bury(journal, 5, 1)
        await until(lambda: len(topic.held) > 3, 10, "the last")

    assert [one.id for one in topic.held] == ["id-1", "id-2", "id-3", "id-4"]
    known = dict(topic.held[0].flags)
    assert {name: known["bridge-dlq-" + name] for name in ("reason", "stage", "error", "attempts", "target")} == {
        "reason": "too_large",
        "stage": "sink",
        "error": "2 MB",
        "attempts": "3",
        "target": "portos.tickets",
    }
    assert known["bridge-dlq-first-failed-at"] == "1970-01-01T00:00:05.000Z"
    assert topic.held[0].body == b'{"p":1}'


async def test_a_copy_that_is_never_taken_does_not_stop_the_next(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    topic = Topic([Rejected("3 MB", reason="too_large")])
    await bury(journal, 1, 2)

    async with copied(journal, topic):
        await until(lambda: topic.held, 10, "the second copy")

    assert [one.id for one in topic.held] == ["id-2"]
    assert "dead letter 1 is in the journal only" in caplog.text
    assert journal.letters.numbers("kafka")["events"] == 2


async def test_a_copy_that_fails_is_made_on_the_next_connection(journal: Journal) -> None:
    topic = Topic([None, Unavailable("reset", reason="network"), Unavailable("reset", reason="network")])
    await bury(journal, 1, 3)

    async with copied(journal, topic):
        await until(lambda: len(topic.held) == 3, 10, "all copies")

    assert [one.id for one in topic.held] == ["id-1", "id-2", "id-3"]
    assert topic.connections == 2


async def test_a_letter_that_the_disk_has_spoilt_is_passed_over(journal: Journal) -> None:
    topic = Topic()
    await bury(journal, 1, 1)
    await journal._writer.call(spoil)
    await bury(journal, 2, 1)

    async with copied(journal, topic):
        await until(lambda: topic.held, 10, "the other one")
        left = await journal.desk.uncopied("kafka", 10)

    assert ([one.id for one in topic.held], left) == (["id-2"], [])


async def test_a_long_reason_is_cut_and_the_copy_is_not(journal: Journal) -> None:
    topic = Topic()
    await bury(journal, 1, 1, text="x" * 100_000)

    async with copied(journal, topic):
        await until(lambda: topic.held, 10, "the copy")

    assert len(dict(topic.held[0].flags)["bridge-dlq-error"]) == 1_000


async def test_no_copy_stands_in_the_way_of_events(journal: Journal) -> None:
    """A topic for copies that is missing for ever leaves letters and cursor as they are."""
    gone = Unavailable("no such topic", reason="missing_topic", hold=True)
    topic = Topic([gone] * 100)
    async with copied(journal, topic):
        await bury(journal, 1, 3)

        await journal.append(messages(4, 2))
        page = await journal.read("kafka", 9)
        await journal.settle("kafka", page, 2, {})
        await until(lambda: len(topic.answers) < 97, 10, "copies were tried")

    assert (journal.cursor("kafka"), topic.held) == (5, [])
    assert journal.letters.numbers("kafka")["events"] == 3


@pytest.mark.parametrize(("window_events", "most"), [(1, 1), (7, 7), (1_000, 50)])
async def test_no_more_copies_are_handed_over_at_once_than_the_sink_takes(
    journal: Journal, window_events: int, most: int
) -> None:
    """`WINDOW_EVENTS` bounds a batch, also one of copies; with a large one they come in fifties."""
    topic = Topic()
    plugin = SinkPlugin(SinkConfig, lambda _: topic.connect(), copies=lambda _: topic.connect)
    config = SinkConfig(window_events=window_events)
    await bury(journal, 1, 60)

    [(_, keeping)] = copies({"kafka": (plugin, config)}, {}, journal, TIMES, 0.3)
    task = asyncio.create_task(keeping)
    await until(lambda: len(topic.held) == 60, 10, "all copies")
    task.cancel()
    await asyncio.wait({task})

    assert [one.id for one in topic.held] == [f"id-{number}" for number in range(1, 61)]
    assert max(topic.batches) == most
