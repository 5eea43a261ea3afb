"""From the journal to the state store: everything once, whatever crashes, and nothing missed without a word."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.journal import Journal, Limits, open_journal
from bridge.portos.gaps import change_of
from bridge.state import feeding
from bridge.state.feeding import READER, Feeding
from bridge.state.store import StateStore
from tests.support import until
from tests.unit.loops import kept, link
from tests.unit.state.conftest import Opening, change, published

LIMITS = Limits(60 * 2**20, 2**20, 100, 0.02)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "_LINGER_SECONDS", 0.001)


@asynccontextmanager
async def journal(path: Path, *readers: str) -> AsyncIterator[Journal]:
    async with open_journal(path.with_name("journal.db"), readers or ("kafka", READER), 64 * 2**20, LIMITS) as opened:
        yield opened


@asynccontextmanager
async def fed(opened: Journal, store: StateStore, *, versioned: bool = True) -> AsyncIterator[None]:
    state = link("state store")
    reading = Feeding(opened, store, state, change_of, versioned=versioned)
    async with kept(state, store.opened, reading.run):
        yield


def caught_up(opened: Journal) -> bool:
    return opened.lag(READER).events == 0


async def settle_all(opened: Journal, sink: str) -> None:
    while opened.lag(sink).events:
        page = await opened.read(sink, 100)
        await opened.settle(sink, page, len(page.seqs), {})


async def test_what_is_accepted_becomes_the_state(opening: Opening, path: Path) -> None:
    async with journal(path) as opened, opening() as store, fed(opened, store):
        await opened.append([change("a", 1), change("b", 1), change("a", 2)])
        await until(lambda: caught_up(opened), 5, "all is in the store")

        states = await published(store)

    assert [(one.resource_id, one.version) for one in states] == [("b", 1), ("a", 2)]
    assert opened.imbalances()[READER] == 0


async def test_what_was_taken_before_a_crash_is_not_taken_again(opening: Opening, path: Path) -> None:
    """Versions that began anew stay: the highest one of before is not heard a second time."""
    async with journal(path) as opened, opening() as store:
        await opened.append([change("a", 5), change("a", 1, reset=True)])
        page = await opened.read(READER, 10)
        await Feeding(opened, store, link(), change_of, versioned=True)._take(store, page, 0)
        await published(store)
    async with journal(path) as opened, opening() as store, fed(opened, store):
        await opened.append([change("b", 1)])
        await until(lambda: caught_up(opened), 5, "all is in the store")

        states = await published(store)

    assert [(one.resource_id, one.version) for one in states] == [("b", 1)]


async def test_what_is_missed_while_it_is_switched_off_is_told(
    opening: Opening, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What others have settled meanwhile is gone; what they have not is read."""
    caplog.set_level(logging.ERROR)
    async with journal(path) as opened, opening() as store, fed(opened, store):
        await opened.append([change("a", 1)])
        await settle_all(opened, "kafka")
        await until(lambda: caught_up(opened), 5, "the first is in the store")
    async with journal(path, "kafka") as opened:
        await opened.append([change("a", 2), change("a", 3)])
        await settle_all(opened, "kafka")
        await opened.append([change("b", 1)])
    async with journal(path) as opened, opening() as store, fed(opened, store):
        await until(lambda: caught_up(opened), 5, "the last is in the store")
        states = await published(store)

    assert [(one.resource_id, one.version) for one in states] == [("a", 1), ("b", 1)]
    assert store.numbers.missed == 2
    assert "missed 2 events" in caplog.text


async def test_a_journal_that_was_lost_is_read_from_its_beginning(
    opening: Opening, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its numbers begin anew, and must not be taken for those of the old one."""
    async with journal(path) as opened, opening() as store, fed(opened, store):
        await opened.append([change("a", 1), change("a", 2)])
        await until(lambda: caught_up(opened), 5, "the first are in the store")
    for found in await asyncio.to_thread(lambda: list(path.parent.glob("journal.db*"))):
        await asyncio.to_thread(found.unlink)
    async with journal(path) as opened, opening() as store, fed(opened, store):
        await opened.append([change("b", 1)])
        await until(lambda: caught_up(opened), 5, "the last is in the store")
        states = await published(store)

    assert [(one.resource_id, one.version) for one in states] == [("a", 2), ("b", 1)]
    assert "another journal" in caplog.text


async def test_while_the_store_cannot_be_written_events_go_on_and_none_is_lost(opening: Opening, path: Path) -> None:
    """The journal keeps what the store has to take."""
    await asyncio.to_thread(path.mkdir)
    async with journal(path) as opened, opening() as store, fed(opened, store):
        await opened.append([change("a", 1)])
        await settle_all(opened, "kafka")
        assert opened.lag(READER).events == 1
        await asyncio.to_thread(path.rmdir)
        await until(lambda: caught_up(opened), 5, "all is in the store")

        assert [one.resource_id for one in await published(store)] == ["a"]


async def test_a_store_that_is_back_and_has_nothing_to_take_is_not_held(opening: Opening, path: Path) -> None:
    """Else a quiet hub would have the bridge degraded until the next event."""
    await asyncio.to_thread(path.mkdir)
    async with journal(path) as opened, opening() as store:
        state = link("state store")
        async with kept(state, store.opened, Feeding(opened, store, state, change_of, versioned=True).run):
            await until(lambda: state.held, 5, "the store is held")
            await asyncio.to_thread(path.rmdir)
            await until(lambda: state.connected and not state.held, 5, "the store is back")


async def test_a_page_is_taken_in_pieces_and_what_can_never_fit_is_left_out(
    opening: Opening, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Else a burst of large events would hold the journal for ever; what is left out is told once for a resource."""
    large = [change(f"t{number}", 1, body=b"x" * 60_000) for number in range(10)]
    async with journal(path) as opened, opening(max_bytes=2**20) as store, fed(opened, store):
        await opened.append([*large, *(change(f"huge{number}", 1, body=b"x" * 70_000) for number in range(3))])
        await until(lambda: caught_up(opened), 5, "all is in the store")
        states = await published(store)

    assert [one.resource_id for one in states] == [one.resource_id for one in large]
    assert store.numbers.forgotten == 3
    assert caplog.text.count("left out") == 1
