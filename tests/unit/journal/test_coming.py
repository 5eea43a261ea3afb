"""What a sink needs next from disk is read while its page is on its way, once, and nothing depends on it."""

import asyncio
import gc
import logging
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import pytest

from bridge.errors import StorageFailed
from bridge.journal import Chunk, Journal, Page, log
from bridge.journal.coming import decoded
from bridge.journal.entry import chunks_of
from bridge.journal.store import Store
from bridge.message import Message
from tests.unit.journal.conftest import Opening, messages

_ROWS = 400
_BODY = b"x" * 10_000  # so that a memory of a mebibyte holds a quarter of the rows


@pytest.fixture(autouse=True)
def _short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_READ_AHEAD_EVENTS", 50)


@asynccontextmanager
async def filled(opening: Opening) -> AsyncIterator[Journal]:
    """A journal of which no more than the newest rows are in memory."""
    async with opening() as journal:
        for first in range(1, _ROWS, 10):
            await journal.append(messages(first, 10, _BODY))
        yield journal


@contextmanager
def busy(journal: Journal) -> Iterator[None]:
    """Keep the journal's thread from reading anything."""
    go_on = threading.Event()
    journal._writer.call(lambda _: go_on.wait(20))
    try:
        yield
    finally:
        go_on.set()


def noting_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note behind which number the disk is asked to read."""
    places = list[int]()
    whole = Store.read

    def noted(self: Store, after: int, limit: int, max_bytes: int) -> Sequence[Chunk]:
        places.append(after)
        return whole(self, after, limit, max_bytes)

    monkeypatch.setattr(Store, "read", noted)
    return places


def fails(self: Store, after: int, limit: int, max_bytes: int) -> None:
    raise StorageFailed("the disk is gone")


async def read(journal: Journal, limit: int = 50) -> Page:
    return await asyncio.wait_for(journal.read("kafka", limit), 5)


def numbers(page: Page) -> list[int | None]:
    return [message.version for message in page.messages]


async def test_the_next_page_is_read_while_one_is_on_its_way(opening: Opening) -> None:
    async with filled(opening) as journal:
        page = await read(journal)
        await journal._writer.call(lambda _: None)  # behind what was asked for with the page

        with busy(journal):
            await journal.settle("kafka", page, 50, {})
            following = await read(journal)

        assert numbers(following) == list(range(51, 101))


async def test_a_page_that_is_not_settled_whole_comes_again(opening: Opening) -> None:
    """What was read for behind it is of no use then, and hides nothing."""
    async with filled(opening) as journal:
        page = await read(journal)
        await journal.settle("kafka", page, 20, {})

        rest = await read(journal)

        assert numbers(rest) == list(range(21, 51))
        await journal.settle("kafka", rest, 30, {})
        assert numbers(await read(journal)) == list(range(51, 101))


async def test_what_was_read_for_another_place_is_of_no_use(opening: Opening) -> None:
    """Else what lies between would be taken for lost."""
    async with filled(opening) as journal:
        journal._ask_ahead("kafka", 30)

        assert numbers(await read(journal)) == list(range(1, 51))


async def test_a_page_that_comes_again_is_not_read_again(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is gone has the bridge read the same page every few seconds, or at once."""
    async with filled(opening) as journal:
        places = noting_reads(monkeypatch)
        pages = [await read(journal) for _ in range(5)]
        await journal.settle("kafka", pages[0], 50, {})

        assert numbers(await read(journal)) == list(range(51, 101))
    assert places == [0, 50, 100]


async def test_whoever_stops_reading_a_slow_disk_goes_on_with_what_it_gives(
    opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sink is asked now and then whether its connection still stands, and its reading is cancelled for that."""
    async with filled(opening) as journal:
        places = noting_reads(monkeypatch)
        with busy(journal):
            for _ in range(3):
                reading = asyncio.create_task(journal.read("kafka", 50))
                await asyncio.sleep(0)
                reading.cancel()
                await asyncio.wait({reading})

        assert numbers(await read(journal)) == list(range(1, 51))
    assert places == [0, 50]


async def test_a_disk_that_fails_meanwhile_is_told_when_it_is_needed(
    opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with filled(opening) as journal:
        page = await read(journal, 20)
        monkeypatch.setattr(Store, "read", fails)
        await journal.settle("kafka", page, 20, {})
        page = await read(journal)
        await journal.settle("kafka", page, len(page.seqs), {})

        with pytest.raises(StorageFailed, match="the disk is gone"):
            await read(journal)
        monkeypatch.undo()


async def test_a_disk_that_fails_where_nobody_comes_for_it_is_no_riddle_in_the_log(
    opening: Opening, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with filled(opening) as journal:
        await journal.settle("kafka", await read(journal, 20), 20, {})
        monkeypatch.setattr(Store, "read", fails)
        await read(journal)
        await journal._writer.call(lambda _: None)  # behind what fails

        del journal._coming["kafka"]
        gc.collect()
        monkeypatch.undo()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_rows_are_decoded_in_turns() -> None:
    """A thousand of them are some milliseconds' work: all else has its turn in between."""
    chunks = [chunk for first in range(1, 1001, 100) for chunk in chunks_of(messages(first, 100), first)]
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def given() -> list[Chunk]:
        return chunks

    counting = asyncio.create_task(count())
    spans = await decoded(given())
    counting.cancel()

    assert 3 <= turns <= 5
    assert [row.version for span in spans for row in span.rows if isinstance(row, Message)] == list(range(1, 1001))


async def test_what_is_in_memory_is_not_asked_of_the_disk(opening: Opening) -> None:
    """Neither where nothing was read from it, nor behind the last page that was; and what was read is held once."""
    async with filled(opening) as journal:
        seen = 0
        while seen < _ROWS:
            page = await read(journal, 30)
            assert numbers(page) == list(range(seen + 1, seen + 1 + len(page.messages)))
            seen = page.seqs[-1]
            assert all(one.after < journal._tail.first - 1 for one in journal._coming.values())
            await journal.settle("kafka", page, len(page.messages), {})

        assert not journal._coming
