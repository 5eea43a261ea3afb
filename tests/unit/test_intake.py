"""What a source has read: stored before it is acknowledged, told of where something may be missing."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.blind import Sight, Window
from bridge.errors import Unavailable
from bridge.intake import Intake
from bridge.journal import Journal, Limits, Previous, open_journal
from bridge.journal.store import NoRoom, Store
from bridge.ledger import Ledger
from bridge.link import Link
from bridge.message import GAP_DETECTED, LICENCE_ACTIVATED, RESYNC_REQUIRED, Message, rfc3339
from bridge.metrics import Catalogue
from bridge.portos.memory import Mode, VersionMemory
from bridge.scope import Minimisation, Scope
from bridge.source import Batch, SourceActivity, Unreadable
from tests.support import until
from tests.unit.journal.conftest import messages
from tests.unit.loops import kept, link, value
from tests.unit.portos.changes import change, told

AS_IT_CAME = Minimisation()
LOST = Unavailable("gone", reason="server_close", at_once=True)


@dataclass
class Hub:
    """A source that yields a script of batches, is lost where the script says so, and notes when it was resumed."""

    script: list[Batch | Unavailable]
    journal: Journal
    activity: SourceActivity = field(default_factory=SourceActivity)
    heads: list[int] = field(default_factory=list)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["Hub"]:
        yield self

    async def batches(self) -> AsyncIterator[Batch]:
        yield Batch((), proved_at=time.time())
        while self.script:
            batch = self.script.pop(0)
            if isinstance(batch, Unavailable):
                raise batch
            self.activity.received += len(batch.messages) + len(batch.unreadable)
            yield batch
            self.heads.append(self.journal.head)
        await asyncio.Event().wait()


class Feed:
    """A source that says what the test tells it, over one connection after another, and waits until it is stored."""

    def __init__(self, activity: SourceActivity) -> None:
        self._activity = activity
        self._batches: asyncio.Queue[Batch] = asyncio.Queue()
        self.connections = 0

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["Feed"]:
        self.connections += 1
        yield self

    async def batches(self) -> AsyncIterator[Batch]:
        while True:
            batch = await self._batches.get()
            self._activity.received += len(batch.messages) + len(batch.unreadable)
            yield batch
            self._batches.task_done()

    async def said(self, batch: Batch) -> None:
        self._batches.put_nowait(batch)
        await asyncio.wait_for(self._batches.join(), 5)


TICKETS = Scope(["tickets"])
LARGE_LICENCE = msgspec.structs.replace(
    change(1, body=b"x" * 300_000), event=LICENCE_ACTIVATED, resource=None, resource_id=None, version=None, action=None
)
"""What is not shed, since it is no change."""


def seeing() -> Sight:
    """Make one that is not blind, so that nothing has to be told."""
    sight = Sight(None, "stopped")
    sight.told(Window(None, 0.0, "first_start"))
    return sight


@asynccontextmanager
async def taking_in(
    journal: Journal,
    catalogue: Catalogue,
    hub: Hub,
    activity: SourceActivity,
    sight: Sight | None = None,
    minimisation: Minimisation = AS_IT_CAME,
    mode: Mode = "monotonic",
    scope: Scope = TICKETS,
) -> AsyncIterator[Link]:
    state, hub.activity = link("hub"), activity
    memory, sees = VersionMemory(mode, "default", 60), sight or seeing()
    intake = Intake(journal, catalogue, state, activity, memory, sees, scope, minimisation)
    async with kept(state, hub.connect, intake.read):
        yield state


async def test_resuming_is_acknowledging(journal: Journal, catalogue: Catalogue) -> None:
    """The source goes on only when its batch is on disk."""
    hub = Hub([Batch(messages(1, 5)), Batch(messages(6, 3))], journal)

    async with taking_in(journal, catalogue, hub, SourceActivity()):
        await until(lambda: len(hub.heads) == 2, 5, "both batches")

    assert hub.heads == [5, 8]
    assert value(catalogue, "events_accepted_total", site="default") == 8
    assert value(catalogue, "events_received_total", site="default", resource="tickets", action="updated") == 8


async def test_the_size_of_all_that_is_stored_is_known(journal: Journal, catalogue: Catalogue) -> None:
    """Also of the bridge's own events, here that of the first start: as many as are accepted."""
    stored = messages(1, 3)
    hub = Hub([Batch(stored)], journal)
    catalogue.watch(SourceActivity(), lambda: defaultdict(float), lambda _: (0, 0, 0.0), lambda _: defaultdict(int))

    async with taking_in(journal, catalogue, hub, SourceActivity(), Sight(None, "first_start")):
        await until(lambda: len(hub.heads) == 1, 5, "the batch")

    assert value(catalogue, "events_accepted_total", site="default") == 4
    assert value(catalogue, "event_bytes_count", site="default") == 4
    assert value(catalogue, "event_bytes_sum", site="default") > sum(len(message.body) for message in stored)


