"""The composition root: what only the parts together can promise."""

import asyncio
import re
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from pydantic import SecretStr

from bridge import audit, pausing, reload, service
from bridge.blind import Sight
from bridge.errors import Unavailable
from bridge.journal import Journal, Limits, Previous, open_journal
from bridge.journal.room import Room
from bridge.ledger import Ledger
from bridge.message import RESOURCES_CHANGED, Message
from bridge.portos import access
from bridge.ports import Outcome, Sink, SinkPlugin, StateTopics
from bridge.presence import Presence
from bridge.reload import Sources
from bridge.service import _Bridge
from bridge.settings import Settings, SinkConfig, core
from bridge.settings.core import Auth, Stop, Subscribe
from bridge.settings.loading import Configuration
from tests.support import free_port, until
from tests.unit.journal.conftest import messages
from tests.unit.portos.scripted_hub import Peer, ScriptedHub, notification, polite, scripted_hub, settings

LIMITS = Limits(2**22, 2**20, 100, 0.02)


class SlowJournal:
    """Takes a batch only when the disk, which the test holds up, is ready."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.asked = asyncio.Event()
        self.previous = Previous()
        self.ledger = Ledger()
        self.room = Room(2**40)
        self.versions: list[int | None] = []
        self.proved: list[float] = []

    def prove(self, at: float, _: object = None) -> None:
        self.proved.append(at)

    async def append(self, messages: Sequence[Message], *_: object) -> bool:
        self.asked.set()
        await self.ready.wait()
        self.versions += [message.version for message in messages if message.event == RESOURCES_CHANGED]
        return True


def bridge(hub: ScriptedHub, drain_seconds: float = 5, **sinks: SinkPlugin[SinkConfig]) -> _Bridge:
    """A bridge of that hub, without any sink unless told."""
    parts = Settings(
        stop=Stop(drain_seconds=drain_seconds),
        sinks=("none",),
        hub=settings(hub),
        auth=Auth(username="950", password="secret", device_name="BRIDGE1"),
        subscribe=Subscribe(resources=("tickets", "orders")),
    )
    return _Bridge(Configuration(parts, {name: (plugin, SinkConfig()) for name, plugin in sinks.items()}))


def never(*_: object) -> Any:
    raise AssertionError("nothing connects here")


@asynccontextmanager
async def away(_: SinkConfig) -> AsyncIterator[Sink]:
    raise Unavailable("there is no broker", reason="network")
    yield


class Taker:
    """A sink that takes everything."""

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        return [None] * len(batch)


async def test_names_that_are_not_resolved_leave_threads_for_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A silent name server keeps a thread for each attempt; sinks that are connected look at their files meanwhile."""
    answered, served = threading.Event(), []

    async def run(*_: object) -> None:
        asked = [asyncio.create_task(asyncio.to_thread(answered.wait)) for _ in range(40)]
        await asyncio.sleep(0)  # they begin, and are first
        try:
            async with asyncio.timeout(5):
                served.append(await asyncio.to_thread(lambda: "a file"))
        finally:
            answered.set()
            await asyncio.wait(asked)

    monkeypatch.setattr(_Bridge, "run", run)
    async with scripted_hub() as hub:
        assert await service.run(bridge(hub)._configuration, never) == 0

    assert served == ["a file"]


async def test_what_was_received_is_stored_before_an_orderly_stop() -> None:
    """A stop that comes while the disk is busy loses nothing of what waits behind it, and unsubscribes and logs out."""
    journal, stop = SlowJournal(), asyncio.Event()

    async def talk(peer: Peer) -> None:
        await peer.accept()
        await peer.send(notification(0))
        await journal.asked.wait()
        await peer.send(*[notification(number) for number in range(1, 50)])
        await peer.serve()

    async with scripted_hub() as hub:
        hub.script = talk
        whole = bridge(hub)
        taking_in = asyncio.create_task(whole._take_in(journal, Sight(None, "stopped"), stop))  # type: ignore[arg-type]  # a disk that the test holds up
        await until(lambda: whole._activity.frames.get("invocation") == 50, 5, "all is received")

        stop.set()
        await until(lambda: "Unsubscribe" in str(hub.peers[0].received), 5, "unsubscribed")
        journal.ready.set()
        await asyncio.wait_for(taking_in, 5)

        assert journal.versions == list(range(50))
        assert journal.proved
        assert hub.asked("DELETE", "/api/auth") == 1
        assert len(hub.peers) == 1


