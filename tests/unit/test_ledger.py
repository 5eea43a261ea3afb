"""Every event that came has gone somewhere; one that is lost, doubled or counted twice is an imbalance."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge import pipeline
from bridge.audit import Audit
from bridge.errors import Rejected
from bridge.intake import Intake
from bridge.journal import Journal, Limits, open_journal
from bridge.ledger import Account, Ledger, restored
from bridge.message import Message
from bridge.metrics import Catalogue
from bridge.pipeline import Delivery
from bridge.portos.backlog import Backlog
from bridge.portos.memory import VersionMemory
from bridge.ports import Outcome
from bridge.scope import Scope
from bridge.source import Batch, SourceActivity, Unreadable
from tests.support import until
from tests.unit.journal.conftest import messages
from tests.unit.loops import kept, link, value
from tests.unit.test_intake import seeing

LIMITS = Limits(60 * 2**20, 2**20, 100, 0.02)
SPOILT = Unreadable("json", "cut", b"{", 1.0)


def test_what_came_has_gone_somewhere() -> None:
    ledger = Ledger(received=20, generated=1, filtered=2, duplicate=3, invalid=1, dropped=4)
    ledger.sinks["kafka"] = Account(delivered=6, dead_lettered=1, skipped=1)

    assert ledger.imbalances(11, {"kafka": 8}) == {"intake": 0, "kafka": 0}
    assert ledger.imbalances(10, {"kafka": 9}) == {"intake": 1, "kafka": 1}


@pytest.mark.parametrize(
    ("name", "record", "accepted", "begins", "settled", "imbalances"),
    [
        ("a new journal", None, 0, {"kafka": 0}, {}, {"intake": 0, "kafka": 0}),
        ("one without a ledger", None, 90, {"kafka": 70}, {"kafka": 70}, {"intake": 0, "kafka": 0}),
        ("as it was recorded", (50, {"kafka": 40}), 50, {"kafka": 40}, {"kafka": 40}, {"intake": 0, "kafka": 0}),
        ("a little further on", (50, {"kafka": 40}), 58, {"kafka": 44}, {"kafka": 44}, {"intake": 0, "kafka": 0}),
        ("a sink that was away", (50, {"kafka": 40}), 50, {"kafka": 45}, {"kafka": 40}, {"intake": 0, "kafka": 0}),
        ("one that did nothing since", (50, {"mqtt": 45}), 50, {"mqtt": 45}, {"mqtt": 20}, {"intake": 0, "mqtt": 0}),
        ("one that was away again", (50, {"mqtt": 30}), 50, {"mqtt": 45}, {"mqtt": 20}, {"intake": 0, "mqtt": 0}),
        ("a sink that is new", (50, {}), 50, {"mqtt": 30}, {}, {"intake": 0, "mqtt": 0}),
        ("the tail is lost", (50, {"kafka": 40}), 47, {"kafka": 40}, {"kafka": 40}, {"intake": 3, "kafka": 0}),
        ("a cursor went back", (50, {"kafka": 40}), 50, {"kafka": 37}, {"kafka": 37}, {"intake": 0, "kafka": -3}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_restart_goes_on_with_the_ledger(
    name: str,
    record: tuple[int, dict[str, int]] | None,
    accepted: int,
    begins: dict[str, int],
    settled: dict[str, int],
    imbalances: dict[str, int],
) -> None:
    """What was accepted after the record is taken over; a journal that holds less than its record has lost it."""
    written = None
    if record is not None:
        before, cursors = record
        sinks = {sink: Account(delivered=cursor) for sink, cursor in cursors.items()}
        written = Ledger(received=before + 5, duplicate=5, sinks=sinks).record(before, cursors)

    ledger = restored(written, accepted, begins, settled)

    assert ledger.imbalances(accepted, begins) == imbalances, name


class Stage:
    """A hub whose notifications pass the real queue, the real intake, the real journal and the real delivery."""

    def __init__(self, journal: Journal, catalogue: Catalogue) -> None:
        self.journal = journal
        self.catalogue = catalogue
        self.activity = SourceActivity()
        self.backlog = Backlog(2**20, 1000, self.activity)
        self.audit = Audit(journal, catalogue)

    @asynccontextmanager
    async def hub(self) -> AsyncIterator["Stage"]:
        yield self

    async def batches(self) -> AsyncIterator[Batch]:
        yield Batch((), proved_at=1.0)
        while (batch := await self.backlog.take()) is not None:
            yield batch
        await asyncio.Event().wait()

    def say(self, *items: Message | Unreadable) -> None:
        self.activity.received += len(items)
        self.backlog.put(items)

    @asynccontextmanager
    async def broker(self) -> AsyncIterator["Stage"]:
        yield self

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        refused = Rejected("too large", reason="too_large")
        return [refused if message.version == 3 else None for message in batch]

    async def play(self) -> Mapping[str, int]:
        """Let everything happen that an event can come to, wait until it has, and compare."""
        memory = VersionMemory("monotonic", "default", 60)
        intake = Intake(self.journal, self.catalogue, link("hub"), self.activity, memory, seeing(), Scope(["tickets"]))
        delivery = Delivery("kafka", self.journal, self.catalogue, link(), 10, 1)
        async with kept(link("hub"), self.hub, intake.read), kept(link(), self.broker, delivery.run):
            self.say(*messages(1, 5))
            self.say(SPOILT, *messages(4, 4))
            await until(lambda: self.activity.waiting == 0 and self.journal.head > 0, 5, "taken")
            await until(lambda: self.journal.cursor("kafka") >= self.journal.head, 5, "settled")
            self.audit.check()
        return {
            stage: int(value(self.catalogue, "ledger_imbalance_events", stage=stage)) for stage in ("intake", "kafka")
        }


@pytest.fixture
async def stage(tmp_path: Path, catalogue: Catalogue) -> AsyncIterator[Stage]:
    async with open_journal(tmp_path / "ledger.db", ["kafka"], 64 * 2**20, LIMITS) as journal:
        yield Stage(journal, catalogue)


async def test_it_balances_whatever_an_event_comes_to(stage: Stage) -> None:
    """Stored, repeated, unreadable, delivered, refused for good."""
    assert await stage.play() == {"intake": 0, "kafka": 0}

    ledger = stage.journal.ledger
    assert (ledger.received, ledger.duplicate, ledger.invalid) == (10, 2, 1)
    assert ledger.sinks["kafka"] == Account(delivered=6, dead_lettered=1)


async def test_what_a_full_journal_and_full_memory_cost_is_in_it(tmp_path: Path, catalogue: Catalogue) -> None:
    async with open_journal(tmp_path / "full.db", ["kafka"], 4 * 2**20, Limits(20_000, 2**20, 100, 0.02)) as journal:
        stage = Stage(journal, catalogue)
        stage.activity.received = stage.activity.dropped = 7
        memory = VersionMemory("monotonic", "default", 60)
        intake = Intake(journal, catalogue, link("hub"), stage.activity, memory, seeing(), Scope(["tickets"]))
        async with kept(link("hub"), stage.hub, intake.read):
            stage.say(*messages(1, 5, b"x" * 9000))
            await until(lambda: stage.activity.waiting == 0, 5, "taken")
            await until(lambda: journal.ledger.dropped == 12, 5, "dropped")

        assert journal.imbalances() == {"intake": 0, "kafka": 0}


async def test_what_nobody_fetched_before_a_connection_was_closed_never_came(stage: Stage) -> None:
    """The window that is told covers it; it is in no total."""
    stage.say(*messages(1, 5))
    stage.backlog.clear()
    stage.say(*messages(6, 1))

    assert stage.activity.abandoned == 5
    assert await stage.play() == {"intake": 0, "kafka": 0}


async def test_damaged_rows_are_passed_and_accounted_for(tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / "rot.db"
    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal:
        await journal.append(messages(1, 3))
        journal.ledger.received += 3
    db = sqlite3.connect(path)
    (rows,) = db.execute("SELECT rows FROM chunk").fetchone()
    db.execute("UPDATE chunk SET rows = ?", (rows[: len(rows) // 3 + 20],))
    db.commit()
    db.close()

    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal:
        stage = Stage(journal, catalogue)
        delivery = Delivery("kafka", journal, catalogue, link(), 10, 1)
        async with kept(link(), stage.broker, delivery.run):
            await until(lambda: journal.cursor("kafka") == 3, 5, "passed")

        account = journal.ledger.sinks["kafka"]
        assert (account.delivered, account.skipped) == (2, 1), "one event stands for two rows"
        assert journal.imbalances() == {"intake": 0, "kafka": 0}


Mutant = Callable[[pytest.MonkeyPatch], None]


def queue_loses_one(patch: pytest.MonkeyPatch) -> None:
    whole = Backlog.take

    async def take(self: Backlog) -> Batch | None:
        batch = await whole(self)
        return batch and Batch(batch.messages[1:], batch.unreadable)

    patch.setattr(Backlog, "take", take)


def queue_drops_one_on_the_way_in(patch: pytest.MonkeyPatch) -> None:
    whole = Backlog.put
    patch.setattr(Backlog, "put", lambda self, items: whole(self, items[1:]))


def journal_loses_one(patch: pytest.MonkeyPatch) -> None:
    whole = Journal.append

    async def append(self: Journal, batch: Sequence[Message], *rest: Any) -> bool:
        return await whole(self, batch[1:], *rest)

    patch.setattr(Journal, "append", append)


def journal_doubles_one(patch: pytest.MonkeyPatch) -> None:
    whole = Journal.append

    async def append(self: Journal, batch: Sequence[Message], *rest: Any) -> bool:
        return await whole(self, [*batch, *batch[:1]], *rest)

    patch.setattr(Journal, "append", append)


def repeats_are_dropped_uncounted(patch: pytest.MonkeyPatch) -> None:
    whole = Backlog.take

    async def take(self: Backlog) -> Batch | None:
        batch = await whole(self)
        return batch and Batch(list({message.id: message for message in batch.messages}.values()), batch.unreadable)

    patch.setattr(Backlog, "take", take)


def a_batch_is_taken_twice(patch: pytest.MonkeyPatch) -> None:
    whole = Intake._take

    async def take(self: Intake, batch: Batch) -> None:
        await whole(self, batch)
        await whole(self, batch)

    patch.setattr(Intake, "_take", take)


def a_page_is_counted_twice(patch: pytest.MonkeyPatch) -> None:
    whole = Delivery._count

    def count(self: Delivery, *rest: Any) -> None:
        whole(self, *rest)
        whole(self, *rest)

    patch.setattr(Delivery, "_count", count)


def a_cursor_passes_one_too_many(patch: pytest.MonkeyPatch) -> None:
    """What is settled and was never confirmed."""
    whole = pipeline.judge

    def judge(outcomes: Sequence[Outcome], *rest: Any) -> Any:
        return whole(outcomes[:-1] or outcomes, *rest)

    settle = Journal.settle

    async def one_more(self: Journal, sink: str, page: Any, count: int, buried: Any) -> None:
        await settle(self, sink, page, min(count + 1, len(page.seqs)), buried)

    patch.setattr(pipeline, "judge", judge)
    patch.setattr(Journal, "settle", one_more)


def a_dead_letter_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    whole = Delivery._count

    def count(self: Delivery, page: Any, verdict: Any, seconds: float) -> None:
        whole(self, page, verdict, seconds)
        self._account.dead_lettered -= len(verdict.buried)

    patch.setattr(Delivery, "_count", count)


@pytest.mark.parametrize(
    ("mutant", "stage_name"),
    [
        (queue_loses_one, "intake"),
        (queue_drops_one_on_the_way_in, "intake"),
        (journal_loses_one, "intake"),
        (journal_doubles_one, "intake"),
        (repeats_are_dropped_uncounted, "intake"),
        (a_batch_is_taken_twice, "intake"),
        (a_page_is_counted_twice, "kafka"),
        (a_cursor_passes_one_too_many, "kafka"),
        (a_dead_letter_is_forgotten, "kafka"),
    ],
)
async def test_a_bug_in_any_stage_trips_the_gauge(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, mutant: Mutant, stage_name: str
) -> None:
    mutant(monkeypatch)

    imbalances = await stage.play()

    assert imbalances[stage_name] != 0
    assert f"the ledger of {stage_name} does not balance" in caplog.text


async def test_a_bug_is_not_forgotten_by_a_restart(tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / "again.db"
    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal:
        await journal.append(messages(1, 3))  # which nobody has received

    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal:
        assert journal.imbalances() == {"intake": -3, "kafka": 0}
        Audit(journal, catalogue).check()

    assert value(catalogue, "ledger_imbalance_events", stage="intake") == -3


async def test_an_imbalance_is_logged_once_and_again_when_it_changes(
    journal: Journal, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    audit = Audit(journal, catalogue)
    journal.ledger.received += 3

    audit.check()
    audit.check()
    journal.ledger.received += 1
    audit.check()

    logged = [record.args for record in caplog.records if record.name == "bridge.audit"]
    assert logged == [("intake", 3), ("intake", 4)]
    assert audit.unbalanced == ["intake"]


def copy_of(folder: Path) -> None:
    """Copy the journal as a kill would leave it."""
    for file in folder.glob("killed.db*"):
        (folder / file.name.replace("killed", "copy")).write_bytes(file.read_bytes())


async def test_a_kill_leaves_it_balanced(tmp_path: Path, catalogue: Catalogue) -> None:
    """The ledger on disk is a little older than the journal: at every moment the two fit together."""
    path = tmp_path / "killed.db"
    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal:
        stage = Stage(journal, catalogue)
        await stage.play()
        await journal.append(messages(50, 4))
        await journal._writer.call(lambda store: store._db.execute("PRAGMA wal_checkpoint(FULL)").fetchall())
        copy_of(tmp_path)

    async with open_journal(tmp_path / "copy.db", ["kafka"], 64 * 2**20, LIMITS) as copied:
        assert copied.head == 11
        assert copied.imbalances() == {"intake": 0, "kafka": 0}


@asynccontextmanager
async def killed(tmp_path: Path, do: Callable[[Journal], Awaitable[object]]) -> AsyncIterator[Journal]:
    """Open what a kill leaves after something was done to a journal that three of five events were stored in."""
    async with open_journal(tmp_path / "killed.db", ["kafka"], 64 * 2**20, LIMITS) as journal:
        journal.ledger.received, journal.ledger.duplicate = 5, 2
        await journal.append(messages(1, 3))
        await do(journal)
        await journal._writer.call(lambda store: store._db.execute("PRAGMA wal_checkpoint(FULL)").fetchall())
        copy_of(tmp_path)
    async with open_journal(tmp_path / "copy.db", ["kafka"], 64 * 2**20, LIMITS) as copied:
        yield copied


async def test_what_became_of_events_is_recorded_with_their_deletion(tmp_path: Path) -> None:
    """The journal alone cannot tell it any more."""

    async def settle(journal: Journal) -> None:
        page = await journal.read("kafka", 3)
        journal.ledger.sinks["kafka"].delivered, journal.ledger.sinks["kafka"].dead_lettered = 2, 1
        await journal.settle("kafka", page, 3, {})
        await journal._recorder.all_written()

    async with killed(tmp_path, settle) as copied:
        assert (copied.ledger.received, copied.ledger.duplicate) == (5, 2)
        assert copied.ledger.sinks["kafka"] == Account(delivered=2, dead_lettered=1)


async def test_what_became_of_events_is_recorded_with_a_proof(tmp_path: Path) -> None:
    """A proof says that all is accounted for up to its moment, also of what was not stored."""

    async def prove(journal: Journal) -> None:
        journal.prove(5.0)
        await journal._recorder.all_written()

    async with killed(tmp_path, prove) as copied:
        assert copied.previous.proved_at == 5.0
        assert (copied.ledger.received, copied.ledger.duplicate) == (5, 2)


async def test_a_sink_that_settles_nothing_is_counted_once_however_often_it_starts(tmp_path: Path) -> None:
    """It begins behind what was settled and deleted before it came, and its place has no row of its own yet."""
    path = tmp_path / "j.db"
    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal:
        journal.ledger.received = 20
        for first in (1, 11):
            await journal.append(messages(first, 10))
        page = await journal.read("kafka", 20)
        journal.ledger.sinks["kafka"].delivered += 20
        await journal.settle("kafka", page, 20, {})

    for _ in range(3):
        async with open_journal(path, ["kafka", "mqtt"], 64 * 2**20, LIMITS) as journal:
            assert not any(journal.imbalances().values())
            assert journal.ledger.sinks["mqtt"] == Account(skipped=20)


async def test_what_a_sink_missed_while_it_was_off_is_counted_once(tmp_path: Path) -> None:
    """Its place on disk stays behind what was deleted, until it settles something."""
    path = tmp_path / "j.db"

    async def settled(sinks: Sequence[str], count: int) -> None:
        async with open_journal(path, sinks, 64 * 2**20, LIMITS) as journal:
            journal.ledger.received += count
            await journal.append(messages(journal.head + 1, count))
            for sink in sinks:
                page = await journal.read(sink, count)
                journal.ledger.sinks[sink].delivered += count
                await journal.settle(sink, page, count, {})

    await settled(["kafka", "mqtt"], 10)
    await settled(["kafka"], 20)

    for _ in range(3):
        async with open_journal(path, ["kafka", "mqtt"], 64 * 2**20, LIMITS) as journal:
            assert not any(journal.imbalances().values())
            assert journal.ledger.sinks["mqtt"] == Account(skipped=30)
