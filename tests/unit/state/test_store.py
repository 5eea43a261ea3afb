"""The state store: what is behind a publisher's place is the newest state of each resource, and never an older one."""

import asyncio
import logging
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from bridge.errors import Unavailable
from bridge.message import GAP_DETECTED, LICENCE_ACTIVATED, Message
from bridge.portos.gaps import body_shed, change_of
from bridge.state import store as module
from bridge.state.numbers import Numbers, Publication
from bridge.state.row import state_of
from bridge.state.store import StateStore
from bridge.state.table import Table
from tests.support import end_thread, until
from tests.unit.state.conftest import Opening, change, published, rows


async def feed(store: StateStore, *changes: Message, fed: int = 1, versioned: bool = True) -> None:
    await store.feed(rows(*changes, versioned=versioned), "journal", fed, 100.0)


def told(messages: list[Message]) -> list[tuple[str | None, int | None, bytes]]:
    return [(one.resource_id, one.version, one.body) for one in messages]


async def test_only_the_newest_of_each_resource_is_published_in_the_order_of_its_change(opening: Opening) -> None:
    async with opening() as store:
        await feed(store, change("a", 1), change("b", 1), change("a", 2))

        assert told(await published(store)) == [("b", 1, b'{"version":1}'), ("a", 2, b'{"version":2}')]
        assert await published(store) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_store_whose_thread_has_died_says_so(opening: Opening) -> None:
    async with opening() as store:
        assert store.alive
        await feed(store, change("a", 1))
        assert store.alive

        end_thread("state_0")
        asking = asyncio.create_task(store.fed())

        await until(lambda: not store.alive, 5, "it is missed")
        asking.cancel()


async def test_a_late_change_does_not_replace_a_newer_one(opening: Opening) -> None:
    """Neither in one batch, nor later, nor once the newer one is published."""
    async with opening() as store:
        await feed(store, change("a", 5), change("a", 4))
        await feed(store, change("a", 3))
        first = await published(store)
        await feed(store, change("a", 2))

        assert told(first) == [("a", 5, b'{"version":5}')]
        assert await published(store) == []


async def test_the_later_one_of_one_version_counts(opening: Opening) -> None:
    """A delete may bear the version of the last update."""
    async with opening() as store:
        await feed(store, change("a", 5), change("a", 5, "deleted"))

        assert told(await published(store)) == [("a", 5, b"")]


async def test_a_deleted_resource_is_not_brought_back_by_a_late_change(opening: Opening) -> None:
    async with opening() as store:
        await feed(store, change("a", 5, "deleted"))
        await feed(store, change("a", 4))

        assert told(await published(store)) == [("a", 5, b"")]


@pytest.mark.parametrize(
    "newer", [change("a", 1, reset=True), change("a", 1, at=62.0)], ids=["told by the memory", "told by the time"]
)
async def test_versions_that_begin_anew_replace_higher_ones(opening: Opening, newer: Message) -> None:
    """As the version memory says, or, where it had forgotten the resource, as the time of creation says."""
    async with opening() as store:
        await feed(store, change("a", 5, at=1.5))
        await feed(store, newer)
        await feed(store, change("a", 2, at=63.0))

        assert told(await published(store)) == [("a", 2, b'{"version":2}')]


async def test_a_late_change_with_a_slightly_newer_time_is_still_late(opening: Opening) -> None:
    """Clocks of a shop differ: what fills a gap may be stamped later than what showed it."""
    async with opening() as store:
        await feed(store, change("a", 5, at=1.5), change("a", 4, at=61.0))

        assert told(await published(store)) == [("a", 5, b'{"version":5}')]


async def test_without_versions_the_order_decides(opening: Opening) -> None:
    async with opening() as store:
        await feed(store, change("a", None, body=b"1"), change("a", None, body=b"2"))
        await feed(store, change("b", 5), change("b", 4), versioned=False)

        assert told(await published(store)) == [("a", None, b"2"), ("b", 4, b'{"version":4}')]


async def test_each_publisher_has_a_place_that_outlives_the_process(opening: Opening) -> None:
    async with opening() as store:
        await feed(store, change("a", 1), change("b", 1))
        await published(store, "kafka")
    async with opening() as store:
        await feed(store, change("c", 1))

        assert [one.resource_id for one in await published(store, "kafka")] == ["c"]
        assert [one.resource_id for one in await published(store, "mqtt")] == ["a", "b", "c"]


