"""A start that takes long: what can be seen of it, that it holds nothing up, and how it is ended."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from bridge.beginning import served
from bridge.errors import ConfigError, JournalOwned
from bridge.journal import Repair, open_journal, opening, owned
from bridge.service import _Bridge
from bridge.settings import Settings, core
from bridge.settings.core import Auth, Stop, Subscribe
from bridge.settings.loading import Configuration
from tests.support import free_port, until
from tests.unit.portos.scripted_hub import ScriptedHub, scripted_hub, settings
from tests.unit.test_service import LIMITS

WORKS_FOR_SECONDS = 10


class Salvage:
    """In place of the real one: has looked at 37 of 100 pages, and goes on when it may."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.ended = threading.Event()

    def made_usable(self, path: Path, _: int, watch: Callable[[int, int], None]) -> Repair:
        self.begun.set()
        watch(37, 100)
        self.may_end.wait(WORKS_FOR_SECONDS)
        self.ended.set()
        return Repair(path)


@pytest.fixture
def salvage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Salvage]:
    salvage = Salvage()
    monkeypatch.setattr(opening, "made_usable", salvage.made_usable)
    yield salvage
    salvage.may_end.set()


class Starting:
    """A bridge that has been started, asked over its admin port."""

    def __init__(self, hub: ScriptedHub, path: Path) -> None:
        self.port = free_port()
        parts = Settings(
            stop=Stop(drain_seconds=0.05),
            sinks=("none",),
            hub=settings(hub),
            auth=Auth(username="950", password="secret", device_name="BRIDGE1"),
            subscribe=Subscribe(resources=("tickets",)),
            journal=core.Journal(path=path / "j.db"),
            admin=core.Admin(host="127.0.0.1", port=self.port),
        )
        self.bridge = _Bridge(Configuration(parts, {}))
        self.stop = asyncio.Event()
        self.done = asyncio.create_task(self.bridge.run(self.stop))

    async def answer(self, path: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return answer.status, await answer.text()

    async def status(self) -> Any:
        url = f"http://127.0.0.1:{self.port}/status"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return await answer.json()


@asynccontextmanager
async def starting(path: Path) -> AsyncIterator[Starting]:
    async with scripted_hub() as hub:
        one = Starting(hub, path)
        try:
            yield one
        finally:
            one.stop.set()
            await asyncio.wait_for(one.done, 10)


async def test_a_bridge_whose_journal_is_salvaged_is_alive_and_not_ready_and_says_why(
    tmp_path: Path, salvage: Salvage
) -> None:
    """A supervisor that heard nothing would kill it, and the next start would begin anew."""
    async with starting(tmp_path) as one:
        await until(salvage.begun.is_set, 5, "it is being salvaged")

        assert await one.answer("/livez") == (200, "ok\n")
        status, text = await one.answer("/readyz?verbose")
        assert status == 503
        assert (
            "[-] journal: damaged, and being salvaged: 37 % of its file are looked at, then what is found is written\n"
            in text
        )
        assert "[+] running: yes\n" in text
        assert "portos_bridge_source_connected" in (await one.answer("/metrics"))[1]
        assert (await one.answer("/"))[0] == 200
        assert await one.answer("/dlq") == (503, "the journal is not open: see /readyz\n")
        assert (await one.answer("/journal"))[0] == 503
        shown = await one.status()
        assert (shown["level"], shown["stopping"], shown["site"]) == ("warning", False, "default")
        assert shown["headline"].startswith("The journal was damaged: what can be read of it is put into a new one")
        assert shown["problems"][0]["whatToDo"].startswith("Wait. Do not start the bridge again")

        salvage.may_end.set()
        await until(lambda: one.bridge._source_link.connected, 5, "subscribed")

        assert (await one.answer("/readyz"))[0] == 200
        assert (await one.answer("/dlq"))[0] == 200
        assert (await one.status())["level"] == "ok"


async def test_a_start_that_takes_long_does_not_keep_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening the file may fold a long log into it, or bring it to a new schema."""
    real, begun, may_end, waited = opening.Store, threading.Event(), threading.Event(), []

    def slow(path: Path, max_bytes: int) -> Any:
        begun.set()
        waited.append(may_end.wait(WORKS_FOR_SECONDS))
        return real(path, max_bytes)

    monkeypatch.setattr(opening, "Store", slow)
    async with starting(tmp_path) as one:
        await until(begun.is_set, 5, "it is being opened")

        assert await one.answer("/livez") == (200, "ok\n")
        assert "being opened: what it holds is read" in (await one.answer("/readyz"))[1]
        may_end.set()
        await until(lambda: one.bridge._source_link.connected, 5, "subscribed")

    assert waited == [True]


async def test_a_stop_does_not_wait_for_the_salvage_whose_lock_stays(
    tmp_path: Path, salvage: Salvage, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed at the end of its grace it would have come no further; until its thread ends nobody else has the file."""
    async with starting(tmp_path) as one:
        await until(salvage.begun.is_set, 5, "it is being salvaged")

        one.stop.set()
        await asyncio.wait_for(one.done, 5)

    assert not salvage.ended.is_set()
    assert "the journal is not open yet" in caplog.text
    with pytest.raises(JournalOwned), owned(tmp_path / "j.db"):
        pass

    salvage.may_end.set()
    await until(lambda: free(tmp_path / "j.db"), 5, "the lock is free")


def free(path: Path) -> bool:
    try:
        with owned(path):
            return True
    except JournalOwned:
        return False


@pytest.mark.parametrize(("taken", "error"), [(True, JournalOwned), (False, ConfigError)])
async def test_whose_port_is_taken_names_the_bridge_that_has_the_journal_too(
    tmp_path: Path, error: type[Exception], *, taken: bool
) -> None:
    """One that is about to end, as a rule: a supervisor tries again after 75, and not after 78."""
    path = tmp_path / "j.db"
    with socket.create_server(("127.0.0.1", 0)) as other:
        parts = Settings(
            sinks=("none",),
            hub=core.Hub(url="http://127.0.0.1:1"),
            auth=Auth(username="950", password="secret", device_name="BRIDGE1"),
            subscribe=Subscribe(resources=("tickets",)),
            journal=core.Journal(path=path),
            admin=core.Admin(host="127.0.0.1", port=other.getsockname()[1]),
        )
        async with open_journal(path if taken else tmp_path / "another.db", (), 2**22, LIMITS):
            with pytest.raises(error):
                async with served(parts, CollectorRegistry(), lambda: None, ()):  # type: ignore[arg-type, return-value]  # never asked
                    pass
