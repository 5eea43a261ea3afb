"""A journal on a real disk, and messages for it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from bridge.journal import Journal, Limits, Lost, Memory, open_journal
from bridge.message import RESOURCES_CHANGED, Message

Opening = Callable[..., AbstractAsyncContextManager[Journal]]


def message(number: int, body: bytes = b'{"p":1}') -> Message:
    """A message that its number identifies."""
    return Message(
        f"id-{number}",
        RESOURCES_CHANGED,
        "tickets",
        f"t{number % 7}",
        number,
        "updated",
        1.5,
        None,
        100.0 + number,
        body,
    )


def messages(first: int, count: int, body: bytes = b'{"p":1}') -> list[Message]:
    return [message(number, body) for number in range(first, first + count)]


@pytest.fixture
def opening(path: Path) -> Opening:
    """Opens the journal of this test, as often as wanted."""

    @asynccontextmanager
    async def open_it(
        *sinks: str,
        max_bytes: int = 64 * 2**20,
        memory_max_bytes: int = 2**20,
        cursor_every_events: int | None = 100,
        cursor_every_seconds: float = 0.05,
        memory: Memory | None = None,
        on_lost: Callable[[Lost], None] = lambda _: None,
    ) -> AsyncIterator[Journal]:
        limits = Limits(max_bytes * 15 // 16, memory_max_bytes, cursor_every_events, cursor_every_seconds)
        async with open_journal(
            path, sinks or ("kafka", "mqtt"), max_bytes, limits, memory=memory, on_lost=on_lost
        ) as journal:
            yield journal

    return open_it