async def test_another_target_gets_all_states_again(opening: Opening) -> None:
    async with opening(kafka="portos.state.{resource}") as store:
        await feed(store, change("a", 1))
        await published(store)
    async with opening(kafka="shop.state.{resource}") as store:
        assert [one.resource_id for one in await published(store)] == ["a"]
    async with opening(kafka="shop.state.{resource}") as store:
        assert await published(store) == []


async def test_a_change_without_a_body_leaves_the_state_as_it_is(opening: Opening) -> None:
    """An empty publication would say that the resource is gone."""
    async with opening() as store:
        await feed(store, change("a", 1), change("a", 2, body=b""))

        assert told(await published(store)) == [("a", 1, b'{"version":1}')]


def test_of_changes_whose_bodies_are_shed_only_a_delete_is_a_state() -> None:
    """It needs no body; what any other was nobody knows any more, which its event tells."""
    updated, deleted = (body_shed(change("a", 7, action), "default") for action in ("updated", "deleted"))

    row = state_of(deleted, change_of, versioned=True)

    assert updated.event == GAP_DETECTED
    assert state_of(updated, change_of, versioned=True) is None
    assert row is not None
    assert row[:3] == ("tickets", "a", 7)


def test_what_is_about_no_resource_is_no_state() -> None:
    licence = Message("l", LICENCE_ACTIVATED, None, None, None, None, 1.0, None, 1.0, b"{}")

    assert state_of(licence, change_of, versioned=True) is None


async def test_lag_says_what_waits_and_since_when(opening: Opening) -> None:
    async with opening() as store:
        await feed(store, change("a", 1), change("b", 1))
        assert store.numbers.lag("kafka", 107.0) == (2, 7.0)

        await published(store)
        assert store.numbers.lag("kafka", 107.0) == (0, 0.0)
        assert store.numbers.lag("mqtt", 107.0) == (2, 7.0)
    async with opening() as store:
        await store.place("mqtt")
        assert store.numbers.lag("mqtt", 107.0) == (2, 7.0)


async def test_beyond_its_limit_the_oldest_that_all_have_published_are_forgotten(
    opening: Opening, caplog: pytest.LogCaptureFixture
) -> None:
    """One that nobody could get any more is never forgotten unpublished; it is said once."""
    caplog.set_level(logging.WARNING)
    body = b"x" * 20_000
    async with opening(max_bytes=2**20) as store:
        for number in range(100):
            await feed(store, change(f"t{number}", 1, body=body), fed=number)
            await published(store, "kafka")
            await published(store, "mqtt")
        place = await store.place("kafka")
        await store.settle(place, 0)
        left = [one.resource_id for one in await published(store)]

    assert left == [f"t{number}" for number in range(100 - len(left), 100)]
    assert 30 < len(left) < 60
    assert store.numbers.forgotten == 100 - len(left)
    assert caplog.text.count("STATE__MAX_BYTES") == 1


async def feed_until_refused(store: StateStore, body: bytes) -> None:
    for number in range(100):
        await feed(store, change(f"t{number}", 1, body=body), fed=number)


async def test_a_store_full_of_unpublished_states_takes_no_more_until_they_are(opening: Opening) -> None:
    body = b"x" * 20_000
    async with opening(max_bytes=2**20) as store:
        with pytest.raises(Unavailable, match="full") as refused:
            await feed_until_refused(store, body)
        kept = await published(store, "kafka")
        await published(store, "mqtt")
        await feed(store, change("new", 1, body=body))

        assert refused.value.hold
        assert "STATE__MAX_BYTES" in str(refused.value)
        assert [one.resource_id for one in kept] == [f"t{number}" for number in range(len(kept))]
        assert [one.resource_id for one in await published(store)] == ["new"]


def folder(path: Path) -> list[Path]:
    return sorted(path.parent.iterdir())


def spoil(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)
        return
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE note (name TEXT)")