async def test_a_connection_that_is_read_ends_a_hold(journal: Journal, catalogue: Catalogue) -> None:
    """Whoever was called because of it can see that it is over."""
    held = Unavailable("a right is missing", reason="forbidden", hold=True)
    hub = Hub([held, Batch(messages(1, 1))], journal)

    async with taking_in(journal, catalogue, hub, SourceActivity()) as state:
        await until(lambda: len(hub.heads) == 1, 5, "read again")

        assert state.last_error == "a right is missing"
        assert not state.held


async def test_exact_repeats_are_dropped_and_counted(journal: Journal, catalogue: Catalogue) -> None:
    again = messages(1, 3)
    hub = Hub([Batch(again), Batch([*again, *messages(4, 1)])], journal)

    async with taking_in(journal, catalogue, hub, SourceActivity()):
        await until(lambda: len(hub.heads) == 2, 5, "both batches")

    assert journal.head == 4
    assert value(catalogue, "events_duplicate_total", site="default", kind="exact") == 3
    assert value(catalogue, "events_accepted_total", site="default") == 4


async def test_unreadable_records_are_counted_once_and_kept(journal: Journal, catalogue: Catalogue) -> None:
    hub = Hub([Batch(messages(1, 1), [Unreadable("json", "cut", b"{", 1.0)]), Batch((), [])], journal)

    async with taking_in(journal, catalogue, hub, SourceActivity()):
        await until(lambda: len(hub.heads) == 2, 5, "both batches")

    kept = journal._writer.call(lambda store: store._db.execute("SELECT sink, data FROM dead_letter").fetchall())
    assert await kept == [("source", b"{")]
    assert journal.head == 1
    assert value(catalogue, "events_invalid_total", site="default", reason="json") == 1


async def test_what_is_left_out_is_received_and_filtered_and_nothing_else(
    journal: Journal, catalogue: Catalogue
) -> None:
    """It is no repeat either, and the ledger balances over it."""
    sent = messages(1, 5)
    hub = Hub([Batch([*sent, sent[0]], proved_at=1.0), Batch([sent[3]])], journal)
    less = Minimisation(filtered=lambda message: "id" if (message.version or 0) % 2 == 0 else None)

    async with taking_in(journal, catalogue, hub, SourceActivity(), minimisation=less):
        await until(lambda: len(hub.heads) == 2, 5, "both batches")

    assert hub.heads == [3, 3]
    assert value(catalogue, "events_received_total", site="default", resource="tickets", action="updated") == 7
    assert value(catalogue, "events_filtered_total", site="default", reason="id") == 3
    assert value(catalogue, "events_duplicate_total", site="default", kind="exact") == 1
    assert (journal.ledger.filtered, journal.imbalances()["intake"]) == (3, 0)


async def test_what_is_stored_is_reduced_and_what_is_a_repeat_is_judged_by_the_original(
    journal: Journal, catalogue: Catalogue
) -> None:
    """Two notifications that differ only in what is redacted are two, and the journal has neither's secret."""
    first, second = messages(1, 1, b"c4nary-1"), messages(1, 1, b"c4nary-2")
    hub = Hub([Batch(first), Batch(second), Batch([*second, *messages(2, 1)])], journal)
    less = Minimisation(reduced=lambda message: msgspec.structs.replace(message, body=b"{}"))

    async with taking_in(journal, catalogue, hub, SourceActivity(), minimisation=less, mode="off"):
        await until(lambda: len(hub.heads) == 3, 5, "all batches")

    page = await journal.read("kafka", 10)
    assert [(message.id, message.body) for message in page.messages] == [
        (message.id, b"{}") for message in (*first, *second, *messages(2, 1))
    ]
    assert value(catalogue, "events_duplicate_total", site="default", kind="exact") == 1