async def test_a_disk_that_hangs_does_not_hold_up_the_stop_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_STORE_SECONDS", 0.1)
    journal, stop = SlowJournal(), asyncio.Event()

    async def talk(peer: Peer) -> None:
        await peer.accept()
        await peer.send(notification(0))
        await peer.serve()

    async with scripted_hub() as hub:
        hub.script = talk
        taking_in = asyncio.create_task(bridge(hub)._take_in(journal, Sight(None, "stopped"), stop))  # type: ignore[arg-type]  # as above
        await asyncio.wait_for(journal.asked.wait(), 5)

        stop.set()

        await asyncio.wait_for(taking_in, 3)
    assert journal.versions == []


async def test_a_stop_waits_until_the_sinks_have_what_is_stored(tmp_path: Path) -> None:
    sinks = ("kafka", "mqtt")
    async with scripted_hub() as hub, open_journal(tmp_path / "j.db", sinks, 2**22, LIMITS) as journal:
        await journal.append(messages(1, 3))
        draining = asyncio.create_task(bridge(hub)._drain(journal))
        for sink in sinks:
            page = await journal.read(sink, 3)
            assert not draining.done()
            await journal.settle(sink, page, 3, {})

        await asyncio.wait_for(draining, 2)


async def test_a_stop_does_not_wait_for_a_sink_that_is_down(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is left is told, and stays for the next start."""
    async with scripted_hub() as hub, open_journal(tmp_path / "j.db", ["kafka"], 2**22, LIMITS) as journal:
        await journal.append(messages(1, 3))

        await asyncio.wait_for(bridge(hub, drain_seconds=0.05)._drain(journal), 2)

        assert journal.lag("kafka").events == 3
    assert "not everything was delivered" in caplog.text


@pytest.mark.parametrize("mended", [True, False])
async def test_a_stop_tries_a_held_sink_at_once_and_waits_no_longer_than_that_helps(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, mended: bool
) -> None:
    """Its next attempt was due long after the stop; where it fails, what stays is told with the cause."""
    attempts = 0

    @asynccontextmanager
    async def connect(_: SinkConfig) -> AsyncIterator[Sink]:
        nonlocal attempts
        attempts += 1
        if attempts == 1 or not mended:
            raise Unavailable("a right is missing", reason="forbidden", hold=True)
        yield Taker()

    async with scripted_hub() as hub, open_journal(tmp_path / "j.db", ["other"], 2**22, LIMITS) as journal:
        whole = bridge(hub, 20, other=SinkPlugin(SinkConfig, connect))
        await journal.append(messages(1, 3))
        presence = Presence("other", lambda: None, lambda: False)  # type: ignore[arg-type, return-value]  # never asked
        delivering = asyncio.create_task(whole._deliver("other", journal, presence))
        await until(lambda: whole._sink_links["other"].held, 5, "held")

        await asyncio.wait_for(whole._drain(journal), 5)

        assert (attempts, journal.lag("other").events) == (2, 0 if mended else 3)
        delivering.cancel()
    said = "sink other has not got events 1 to 3; .* due in (4[5-9]|5[0-9]|60) s: a right is missing"
    told = re.search(said, caplog.text)
    assert (told is None) == mended


async def test_a_stop_waits_for_one_sink_though_another_is_held(tmp_path: Path) -> None:
    async with scripted_hub() as hub, open_journal(tmp_path / "j.db", ["kafka", "mqtt"], 2**22, LIMITS) as journal:
        whole = bridge(hub, 20, kafka=SinkPlugin(SinkConfig, never), mqtt=SinkPlugin(SinkConfig, never))
        await journal.append(messages(1, 3))
        draining = asyncio.create_task(whole._drain(journal))
        await asyncio.sleep(0)
        held = asyncio.create_task(whole._sink_links["kafka"].pausing.wait(60, pausing.unchanged))
        page = await journal.read("mqtt", 3)
        assert not draining.done()

        await journal.settle("mqtt", page, 3, {})

        await asyncio.wait_for(draining, 2)
        held.cancel()


async def test_a_stop_tells_what_the_state_store_has_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is waited for as a sink is."""
    plugin = SinkPlugin(SinkConfig, never, state=lambda _: StateTopics("a broker", never))
    async with scripted_hub() as hub:
        whole = bridge(hub, 0.05, kafka=plugin)
        readers = ["kafka", *whole._states.readers]
        async with open_journal(tmp_path / "j.db", readers, 2**22, LIMITS) as journal:
            await journal.append(messages(1, 3))
            await journal.settle("kafka", await journal.read("kafka", 3), 3, {})

            await asyncio.wait_for(whole._drain(journal), 2)

    assert "{'kafka': 0, 'bridge/state': 3}" in caplog.text


async def test_a_lost_event_is_told_with_site_and_resources_and_counted(tmp_path: Path) -> None:
    async with scripted_hub() as hub:
        whole = bridge(hub)
        whole._settings = whole._settings.model_copy(update={"journal": core.Journal(path=tmp_path / "j.db")})
        whole._configuration = Configuration(whole._settings, {"kafka": (None, None)})  # type: ignore[dict-item]  # never connected
        async with whole._journal() as journal:
            await journal.append(messages(1, 1))
            await journal.append(messages(2, 1))
        with closing(sqlite3.connect(tmp_path / "j.db")) as database, database:
            database.execute("DELETE FROM chunk WHERE first = 1")

        whole = bridge(hub)
        whole._settings = whole._settings.model_copy(update={"journal": core.Journal(path=tmp_path / "j.db")})
        whole._configuration = Configuration(whole._settings, {"kafka": (None, None)})  # type: ignore[dict-item]  # as above
        async with whole._journal() as journal:
            told, rest = (await journal.read("kafka", 10)).messages

    assert rest.version == 2
    data = msgspec.json.decode(told.body)
    assert (data["cause"], data["lostEvents"], data["resources"]) == ("corruption", 1, ["tickets", "orders"])
    assert data["window"] == {"id": told.id, "from": None, "to": "1970-01-01T00:01:42.000Z"}
    labels = {"site": "default", "cause": "corruption"}
    assert whole._catalogue.registry.get_sample_value("portos_bridge_gaps_total", labels) == 1


@pytest.mark.parametrize(
    ("max_bytes", "growth"), [(2**23, "raise JOURNAL__MAX_BYTES"), (2**63, "make the volume of {} larger")]
)
async def test_a_journal_knows_what_would_make_it_larger(max_bytes: int, growth: str, tmp_path: Path) -> None:
    """The variable, unless the volume is the limit already."""
    async with scripted_hub() as hub:
        whole = bridge(hub)
        place = core.Journal(path=tmp_path / "j.db", max_bytes=max_bytes)
        whole._settings = whole._settings.model_copy(update={"journal": place})
        async with whole._journal() as journal:
            assert journal.room.growth == growth.format(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "heartbeat",
            "clock watch",
            "journal watch",
            "journal shrinking",
            "audit",
            "heap trimming",
            "dead letters",
            "settings",
        ),
        *("sink other", "state store", "states other", "hub"),
    ],
)
async def test_no_task_that_lasts_ends_without_the_liveness_probe(name: str, tmp_path: Path) -> None:
    """One that is cancelled by a library's mistake leaves no error behind, and an orderly stop fails no probe."""
    stop = asyncio.Event()

    async def talk(peer: Peer) -> None:
        await peer.accept()
        await peer.serve()

    async with scripted_hub() as hub:
        hub.script = talk
        parts = bridge(hub, drain_seconds=0.05)._settings
        own = {"journal": core.Journal(path=tmp_path / "j.db"), "admin": core.Admin(host="127.0.0.1", port=0)}
        topics = StateTopics("a broker", partial(away, SinkConfig()))
        sinks = {"other": (SinkPlugin(SinkConfig, away, state=lambda _: topics), SinkConfig())}
        running = _Bridge(Configuration(parts.model_copy(update=own), sinks))
        task = asyncio.create_task(running.run(stop, Sources(never, asyncio.Event())))
        await until(lambda: running._source_link.connected, 10, "subscribed")
        assert running._workers.dead == []

        (one,) = (task for task in asyncio.all_tasks() if task.get_name() == name)
        one.cancel()

        await until(lambda: running._workers.dead == [f"task {name}"], 5, "the task is missed")
        stop.set()
        await asyncio.wait_for(task, 10)