@pytest.mark.parametrize("content", [b"no database at all" * 300, None], ids=["damaged", "foreign"])
async def test_a_file_that_is_of_no_use_is_kept_aside(
    opening: Opening, path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The first to ask is told, the next one finds a new store."""
    spoil(path, content)
    async with opening() as store:
        with pytest.raises(Unavailable):
            await feed(store, change("a", 1))
        await feed(store, change("a", 1))

        assert [one.resource_id for one in await published(store)] == ["a"]
    assert [found.name for found in folder(path)] == ["journal.state.db", "journal.state.db.aside"]
    assert "a new one begins" in caplog.text


async def test_a_publisher_of_a_store_that_was_begun_anew_has_to_begin_anew(opening: Opening, path: Path) -> None:
    async with opening() as store:
        await feed(store, *(change(f"t{number}", 1) for number in range(9)))
        await published(store)
        place = await store.place("kafka")
        store._spoilt = "a page of it was damaged"
        store._give_back()
        await feed(store, change("a", 1))

        with pytest.raises(Unavailable, match="begun anew"):
            await store.after(place, 9)
        assert [one.resource_id for one in await published(store)] == ["a"]


async def test_a_damaged_file_that_somebody_has_removed_is_made_anew(opening: Opening, path: Path) -> None:
    async with opening() as store:
        store._spoilt = "a page of it was damaged"
        await feed(store, change("a", 1))

        assert [one.resource_id for one in await published(store)] == ["a"]
    assert [found.name for found in folder(path)] == ["journal.state.db"]


async def test_changes_are_seen_where_the_disk_took_back_what_it_had_confirmed(opening: Opening) -> None:
    """They get numbers that were given before."""
    async with opening() as store:
        await feed(store, *(change(f"t{number}", 1) for number in range(9)))
        await published(store)
        await store._call(lambda table: table._db.execute("UPDATE note SET value = 2 WHERE name = 'head'"))
        await store._call(lambda table: table._db.execute("DELETE FROM resource WHERE seq > 2"))
        store._give_back()
        await feed(store, change("new", 1))

        assert [one.resource_id for one in await published(store)] == ["new"]


async def test_a_state_that_the_disk_has_spoilt_is_left_out(opening: Opening) -> None:
    async with opening() as store:
        await feed(store, change("a", 1), change("b", 1))
        await store._call(lambda table: table._db.execute("UPDATE resource SET message = x'00' WHERE id = 'a'"))

        page = await store.after(await store.place("kafka"), 9)

    assert ([one.resource_id for one in page.messages], page.damaged) == (["b"], 1)


async def test_while_the_disk_refuses_nothing_is_taken_and_then_all_is(opening: Opening, path: Path) -> None:
    await asyncio.to_thread(path.mkdir)
    async with opening() as store:
        with pytest.raises(Unavailable) as refused:
            await feed(store, change("a", 1))
        await asyncio.to_thread(path.rmdir)
        await feed(store, change("a", 1))

        assert refused.value.hold
        assert [one.resource_id for one in await published(store)] == ["a"]


async def test_the_file_is_given_back_on_the_threads_side(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which puts the log into it, and may take as long as the disk does."""
    threads = []
    close = Table.close

    def noted(table: Table) -> None:
        threads.append(threading.current_thread())
        close(table)

    monkeypatch.setattr(Table, "close", noted)
    async with opening() as store:
        await feed(store, change("a", 1))

    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


async def test_a_disk_that_hangs_does_not_hold_up_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The journal's has still to come."""
    monkeypatch.setattr(module, "_CLOSE_SECONDS", 0.05)
    disk = threading.Event()
    store = StateStore(path, 2**20, {"kafka": "k"}, Numbers({"kafka": Publication()}))
    await feed(store, change("a", 1))
    hanging = asyncio.create_task(store._call(lambda _: disk.wait(10)))
    await asyncio.sleep(0)

    try:
        await asyncio.wait_for(store.close(), 5)
        assert not hanging.done()
    finally:
        disk.set()
        await hanging
        store._give_back()  # what was left behind, or Python 3.13 warns of it in whichever test comes next

    assert "does not answer" in caplog.text


async def test_a_page_of_large_states_is_short(opening: Opening) -> None:
    """Whatever the window, or a thousand states of 3 MB would be in memory at once."""
    large = [change(f"{number}", 1, body=b"x" * 3_000_000) for number in range(5)]
    async with opening() as store:
        await store.feed(rows(*large), "journal", 1, 100.0)
        page = await store.after(await store.place("kafka"), 1000)
        out = await published(store, limit=1000)

    assert len(page.messages) == 2
    assert out == large
