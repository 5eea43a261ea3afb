"""What puts the state topics together: nothing where no sink has any, and all the way where one has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bridge.journal import Limits, open_journal
from bridge.portos.gaps import change_of
from bridge.ports import SinkPlugin, StateConnection, StateTopics
from bridge.settings import Settings, SinkConfig
from bridge.settings.core import Auth, Hub, Journal, Subscribe
from bridge.state import States
from tests.support import until
from tests.unit.loops import TIMES
from tests.unit.state.conftest import change
from tests.unit.state.test_publishing import Broker

LIMITS = Limits(60 * 2**20, 2**20, 100, 0.02)


def states(folder: Path, broker: Broker | None) -> States:
    """The state topics of two sinks, of which one may have some."""

    @asynccontextmanager
    async def connect() -> AsyncIterator[StateConnection]:
        assert broker is not None
        async with broker.connect() as connection:
            yield connection

    def never(_: SinkConfig) -> Any:
        raise AssertionError("events are delivered elsewhere")

    settings = Settings(
        sinks=("one", "other"),
        hub=Hub(url="http://127.0.0.1:1"),
        auth=Auth(username="950", password="secret", device_name="BRIDGE1"),
        subscribe=Subscribe(resources=("tickets",)),
        journal=Journal(path=folder / "journal.db"),
    )
    topics = None if broker is None else StateTopics("mqtt://user:secret@broker", connect)
    plugins = {"one": SinkPlugin(SinkConfig, never, state=lambda _: topics), "other": SinkPlugin(SinkConfig, never)}
    sinks = {name: (plugin, SinkConfig()) for name, plugin in plugins.items()}
    return States(settings, sinks, {}, TIMES, change_of)


@asynccontextmanager
async def running(found: States, folder: Path) -> AsyncIterator[Any]:
    """A journal with the jobs running beside it, as `bridge.service` does it."""
    async with (
        open_journal(folder / "journal.db", ["one", *found.readers], 64 * 2**20, LIMITS) as journal,
        found.jobs(journal) as jobs,
    ):
        tasks = [asyncio.create_task(job()) for job in jobs.values()]
        try:
            yield journal
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_where_no_sink_has_state_topics_there_is_nothing(tmp_path: Path) -> None:
    """No reader of the journal, no job, no file."""
    found = states(tmp_path, None)
    async with running(found, tmp_path) as journal:
        await journal.append([change("a", 1)])
        jobs = [task for task in asyncio.all_tasks() if "keep" in repr(task.get_coro())]

    assert (found.readers, jobs) == ((), [])
    assert not list(await asyncio.to_thread(lambda: list(tmp_path.glob("*.state.db*"))))


async def test_what_is_accepted_is_published_as_state(tmp_path: Path) -> None:
    broker = Broker()
    found = states(tmp_path, broker)
    async with running(found, tmp_path) as journal:
        await journal.append([change("a", 1), change("a", 2)])
        await until(lambda: broker.log, 5, "the state")

        registry = CollectorRegistry()
        registry.register(found.collector(journal))
        published = registry.get_sample_value("portos_bridge_state_published_total", {"sink": "one"})
        assert (broker.log, published) == ([("a", 2)], 1)
        assert registry.get_sample_value("portos_bridge_state_connected", {"sink": "one"}) == 1
        await until(lambda: journal.lag(*found.readers).events == 0, 5, "its place is known")


async def test_a_store_that_cannot_be_opened_stops_nothing(tmp_path: Path) -> None:
    """It is tried again and again, and works as soon as it can."""
    await asyncio.to_thread((tmp_path / "journal.state.db").mkdir)
    broker = Broker()
    found = states(tmp_path, broker)
    async with running(found, tmp_path) as journal:
        await journal.append([change("a", 1)])
        await until(lambda: found.feeder.held, 5, "the store is held")
        await asyncio.to_thread((tmp_path / "journal.state.db").rmdir)
        await until(lambda: broker.log, 5, "the state")

    assert "state store" in found.feeder.last_error


async def test_the_password_in_a_brokers_address_is_not_kept(tmp_path: Path) -> None:
    """What a publisher published to is known by a hash."""
    broker = Broker()
    found = states(tmp_path, broker)
    async with running(found, tmp_path) as journal:
        await journal.append([change("a", 1)])
        await until(lambda: broker.text.endswith(":1"), 5, "the state and the mark")

    kept = await asyncio.to_thread((tmp_path / "journal.state.db").read_bytes)
    assert b"one" in kept
    assert b"secret" not in kept


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.state.publishing._IDLE_SECONDS", 0.01)
    monkeypatch.setattr("bridge.state.publishing._MARK_SECONDS", 0.01)