async def test_the_thread_that_keeps_states_does_not_end_without_the_liveness_probe(tmp_path: Path) -> None:
    """As that of the journal; where no sink has states there is none."""
    plugin = SinkPlugin(SinkConfig, never, state=lambda _: StateTopics("a broker", never))
    async with scripted_hub() as hub:
        whole = bridge(hub, kafka=plugin)
        whole._settings = whole._states._settings = whole._settings.model_copy(
            update={"journal": core.Journal(path=tmp_path / "j.db")}
        )
        async with whole._journal() as journal, whole._states.jobs(journal):
            whole._watch(journal, [])
            before = whole._workers.dead
            assert whole._states._store is not None

            whole._states._store._worker = threading.Thread()  # as one that has ended

            assert (before, whole._workers.dead) == ([], ["thread state"])


async def test_the_ledger_is_checked_once_more_at_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What went wrong since the last check is told by the process that did it."""
    monkeypatch.setattr(audit, "_EVERY_SECONDS", 1000)
    whole = Journal.append

    async def lose_one(self: Journal, batch: Sequence[Message], *rest: Any) -> bool:
        return await whole(self, batch[1:], *rest)

    monkeypatch.setattr(Journal, "append", lose_one)
    stop = asyncio.Event()

    async def talk(peer: Peer) -> None:
        await peer.accept()
        await peer.send(notification(0), notification(1))
        await peer.serve()

    async with scripted_hub() as hub:
        hub.script = talk
        parts = bridge(hub, drain_seconds=0.05)._settings
        own = {"journal": core.Journal(path=tmp_path / "j.db"), "admin": core.Admin(host="127.0.0.1", port=0)}
        running = _Bridge(Configuration(parts.model_copy(update=own), {}))
        task = asyncio.create_task(running.run(stop))
        await until(lambda: running._activity.received == 2 and not running._activity.waiting, 10, "taken")
        assert "does not balance" not in caplog.text

        stop.set()
        await asyncio.wait_for(task, 10)

    assert "the ledger of intake does not balance" in caplog.text


class Guarded(SinkConfig):
    """Settings of a sink with a password."""

    password: SecretStr


async def test_a_corrected_password_ends_every_hold_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the hub, and of a sink with its states and its copies: none of them waits for the rest of its pause."""
    monkeypatch.setattr(pausing, "_LOOK_SECONDS", 0.02)
    opened: list[str] = []

    def locked(kind: str) -> Any:
        @asynccontextmanager
        async def connect(config: Guarded) -> AsyncIterator[Any]:
            if config.password.get_secret_value() != "right":
                raise Unavailable("a wrong password", reason="unauthorized", hold=True)
            opened.append(kind)
            raise Unavailable("that will do", reason="network", hold=True)
            yield

        return connect

    async def judge(request: web.Request) -> web.StreamResponse:
        if (await request.json())["Password"] != "right":
            return web.json_response({"errorCode": 1}, status=401)
        opened.append("hub")
        return await answer(request)

    plugin: SinkPlugin[Guarded] = SinkPlugin(
        Guarded,
        locked("sink"),
        copies=lambda config: partial(locked("copies"), config),
        state=lambda config: StateTopics("a broker", partial(locked("states"), config)),
    )
    names = {"hub": "PORTOS_BRIDGE_AUTH__PASSWORD", "sink": "PORTOS_BRIDGE_SINK__OTHER__PASSWORD"}
    files = {variable: tmp_path / name for name, variable in names.items()}
    for file in files.values():
        file.write_text("wrong")
    async with scripted_hub() as hub:
        answer, hub.login = hub.login, judge
        own = {"journal": core.Journal(path=tmp_path / "j.db"), "admin": core.Admin(host="127.0.0.1", port=0)}
        parts = bridge(hub, drain_seconds=0.05)._settings.model_copy(update=own)
        sinks = {"other": (plugin, Guarded(password=SecretStr("wrong")))}
        running, stop = _Bridge(Configuration(parts, sinks, secret_files=files)), asyncio.Event()
        task = asyncio.create_task(running.run(stop))
        links = [running._source_link, *running._sink_links.values(), *running._states.links.values()]
        await until(lambda: all(link.failures for link in links) and running._source_link.held, 20, "all are held")

        for file in files.values():
            file.write_text("right")

        await until(lambda: {"hub", "sink", "states", "copies"} <= set(opened), 5, "all try again")
        stop.set()
        await asyncio.wait_for(task, 10)