async def test_an_unreadable_record_is_shortened_before_it_is_stored_or_told(
    journal: Journal, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    hub = Hub([Batch([], [Unreadable("json", "c4nary", b"c4nary", 1.0)]), Batch(())], journal)
    less = Minimisation(shortened=lambda record: Unreadable(record.reason, "short", b"", record.received_at))

    async with taking_in(journal, catalogue, hub, SourceActivity(), minimisation=less):
        await until(lambda: len(hub.heads) == 2, 5, "both batches")

    kept = journal._writer.call(lambda store: store._db.execute("SELECT error, data FROM dead_letter").fetchall())
    assert await kept == [("short", b"")]
    assert value(catalogue, "events_invalid_total", site="default", reason="json") == 1
    assert "c4nary" not in caplog.text


async def test_what_the_full_journal_does_not_take_is_counted_and_told_once(
    tmp_path: Path, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limits(10_000, 2**20, 100, 0.02)
    async with open_journal(tmp_path / "full.db", ["kafka"], 4 * 2**20, limits) as journal:
        hub = Hub([Batch(messages(1, 5, b"x" * 9000)) for _ in range(3)], journal)

        async with taking_in(journal, catalogue, hub, SourceActivity(dropped=4)):
            await until(lambda: len(hub.heads) == 3, 5, "all batches")

    assert journal.head == 0
    assert value(catalogue, "events_dropped_total", site="default", reason="journal_full") == 15
    assert value(catalogue, "events_dropped_total", site="default", reason="memory_full") == 4
    assert sum("the journal is full" in record.message for record in caplog.records) == 1
    assert "look at the sinks, or raise JOURNAL__MAX_BYTES" in caplog.text


async def test_where_the_volume_is_the_limit_that_is_to_be_larger(
    tmp_path: Path, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is sent to a variable that would change nothing."""
    async with open_journal(tmp_path / "j.db", ["kafka"], 4 * 2**20, Limits(10_000, 2**20, 100, 0.02)) as journal:
        journal.room.growth = "make the volume of /data larger"
        hub = Hub([Batch(messages(1, 5, b"x" * 9000))], journal)

        async with taking_in(journal, catalogue, hub, SourceActivity()):
            await until(lambda: len(hub.heads) == 1, 5, "the batch")

    assert "look at the sinks, or make the volume of /data larger" in caplog.text
    assert "MAX_BYTES" not in caplog.text


@pytest.mark.parametrize("blocks", [False, True])
async def test_a_full_file_system_is_not_blamed_on_the_sinks(
    tmp_path: Path, catalogue: Catalogue, caplog: pytest.LogCaptureFixture, *, blocks: bool
) -> None:
    """Neither they nor a larger journal would help; what would is said by the journal."""
    limits = Limits(2**20, 2**20, 100, 0.02, blocks)
    async with open_journal(tmp_path / "j.db", ["kafka"], 4 * 2**20, limits) as journal:
        with pytest.MonkeyPatch.context() as disk:
            disk.setattr(Store, "write", _full)
            hub = Hub([Batch(messages(1, 5)), Batch(messages(6, 5))], journal)
            async with taking_in(journal, catalogue, hub, SourceActivity()):
                said = "the hub has to wait" if blocks else "notifications are lost"
                await until(lambda: said in caplog.text, 5, "it is told")

    assert f"file system is full ({tmp_path}): notifications are lost until there is room" in caplog.text
    assert "look at the sinks" not in caplog.text


def _full(*_: object) -> None:
    raise NoRoom(disk=True)


async def test_what_the_full_journal_refused_is_no_repeat_when_it_comes_again(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    """A hub that sends it again after a reconnect gives a second chance."""
    limits = Limits(200_000, 2**20, 100, 0.02)
    async with open_journal(tmp_path / "full.db", ["kafka"], 4 * 2**20, limits) as journal:
        hub = Hub([Batch([*messages(1, 5), LARGE_LICENCE]), Batch(messages(1, 1))], journal)

        async with taking_in(journal, catalogue, hub, SourceActivity()):
            await until(lambda: len(hub.heads) == 2, 5, "both batches")

        assert await stream(journal) == ["shed", 1]


async def test_from_seven_eighths_on_what_comes_is_stored_without_its_body_and_told_as_a_gap(
    tmp_path: Path, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of the stream is lost but bodies: which change it was is known, and the ledger balances over it."""
    limits = Limits(400_000, 2**20, 100, 0.02)
    async with open_journal(tmp_path / "full.db", ["kafka"], 4 * 2**20, limits) as journal:
        whole, short = (messages(first, 30, b"x" * 9000) for first in (1, 31))
        hub = Hub([Batch(whole), Batch(short)], journal)

        async with taking_in(journal, catalogue, hub, SourceActivity()):
            await until(lambda: len(hub.heads) == 2, 5, "both batches")

            assert value(catalogue, "events_dropped_total", site="default", reason="journal_full") == 30
            assert value(catalogue, "gaps_total", site="default", cause="shed") == 30
            assert value(catalogue, "events_generated_total", site="default", type="gap_detected") == 30
            assert value(catalogue, "events_accepted_total", site="default") == 60
            assert (journal.ledger.received, journal.ledger.dropped, journal.ledger.generated) == (60, 30, 30)
            assert set(journal.imbalances().values()) == {0}

            page = await journal.read("kafka", 100)
            assert [message.event for message in page.messages[30:]] == [GAP_DETECTED] * 30
            assert [msgspec.json.decode(m.body)["toVersion"] for m in page.messages[30:]] == list(range(31, 61))

    assert sum("nearly full" in record.message for record in caplog.records) == 1


async def test_the_ledger_that_is_recorded_with_what_was_shed_balances(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill right after that transaction must not leave an imbalance for ever."""
    limits = Limits(400_000, 2**20, 100, 0.02)
    async with open_journal(tmp_path / "full.db", ["kafka"], 4 * 2**20, limits) as journal:
        recorded: list[Mapping[str, int]] = []
        write = Ledger.record
        hub = Hub([Batch(messages(first, 30, b"x" * 9000), proved_at=float(first)) for first in (1, 31)], journal)

        def record(ledger: Ledger, accepted: int, cursors: Mapping[str, int]) -> bytes:
            recorded.append(ledger.imbalances(accepted, cursors))
            return write(ledger, accepted, cursors)

        monkeypatch.setattr(Ledger, "record", record)
        async with taking_in(journal, catalogue, hub, SourceActivity()):
            await until(lambda: len(hub.heads) == 2, 5, "both batches")

    assert recorded
    assert all(set(one.values()) == {0} for one in recorded)


async def test_a_full_journal_that_blocks_lets_the_source_wait_until_it_is_drained(
    tmp_path: Path, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is dropped or stored short, and the ledger balances meanwhile."""
    limits = Limits(400_000, 2**20, 100, 0.02, blocks_when_full=True)
    async with open_journal(tmp_path / "full.db", ["kafka"], 4 * 2**20, limits) as journal:
        batches = [messages(first, 20, b"x" * 9000) for first in range(1, 101, 20)]
        hub = Hub([*map(Batch, batches)], journal)

        async with taking_in(journal, catalogue, hub, SourceActivity()):
            await until(lambda: journal.room.full, 5, "full")
            assert set(journal.imbalances().values()) == {0}
            before = journal.head
            while journal.head < 100:
                page = await asyncio.wait_for(journal.read("kafka", 10), 5)
                await journal.settle("kafka", page, len(page.messages), {})
            await until(lambda: len(hub.heads) == 5, 5, "all batches")

    assert before < 60
    assert value(catalogue, "events_dropped_total", site="default", reason="journal_full") == 0
    assert value(catalogue, "gaps_total", site="default", cause="shed") == 0
    assert any("the hub has to wait" in record.message for record in caplog.records)


async def test_what_a_journal_that_blocks_never_takes_is_not_waited_for(tmp_path: Path, catalogue: Catalogue) -> None:
    """More at once than the whole journal may hold would stop the intake for ever."""
    limits = Limits(200_000, 2**20, 100, 0.02, blocks_when_full=True)
    async with open_journal(tmp_path / "full.db", ["kafka"], 4 * 2**20, limits) as journal:
        hub = Hub([Batch([LARGE_LICENCE]), Batch(messages(1, 1))], journal)

        async with taking_in(journal, catalogue, hub, SourceActivity()):
            await until(lambda: len(hub.heads) == 2, 5, "both batches")

        assert await stream(journal) == ["shed", 1]


async def stream(journal: Journal) -> list[object]:
    """What the journal holds, in its order: versions of notifications, causes of windows."""
    page = await journal.read("kafka", 100)
    return [message.version or msgspec.json.decode(message.body)["cause"] for message in page.messages]


async def windows(journal: Journal) -> list[dict[str, Any]]:
    page = await journal.read("kafka", 100)
    return [msgspec.json.decode(message.body) for message in page.messages if message.event == RESYNC_REQUIRED]


async def test_what_was_missed_is_told_before_the_first_event_that_was_heard_after_it(
    journal: Journal, catalogue: Catalogue
) -> None:
    hub = Hub([Batch(messages(1, 2)), LOST, Batch(messages(3, 2))], journal)

    async with taking_in(journal, catalogue, hub, SourceActivity(), Sight(None, "stopped")):
        await until(lambda: len(hub.heads) == 2, 5, "both batches")

    assert await stream(journal) == ["first_start", 1, 2, "closed", 3, 4]
    first, second = await windows(journal)
    assert first["window"]["from"] is None
    assert first["resources"] == ["tickets"]
    assert second["window"]["from"] == first["window"]["to"]


async def test_a_window_begins_with_the_last_proof_and_ends_with_the_subscription(
    journal: Journal, catalogue: Catalogue
) -> None:
    now = time.time()
    hub = Hub([Batch(messages(1, 1), proved_at=now + 1), Batch((), proved_at=now + 2), LOST], journal)

    async with taking_in(journal, catalogue, hub, SourceActivity()):
        await until(lambda: journal.head == 2, 5, "the window")

    (window,) = await windows(journal)
    assert window["window"]["from"] == rfc3339(now + 2)
    assert window["window"]["to"] >= window["window"]["from"]
    assert value(catalogue, "source_blind_windows_total", site="default", cause="closed") == 1
    assert value(catalogue, "events_generated_total", site="default", type="resync_required") == 1


async def test_a_hub_that_says_nothing_after_an_outage_leaves_the_window_not_untold(
    journal: Journal, catalogue: Catalogue
) -> None:
    hub = Hub([], journal)

    async with taking_in(journal, catalogue, hub, SourceActivity(), Sight(40.0, "unclean_start")):
        await until(lambda: journal.head == 1, 5, "told")

    assert await stream(journal) == ["unclean_start"]


@pytest.mark.parametrize("heard", [0, 1], ids=["pings", "events"])
async def test_a_proof_is_on_disk_while_the_hub_talks(tmp_path: Path, catalogue: Catalogue, heard: int) -> None:
    """After a kill the window begins there."""
    limits = Limits(60 * 2**20, 2**20, 100, 0.02)
    later = round(time.time()) + 60.0
    async with open_journal(tmp_path / "j.db", ["kafka"], 64 * 2**20, limits) as journal:
        hub = Hub([Batch(messages(1, heard), proved_at=later), Batch((), proved_at=later + 0.1)], journal)
        async with taking_in(journal, catalogue, hub, SourceActivity()):
            await until(lambda: len(hub.heads) == 2, 5, "both batches")
            stored = await journal._writer.call(lambda store: store.load())
            assert stored.proved_at == later  # not every one: a commit of its own costs

    async with open_journal(tmp_path / "j.db", ["kafka"], 64 * 2**20, limits) as journal:
        expected = Previous(clean=True, proved_at=later + 0.1, scope=TICKETS.recorded())
        assert journal.previous == expected  # an orderly end records the last


async def test_a_window_that_is_stored_is_not_told_again_after_a_kill(tmp_path: Path, catalogue: Catalogue) -> None:
    """The moment from which the next one counts is on disk by then."""
    limits = Limits(60 * 2**20, 2**20, 100, 0.02)
    async with open_journal(tmp_path / "j.db", ["kafka"], 64 * 2**20, limits) as journal:
        async with taking_in(journal, catalogue, Hub([], journal), SourceActivity(), Sight(40.0, "unclean_start")):
            await until(lambda: journal.head == 1, 5, "told")
            stored = await journal._writer.call(lambda store: store.load())
        (told,) = await windows(journal)

    assert stored.clean is False
    assert stored.proved_at is not None
    assert rfc3339(stored.proved_at) == told["window"]["to"]


async def told_after_a_restart(
    path: Path, catalogue: Catalogue, before: Scope, now: Scope
) -> list[tuple[str, str | None, list[str]]]:
    """Run with one scope and then with another; give cause, beginning and resources of the windows told then."""
    limits = Limits(60 * 2**20, 2**20, 100, 0.02)
    for scope in (before, now):
        async with open_journal(path / "j.db", ["kafka"], 64 * 2**20, limits) as journal:
            head, previous = journal.head, journal.previous
            sight = Sight(previous.proved_at, "stopped")
            async with taking_in(journal, catalogue, Hub([], journal), SourceActivity(), sight, scope=scope):
                await until(lambda: journal.head > head, 5, "told")  # noqa: B023 - awaited here
            told = (await windows(journal))[head:]
    return [(window["cause"], window["window"]["from"], window["resources"]) for window in told]


async def test_a_resource_that_is_subscribed_anew_was_never_heard(tmp_path: Path, catalogue: Catalogue) -> None:
    """Its window has no beginning; that of the others is no wider for it. So it is with an action more."""
    old, new = Scope(["tickets"]), Scope(["tickets", "orders"])

    (stopped, ever) = await told_after_a_restart(tmp_path, catalogue, old, new)

    assert stopped[0] == "stopped"
    assert stopped[1] is not None
    assert stopped[2] == ["tickets"]
    assert ever == ("first_start", None, ["orders"])
    assert value(catalogue, "events_generated_total", site="default", type="resync_required") == 3
    assert value(catalogue, "source_blind_windows_total", site="default", cause="first_start") == 2


async def test_an_action_that_is_subscribed_anew_was_never_heard_of_any_resource(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    old, new = Scope(["tickets"], ["updated"]), Scope(["tickets"], ["updated", "deleted"])

    assert await told_after_a_restart(tmp_path, catalogue, old, new) == [("first_start", None, ["tickets"])]


async def test_what_is_asked_for_counts_as_asked_from_when_its_window_is_told(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    """A restart before that has it told then."""
    limits = Limits(60 * 2**20, 2**20, 100, 0.02)
    await told_after_a_restart(tmp_path, catalogue, Scope(["tickets"]), Scope(["tickets"]))
    async with open_journal(tmp_path / "j.db", ["kafka"], 64 * 2**20, limits) as journal:
        memory, sight = VersionMemory("monotonic", "default", 60), Sight(40.0, "stopped")
        Intake(journal, catalogue, link("hub"), SourceActivity(), memory, sight, Scope(["tickets", "orders"]))
        stored = await journal._writer.call(lambda store: store.load())

    assert Scope(["tickets", "orders"]).unheard(stored.scope) == ["orders"]


WIDE, NARROW = Scope(["tickets"]), Scope(["tickets"], (), ["id:t1"])


def changed(name: str, version: int) -> Message:
    return change(version, resource_id=name)


def turned(intake: Intake, scope: Scope) -> None:
    """Have an intake keep what a scope says: it may exclude an id."""
    ids = {word.removeprefix("id:") for word in scope.excluded}
    steps = Minimisation(filtered=lambda message: "id" if message.resource_id in ids else None)
    intake.turn_to(scope, steps)


@asynccontextmanager
async def fed(journal: Journal, catalogue: Catalogue, scope: Scope) -> AsyncIterator[tuple[Intake, Feed]]:
    """An intake that sees, and what the hub says to it, one batch after another over the same connection."""
    activity = SourceActivity()
    memory, feed = VersionMemory("monotonic", "default", 60), Feed(activity)
    intake = Intake(journal, catalogue, link("hub"), activity, memory, Sight(None, "stopped"), scope)
    turned(intake, scope)
    async with kept(link("hub"), feed.connect, intake.read):
        await feed.said(Batch((), proved_at=time.time()))
        yield intake, feed


async def test_what_is_left_out_changes_between_two_batches(journal: Journal, catalogue: Catalogue) -> None:
    """Over the same connection, and each batch is what its moment makes of it."""
    async with fed(journal, catalogue, WIDE) as (intake, feed):
        await feed.said(Batch([changed("t1", 1), changed("t2", 1)]))
        turned(intake, NARROW)
        await feed.said(Batch([changed("t1", 2), changed("t2", 2)]))
        turned(intake, WIDE)
        await feed.said(Batch([changed("t1", 3), changed("t2", 3)]))

    assert feed.connections == 1
    assert await stream(journal) == ["first_start", 1, 1, 2, "first_start", 3, 3]
    assert value(catalogue, "events_filtered_total", site="default", reason="id") == 1
    assert set(journal.imbalances().values()) == {0}


async def test_what_is_kept_anew_was_never_heard_before(journal: Journal, catalogue: Catalogue) -> None:
    """As it is told after a restart; the bridge was blind for no second, and leaving out more tells nothing."""
    async with fed(journal, catalogue, NARROW) as (intake, feed):
        turned(intake, WIDE)
        await feed.said(Batch((), proved_at=time.time()))
        turned(intake, NARROW)
        await feed.said(Batch((), proved_at=time.time()))

        _, told = await windows(journal)
        assert (told["cause"], told["window"]["from"], told["resources"]) == ("first_start", None, ["tickets"])
    assert value(catalogue, "source_blind_seconds_total", site="default") == 0
    assert value(catalogue, "source_blind_windows_total", site="default", cause="first_start") == 2


@pytest.mark.parametrize("heard", [0, 1], ids=["nothing comes", "something is kept"])
async def test_what_is_left_out_is_on_disk_with_the_first_proof(
    journal: Journal, catalogue: Catalogue, heard: int
) -> None:
    """A kill must not hide it: whoever keeps it again is told that it was left out until then."""
    async with fed(journal, catalogue, WIDE) as (intake, feed):
        turned(intake, NARROW)
        await feed.said(Batch([changed("t1", 1), *[changed("t2", 1)][:heard]], proved_at=time.time() + 60))
        stored = await journal._writer.call(lambda store: store.load())

    assert stored.scope == NARROW.recorded()
    assert list(WIDE.unheard(stored.scope)) == ["tickets"]


async def test_what_is_left_out_is_on_disk_where_a_connection_ends_before_a_proof_is_due(
    journal: Journal, catalogue: Catalogue
) -> None:
    """The last proof of a connection covers what was left out, so it says that it was."""
    async with fed(journal, catalogue, WIDE) as (intake, feed):
        turned(intake, NARROW)
        await feed.said(Batch([changed("t1", 1)], proved_at=intake._recorded_at + 0.1))
        before = await journal._writer.call(lambda store: store.load())

    stored = await journal._writer.call(lambda store: store.load())
    assert before.scope == WIDE.recorded()
    assert stored.scope == NARROW.recorded()


async def test_the_end_of_a_window_is_recorded_with_it_also_where_no_other_proof_is_due(
    journal: Journal, catalogue: Catalogue
) -> None:
    """Between two commits a kill would have it told twice."""
    hub = Hub([LOST], journal)

    async with taking_in(journal, catalogue, hub, SourceActivity()):
        await until(lambda: journal.head == 1, 5, "the window")
        stored = await journal._writer.call(lambda store: store.load())

    (told,) = await windows(journal)
    assert stored.proved_at is not None
    assert rfc3339(stored.proved_at) == told["window"]["to"]


async def test_a_proof_that_is_taken_back_is_taken_back_on_disk(journal: Journal, catalogue: Catalogue) -> None:
    """A kill while the connection is doubted has the window begin where the doubt does."""
    later = round(time.time()) + 60.0
    hub = Hub([Batch((), proved_at=later), Batch((), proved_at=later - 3)], journal)

    async with taking_in(journal, catalogue, hub, SourceActivity()):
        await until(lambda: len(hub.heads) == 2, 5, "both batches")
        stored = await journal._writer.call(lambda store: store.load())

    assert stored.proved_at == later - 3


async def test_what_found_no_room_is_a_window(tmp_path: Path, catalogue: Catalogue) -> None:
    """What the full journal refuses is lost: the stream says from when, as soon as it takes anything again."""
    limits = Limits(200_000, 2**20, 100, 0.02)
    now = time.time() + 60
    async with open_journal(tmp_path / "full.db", ["kafka"], 4 * 2**20, limits) as journal:
        hub = Hub(
            [Batch(messages(1, 1), proved_at=now), Batch([*messages(2, 5), LARGE_LICENCE], proved_at=now + 1)], journal
        )
        hub.script.append(Batch((), proved_at=now + 2))
        async with taking_in(journal, catalogue, hub, SourceActivity()):
            await until(lambda: len(hub.heads) == 3, 5, "all batches")

        assert await stream(journal) == [1, "shed"]
        assert (await windows(journal))[0]["window"]["from"] == rfc3339(now)


async def test_stale_changes_are_dropped_and_counted_apart(journal: Journal, catalogue: Catalogue) -> None:
    hub = Hub([Batch([change(1), change(2), change(1), change(2)])], journal)

    async with taking_in(journal, catalogue, hub, SourceActivity()):
        await until(lambda: len(hub.heads) == 1, 5, "the batch")

    assert journal.head == 2
    assert value(catalogue, "events_duplicate_total", site="default", kind="stale") == 1
    assert value(catalogue, "events_duplicate_total", site="default", kind="exact") == 1
    assert set(journal.imbalances().values()) == {0}


async def test_gaps_and_their_ends_are_told_in_the_stream_and_counted(journal: Journal, catalogue: Catalogue) -> None:
    """Directly before the event that shows one, and directly behind the one that fills it."""
    first, second = [change(1), change(4), change(5)], [change(3), change(2), change(6)]
    hub = Hub([Batch(first), Batch(second)], journal)

    async with taking_in(journal, catalogue, hub, SourceActivity(), mode="contiguous"):
        await until(lambda: len(hub.heads) == 2, 5, "both batches")

    page = await journal.read("kafka", 100)
    assert told(page.messages) == [
        *(1, ("version", 1, 4, 2, 3), (4, ("gapfrom", "1")), 5),
        *(3, 2, ("late", 1, 4), 6),
    ]
    assert value(catalogue, "gaps_total", site="default", cause="version") == 1
    assert value(catalogue, "gap_missing_events_total", site="default", resource="tickets") == 2
    assert value(catalogue, "events_generated_total", site="default", type="gap_detected") == 1
    assert value(catalogue, "events_generated_total", site="default", type="gap_closed") == 1
    assert value(catalogue, "events_accepted_total", site="default") == 8
    assert set(journal.imbalances().values()) == {0}


async def test_a_jump_over_a_window_names_the_window_before_it(journal: Journal, catalogue: Catalogue) -> None:
    hub = Hub([Batch([change(1)]), LOST, Batch([change(3)])], journal)

    async with taking_in(journal, catalogue, hub, SourceActivity(), mode="contiguous"):
        await until(lambda: len(hub.heads) == 2, 5, "both batches")

    _, resync, gap, _ = (await journal.read("kafka", 100)).messages
    data = msgspec.json.decode(gap.body)
    assert data["window"] == msgspec.json.decode(resync.body)["window"]["id"] == resync.id
    assert data["cause"] == "window"
    assert value(catalogue, "gaps_total", site="default", cause="window") == 1


async def test_what_the_full_journal_refused_is_a_gap_that_names_its_window(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    """Neither the refused event nor the gap that it showed was told: both are forgotten, and told later."""
    limits = Limits(200_000, 2**20, 100, 0.02)
    async with open_journal(tmp_path / "full.db", ["kafka"], 4 * 2**20, limits) as journal:
        large = [*map(change, (3, 4, 5)), LARGE_LICENCE]
        hub = Hub([Batch([change(1)]), Batch(large), Batch([change(6)])], journal)

        async with taking_in(journal, catalogue, hub, SourceActivity(), mode="contiguous"):
            await until(lambda: len(hub.heads) == 3, 5, "all batches")

        one, resync, *rest = (await journal.read("kafka", 100)).messages
        assert told([one, *rest]) == [1, ("window", 1, 6, 2, 3, 4, 5), (6, ("gapfrom", "1"))]
        assert msgspec.json.decode(rest[0].body)["window"] == resync.id
        assert value(catalogue, "events_dropped_total", site="default", reason="journal_full") == 4
        assert value(catalogue, "events_generated_total", site="default", type="gap_detected") == 1
        assert value(catalogue, "gap_missing_events_total", site="default", resource="tickets") == 4
        assert set(journal.imbalances().values()) == {0}


async def test_what_is_reduced_is_the_hubs_and_not_what_is_told_of_it(journal: Journal, catalogue: Catalogue) -> None:
    hub = Hub([Batch([change(1), change(3), change(2)])], journal)
    less = Minimisation(reduced=lambda message: msgspec.structs.replace(message, body=b'{"reduced":1}'))

    async with taking_in(journal, catalogue, hub, SourceActivity(), minimisation=less, mode="contiguous"):
        await until(lambda: len(hub.heads) == 1, 5, "the batch")

    page = await journal.read("kafka", 10)
    assert told(page.messages) == [1, ("version", 1, 3, 2), (3, ("gapfrom", "1")), 2, ("late", 1, 3)]
    assert [message.body for message in page.messages if message.resource] == [b'{"reduced":1}'] * 3
