"""A state store on a real disk, changes for it, and what a publisher would make of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from bridge.message import RESOURCES_CHANGED, VERSION_RESET, Message
from bridge.state.numbers import Numbers, Publication
from bridge.state.row import Row, state_of
from bridge.state.store import StateStore

Opening = Callable[..., AbstractAsyncContextManager[StateStore]]


def change(
    resource_id: str,
    version: int | None,
    action: str = "updated",
    *,
    at: float | None = 1.5,
    reset: bool = False,
    body: bytes | None = None,
) -> Message:
    """A change of a ticket, whose body names its version."""
    flags = ((VERSION_RESET, "true"),) if reset else ()
    told = f'{{"version":{version}}}'.encode() if body is None else body
    identity = f"{resource_id}-{version}-{action}"
    return Message(identity, RESOURCES_CHANGED, "tickets", resource_id, version, action, at, None, 100.0, told, flags)


def rows(*changes: Message, versioned: bool = True) -> list[Row]:
    found = (state_of(one, lambda _: None, versioned=versioned) for one in changes)
    return [row for row in found if row is not None]


async def published(store: StateStore, name: str = "kafka", limit: int = 3) -> list[Message]:
    """Publish what is behind a publisher's place, in pages."""
    place, out = await store.place(name), []
    while (page := await store.after(place, limit)).messages:
        out += page.messages
        await store.settle(place, page.upto)
    await store.settle(place, page.upto)
    return out


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.state.db"


@pytest.fixture
def opening(path: Path) -> Opening:
    """Opens the store of this test, as often as wanted."""

    @asynccontextmanager
    async def open_it(max_bytes: int = 64 * 2**20, **targets: str) -> AsyncIterator[StateStore]:
        wanted = targets or {"kafka": "k", "mqtt": "m"}
        store = StateStore(path, max_bytes, wanted, Numbers({name: Publication() for name in wanted}))
        try:
            yield store
        finally:
            await store.close()

    return open_it