async def test_a_rotation_at_the_hub_that_comes_to_nothing_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In the status, and in a line that says once which file it was; the connection stays."""
    monkeypatch.setattr(access, "_LOOK_SECONDS", 0.02)
    variable, file, stop = "PORTOS_BRIDGE_AUTH__PASSWORD", tmp_path / "password", asyncio.Event()
    file.write_text("secret")
    async with scripted_hub() as hub:
        own = {"journal": core.Journal(path=tmp_path / "j.db"), "admin": core.Admin(host="127.0.0.1", port=0)}
        parts = bridge(hub, drain_seconds=0.05)._settings.model_copy(update=own)
        running = _Bridge(Configuration(parts, {}, secret_files={variable: file}))
        task = asyncio.create_task(running.run(stop))
        link = running._source_link
        await until(lambda: link.connected, 10, "subscribed")

        file.write_bytes(b"\xff")

        await until(lambda: link.last_error, 10, "it is shown")
        assert link.connected
        stop.set()
        await asyncio.wait_for(task, 10)

    assert link.last_error.startswith(f"{variable} changed, and the bridge goes on with what it had, since now: ")
    (line,) = (record.getMessage() for record in caplog.records if "no second connection" in record.getMessage())
    assert line.count("changed") == 1


class Live:
    """A bridge that runs between a hub and a journal of its own, and the filter that its settings name next."""

    def __init__(self, hub: ScriptedHub, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reload, "_LOOK_SECONDS", 0.01)
        own = {
            "journal": core.Journal(path=path / "j.db"),
            "admin": core.Admin(host="127.0.0.1", port=free_port()),
            "settings_dir": path / "settings",
        }
        parts = bridge(hub, drain_seconds=0.05)._settings.model_copy(update=own)
        self.configuration = Configuration(parts, {})
        self.bridge = _Bridge(self.configuration)
        self.hangup = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(self.bridge.run(stop, Sources(lambda: self.configuration, self.hangup)))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(task, 10)

    async def change(self, **parts: Any) -> None:
        """Have other settings, and ask the bridge to read them."""
        settings = self.configuration.settings.model_copy(update=parts)
        self.configuration = Configuration(settings, {})
        before = self.value("config_reloads_total", "applied", "restart_needed")
        self.hangup.set()
        await until(
            lambda: self.value("config_reloads_total", "applied", "restart_needed") > before, 5, "the settings are read"
        )

    def value(self, name: str, *results: str, **labels: str) -> float:
        read = self.bridge._catalogue.registry.get_sample_value
        return sum(
            read(f"portos_bridge_{name}", labels | ({"result": result} if result else {})) or 0.0
            for result in results or ("",)
        )

    async def status(self) -> Any:
        url = f"http://127.0.0.1:{self.configuration.settings.admin.port}/status"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return await answer.json()


async def deaf(peer: Peer) -> None:
    """Be a hub that answers nothing."""
    await asyncio.Event().wait()


async def test_a_filter_changes_under_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event is what the filter of its moment makes of it; the hub sees one connection, and the ledger balances."""
    async with scripted_hub() as hub:
        live = Live(hub, tmp_path, monkeypatch)
        before = live.bridge._effective.fingerprint
        async with live.running():
            await until(lambda: live.bridge._source_link.connected, 5, "connected")
            (peer,) = hub.peers
            for first, filters in (
                (0, core.Filter()),
                (4, core.Filter(exclude_ids=("id-4", "id-5"))),
                (8, core.Filter()),
            ):
                if filters != live.configuration.settings.filter:
                    await live.change(filter=filters)
                await peer.send(*[notification(number) for number in range(first, first + 4)])
                await until(lambda: live.bridge._activity.received == first + 4, 5, "received")  # noqa: B023 - awaited
                await until(lambda: not live.bridge._activity.waiting, 5, "taken")

            assert len(hub.peers) == 1
            assert hub.asked("POST", "/api/auth") == 1
            assert live.value("events_filtered_total", site="default", reason="id") == 2
            assert live.value("events_received_total", site="default", resource="tickets", action="updated") == 12
            windows = 2  # the start, and what is kept again
            assert live.value("events_accepted_total", site="default") == 10 + windows
            assert live.value("source_blind_windows_total", site="default", cause="first_start") == windows
            assert live.value("config_reloads_total", "applied") == 2
            assert live.bridge._effective.fingerprint == before
            assert (await live.status())["restartNeeded"] == []


