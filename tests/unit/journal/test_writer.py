"""The writer: whoever asks is answered, and after a failure nothing more is written."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest

from bridge.errors import StorageFailed
from bridge.journal.change import Change
from bridge.journal.store import Store
from bridge.journal.writer import Writer

TOO_LARGE_FOR_SQLITE = Change(cursors={"kafka": 2**70})


@pytest.fixture
async def writer(path: Path) -> AsyncIterator[Writer]:
    opened = Writer(Store(path, 4 * 2**20))
    yield opened
    await opened.close()


def bug(_: Store) -> NoReturn:
    raise RuntimeError("a bug")


async def test_whatever_a_call_meets_its_caller_is_told_and_the_next_is_served(writer: Writer) -> None:
    """A thread that died of it would leave everybody waiting, and the bridge alive for its probes."""
    with pytest.raises(StorageFailed, match="a bug"):
        await asyncio.wait_for(writer.call(bug), 5)

    assert await asyncio.wait_for(writer.call(lambda store: store.used_bytes()), 5) > 0


async def test_whatever_a_write_meets_its_caller_is_told(writer: Writer) -> None:
    with pytest.raises(StorageFailed, match="too large"):
        await asyncio.wait_for(writer.write(TOO_LARGE_FOR_SQLITE), 5)


async def test_after_a_failed_write_none_is_written_even_if_the_disk_would_take_it(writer: Writer) -> None:
    """SQLite takes back a transaction that met a full disk by itself, and is ready for the next one."""
    failed = writer.write(TOO_LARGE_FOR_SQLITE)
    with pytest.raises(StorageFailed):
        await failed

    with pytest.raises(StorageFailed, match="too large"):
        await writer.write(Change(cursors={"kafka": 7}))

    assert not (await writer.call(lambda store: store.load())).cursors
