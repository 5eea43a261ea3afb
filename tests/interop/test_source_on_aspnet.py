"""The source against a Portos API on the real ASP.NET Core SignalR."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from pydantic import SecretStr

from bridge.errors import Unavailable
from bridge.portos.auth import tokens
from bridge.portos.source import connect
from bridge.portos.web import http_session
from bridge.settings.core import Auth, Hub, Subscribe
from bridge.source import SourceActivity
from tests.support import free_port, require, until

if TYPE_CHECKING:
    from bridge.message import Message

pytestmark = pytest.mark.hub


@dataclass
class Portos:
    """A server process and its control port."""

    port: int
    options: tuple[str, ...]
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        command = [require("hub", "TEST_PORTOS_SERVER"), "--Port", str(self.port), "--ControlPort", str(self.port + 1)]
        command += ["--KeepAliveSeconds", "1", *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert b"ready" in self.process.stdout.readline()

    def stop(self, number: int = signal.SIGTERM) -> None:
        os.kill(self.process.pid, number)
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

    async def control(self, path: str, **body: Any) -> Any:
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"http://127.0.0.1:{self.port + 1}/{path}", json=body) as answer,
        ):
            return await answer.json() if answer.content_type == "application/json" else None

    async def get(self, path: str) -> Any:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{self.port + 1}/{path}") as answer,
        ):
            return await answer.json()


Start = Callable[..., Portos]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[Portos] = []

    def started(*options: str) -> Portos:
        portos = Portos(free_port(neighbours=1), options)
        portos.start()
        running.append(portos)
        return portos

    yield started
    for portos in running:
        if portos.process.poll() is None:
            portos.stop(signal.SIGKILL)


class Watch:
    """A client that comes back whenever it can, and keeps what it got."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.connects = 0
        self.connected = asyncio.Event()
        self.reasons: list[str] = []
        self.activity = SourceActivity()

    async def run(self, portos: Portos, **changes: Any) -> None:
        times = {"keepalive_seconds": 0.5, "silence_seconds": 4, "connect_seconds": 10, "answer_seconds": 10}
        hub = Hub(**{"url": f"http://127.0.0.1:{portos.port}", **times, **changes})
        auth = Auth(username="950", password=SecretStr("secret"), device_name="BRIDGE1")
        subscribe = Subscribe(resources=("tickets", "devices"))
        async with http_session(hub) as http, tokens(hub, auth, self.activity, http) as provider:
            while True:
                try:
                    async with connect(
                        hub, subscribe, "default", provider, self.activity, http, asyncio.Event()
                    ) as source:
                        self.connects += 1
                        self.connected.set()
                        async for batch in source.batches():
                            assert not batch.unreadable
                            self.messages += batch.messages
                except Unavailable as error:
                    self.connected.clear()
                    self.reasons.append(error.reason)
                    await asyncio.sleep(0 if error.at_once else 0.1)


@asynccontextmanager
async def watching(portos: Portos, **changes: Any) -> AsyncIterator[Watch]:
    watch = Watch()
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        task = group.create_task(watch.run(portos, **changes))
        await asyncio.wait_for(watch.connected.wait(), 20)
        watch.reasons.clear()  # a cold server may be late
        watch.connects = 1
        yield watch
        task.cancel()


async def test_every_change_arrives_once_and_in_order_per_resource(start: Start) -> None:
    """What the hub's ledger says was sent is what came, in the order of the versions."""
    portos = start()
    async with watching(portos) as watch:
        await portos.control("burst", count=5000, rate=0, ids=50, size=600, resources=["tickets", "devices"])
        await until(lambda: len(watch.messages) >= 5000, 30, "5,000 messages")
        ledger = await portos.get("ledger")

    assert len(watch.messages) == len({message.id for message in watch.messages}) == 5000
    sent = [(change["resource"], change["id"], change["version"]) for change in ledger]
    assert sorted(sent) == sorted((m.resource, m.resource_id, m.version) for m in watch.messages)
    last: dict[tuple[str | None, str | None], int] = {}
    for message in watch.messages:
        key = message.resource, message.resource_id
        assert (message.version or 0) > last.get(key, 0)
        last[key] = message.version or 0