async def test_a_filter_that_changes_before_the_hub_is_there_is_the_one_to_begin_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked of a bridge that is about to start is not forgotten."""
    async with scripted_hub() as hub:
        hub.script = deaf
        live = Live(hub, tmp_path, monkeypatch)
        async with live.running():
            await live.change(filter=core.Filter(exclude_ids=("id-1",)))
            hub.script = polite
            await until(lambda: live.bridge._source_link.connected, 5, "connected")
            await hub.peers[-1].send(notification(0), notification(1), notification(2))
            await until(lambda: live.value("events_accepted_total", site="default") == 3, 5, "two and the window")

    assert live.value("events_filtered_total", site="default", reason="id") == 1


async def test_what_needs_a_restart_is_shown_until_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And changes nothing before: not the site of any event, no connection, no hash."""
    async with scripted_hub() as hub:
        live = Live(hub, tmp_path, monkeypatch)
        async with live.running():
            await until(lambda: live.bridge._source_link.connected, 5, "connected")
            before = (await live.status())["configuration"]

            await live.change(site="shop-7")

            status = await live.status()
            assert status["restartNeeded"] == ["PORTOS_BRIDGE_SITE"]
            assert (status["site"], status["configuration"]) == ("default", before)
            assert live.value("config_reloads_total", "restart_needed") == 1
            assert len(hub.peers) == 1