async def test_only_what_was_subscribed_arrives(start: Start) -> None:
    """Another resource stays away, a licence event comes, and every action is told by its word."""
    portos = start()
    async with watching(portos) as watch:
        await portos.control("change", resource="orders", action="created")
        for action in ("created", "updated", "deleted"):
            await portos.control("change", resource="tickets", action=action, id="t1")
        await portos.control("licence")
        await until(lambda: len(watch.messages) >= 4, 5, "four messages")

    assert [message.action for message in watch.messages] == ["created", "updated", "deleted", None]
    assert watch.messages[3].event == "portos.licence.activated"


async def test_a_killed_server_is_found_again(start: Start) -> None:
    """After a crash and a restart the client is subscribed again, with a new session."""
    portos = start()
    async with watching(portos) as watch:
        portos.stop(signal.SIGKILL)
        await until(lambda: not watch.connected.is_set(), 5, "the loss is noticed")
        portos.start()
        await until(watch.connected.is_set, 15, "connected again")
        await portos.control("change", resource="tickets", action="updated", id="t1")
        await until(lambda: watch.messages, 5, "a message")

    assert watch.reasons[0] == "network"
    assert "unauthorized" in watch.reasons
    portos.stop()


async def test_aborted_connections_come_back(start: Start) -> None:
    """A Close without leave to come back is no reason to stay away."""
    portos = start()
    async with watching(portos) as watch:
        for _ in range(3):
            before = watch.connects
            await portos.control("disconnect")
            await until(lambda: watch.connects > before and watch.connected.is_set(), 15, "connected again")  # noqa: B023

    assert watch.reasons == ["server_close"] * 3


async def test_a_frozen_server_is_noticed(start: Start) -> None:
    """A server that holds its sockets and says nothing is left, and found when it wakes."""
    portos = start()
    async with watching(portos) as watch:
        os.kill(portos.process.pid, signal.SIGSTOP)
        await until(lambda: "silence" in watch.reasons, 10, "the silence is noticed")
        os.kill(portos.process.pid, signal.SIGCONT)
        await until(watch.connected.is_set, 20, "connected again")

    assert watch.reasons[0] == "silence"


async def test_an_idle_connection_outlives_the_servers_timeout(start: Start) -> None:
    """Our pings keep the connection: the server drops a client that is silent for 1 s."""
    portos = start("--ClientTimeoutSeconds", "2")
    async with watching(portos) as watch:
        await asyncio.sleep(5)

        assert watch.connects == 1


async def test_short_tokens_cost_no_connection(start: Start) -> None:
    """A token that expires while connected is refreshed, and a dropped connection is back with the new one."""
    portos = start("--TokenLifetimeSeconds", "3")
    async with watching(portos) as watch:
        await asyncio.sleep(4)
        assert watch.connects == 1
        await portos.control("disconnect")
        await until(lambda: watch.connects == 2, 15, "connected again")
        state = await portos.get("state")

    assert "unauthorized" not in watch.reasons
    assert state["tokens"]["refused"] == 0
    assert state["tokens"]["refreshed"] >= 1


async def test_a_server_that_closes_at_expiry_gets_a_planned_reconnect(start: Start) -> None:
    """With CloseOnAuthenticationExpiration the connection ends with the token, and the next one has a good token."""
    portos = start("--TokenLifetimeSeconds", "3", "--CloseOnExpiry", "true")
    async with watching(portos) as watch:
        await until(lambda: watch.connects >= 3, 30, "two expiries")

    assert set(watch.reasons) == {"server_close"}


async def test_refused_subscriptions_are_tried_again(start: Start) -> None:
    """A refused Subscribe ends the attempt; the next ones go on until the hub agrees."""
    portos = start()
    async with watching(portos) as watch:
        await portos.control("refuse", times=3, message="Not now.")
        await portos.control("disconnect")
        await until(lambda: watch.connects == 2, 15, "connected again")

    assert watch.reasons == ["server_close", "refused", "refused", "refused"]


async def test_leaving_unsubscribes_and_logs_out(start: Start) -> None:
    """After an orderly stop the server has no connection, no subscription and no session of ours."""
    portos = start()
    async with watching(portos):
        pass
    await until(lambda: _no_connections(portos), 5, "the connection is gone")
    state = await portos.get("state")

    unsubscribed = [entry["request"] for entry in state["log"] if entry["what"] == "unsubscribed"]
    subscribed = [entry["request"] for entry in state["log"] if entry["what"] == "subscribed"]
    assert sorted(map(str, unsubscribed)) == sorted(map(str, subscribed))
    assert state["tokens"]["sessions"] == 0


async def _no_connections(portos: Portos) -> bool:
    return not (await portos.get("state"))["connections"]
