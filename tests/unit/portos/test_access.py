"""The files that let the bridge in at Portos: a change is taken up by a new connection, or takes none away."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from bridge import log, renewal
from bridge.errors import Unavailable
from bridge.portos import access as access_module
from bridge.portos.access import Access
from bridge.portos.auth import tokens
from bridge.portos.source import connect
from bridge.portos.web import http_session
from bridge.settings.core import Auth, Subscribe
from bridge.source import SourceActivity
from tests.support import until
from tests.unit.hanging import Hanging
from tests.unit.portos.scripted_hub import ScriptedHub, settings

PASSWORD = "PORTOS_BRIDGE_AUTH__PASSWORD"
TOKEN = "PORTOS_BRIDGE_AUTH__TOKEN"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_module, "_LOOK_SECONDS", 0.02)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the secret, whichever that is."""
    made = tmp_path / "secret"
    made.write_text("first-4711\n")
    return made


def write(file: Path, content: str | bytes | None) -> None:
    """Replace what a file holds, or take it away."""
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)


def login(**changes: Any) -> Auth:
    return Auth.model_validate({"username": "950", "password": "first-4711", "device_name": "B1"} | changes)


@asynccontextmanager
async def accessing(
    hub: ScriptedHub, auth: Auth, files: dict[str, Path], hold: float = 60, settled: Callable[[], None] = lambda: None
) -> AsyncIterator[Access]:
    """Give what opens connections, with its files watched."""
    parts, activity = settings(hub, connect_seconds=5), SourceActivity()
    async with http_session(parts) as http, tokens(parts, auth, activity, http) as provider:
        subscribe = Subscribe(resources=("tickets", "orders"))
        open_one = partial(connect, parts, subscribe, "default", provider, activity, http)
        access = Access(parts, auth, files, http, provider, open_one, hold, settled)
        watching = asyncio.create_task(access.watch())
        try:
            yield access
        finally:
            watching.cancel()
            await asyncio.wait((watching,))


def passwords(hub: ScriptedHub) -> list[str]:
    return [body["Password"] for body in hub.bodies if "Password" in body]


def takes(hub: ScriptedHub, password: str) -> None:
    """Let the hub take this password alone."""
    answer = hub.login

    async def judge(request: web.Request) -> web.StreamResponse:
        if (await request.json())["Password"] == password:
            return await answer(request)
        hub.bodies.append(await request.json())
        return web.json_response({"errorCode": 1}, status=401)

    hub.login = judge


async def test_a_changed_password_is_a_new_login_and_the_old_session_ends_with_its_connection(
    hub: ScriptedHub, file: Path
) -> None:
    """Not before: the hub might drop the connection that is still read."""
    async with accessing(hub, login(), {PASSWORD: file}) as access:
        async with access.connect(asyncio.Event()):
            assert access.changed() == ""
            write(file, "second-4712")
            await until(lambda: access.changed() == PASSWORD, 5, "the change is seen")
            second = access.connect(asyncio.Event())
            await second.__aenter__()
            assert access.changed() == ""
            assert hub.asked("DELETE", "/api/auth") == 0

        assert passwords(hub) == ["first-4711", "second-4712"]
        assert hub.bearers[hub.requests.index(("DELETE", "/api/auth"))] == f"Bearer {hub.tokens[0]}"
        await second.__aexit__(None, None, None)
        assert hub.asked("DELETE", "/api/auth") == 1
    assert hub.asked("DELETE", "/api/auth") == 2


async def test_a_changed_token_is_taken_by_the_next_connection(hub: ScriptedHub, file: Path) -> None:
    """The scheme `static` has no login; the log knows both of them."""
    auth = Auth(scheme="static", token=SecretStr("first-4711"))

    async with accessing(hub, auth, {TOKEN: file}) as access:
        for secret in ("first-4711", "second-4712"):
            write(file, secret)
            async with access.connect(asyncio.Event()):
                pass

    assert list(dict.fromkeys(hub.bearers)) == ["Bearer first-4711", "Bearer second-4712"]
    assert log.redacted("first-4711 second-4712") == "********** **********"


async def test_a_refused_password_takes_no_session_away(hub: ScriptedHub, file: Path) -> None:
    """The next connection has what was good before, at once; the new one is tried again after the pause."""
    takes(hub, "first-4711")

    async with accessing(hub, login(), {PASSWORD: file}, hold=0.5) as access, access.connect(asyncio.Event()):
        write(file, "wrong-4712")
        await until(access.changed, 5, "the change is seen")
        with pytest.raises(Unavailable, match=f"{PASSWORD} changed, and the bridge goes on with what it had") as caught:
            async with access.connect(asyncio.Event()):
                pytest.fail("connected")
        assert access.changed() == ""
        async with access.connect(asyncio.Event()):
            pass
        await until(access.changed, 5, "tried again after the pause")

    assert (caught.value.reason, caught.value.at_once) == ("unauthorized", True)
    assert "wrong-4712" not in str(caught.value)
    assert passwords(hub) == ["first-4711", "wrong-4712"]
    assert hub.asked("POST", "/api/auth/refresh") == 0


async def test_a_file_that_is_as_it_was_again_is_told(
    hub: ScriptedHub, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After a change that came to nothing there is one line more, once, and no new connection."""
    caplog.set_level(logging.INFO)
    async with accessing(hub, login(), {PASSWORD: file}) as access, access.connect(asyncio.Event()):
        write(file, None)
        with pytest.raises(Unavailable):
            async with access.connect(asyncio.Event()):
                pytest.fail("connected")
        assert "as it was again" not in caplog.text

        write(file, "first-4711\n")

        await until(lambda: "as it was again" in caplog.text, 5, "it is told")
        assert access.changed() == ""
        await asyncio.sleep(0.1)
    assert caplog.text.count(f"{PASSWORD}: as it was again") == 1


@pytest.mark.parametrize("content", ["first-4711\n", "second-4712\n"])
async def test_a_change_is_settled_once_nothing_of_it_is_left(hub: ScriptedHub, file: Path, content: str) -> None:
    """Not by a connection that is made with what was good before it."""
    anything = hub.login
    takes(hub, "first-4711")
    calls: list[None] = []

    async with (
        accessing(hub, login(), {PASSWORD: file}, settled=lambda: calls.append(None)) as access,
        access.connect(asyncio.Event()),
    ):
        write(file, "wrong-4712")
        with pytest.raises(Unavailable):
            async with access.connect(asyncio.Event()):
                pytest.fail("connected")
        async with access.connect(asyncio.Event()):
            assert len(calls) == 1, "the first connection"
        hub.login = anything
        takes(hub, content.strip())
        write(file, content)
        await until(lambda: len(calls) == 2 or access.changed(), 5, "the correction is seen")
        async with access.connect(asyncio.Event()):
            pass

    assert len(calls) >= 2


async def test_a_login_that_was_taken_stays_though_the_connection_failed(hub: ScriptedHub, file: Path) -> None:
    """The password before it may be good no more."""
    async with accessing(hub, login(), {PASSWORD: file}) as access, access.connect(asyncio.Event()):
        takes(hub, "second-4712")
        write(file, "second-4712")
        negotiate = hub.negotiate
        hub.negotiate = refusing
        with pytest.raises(Unavailable):
            async with access.connect(asyncio.Event()):
                pytest.fail("connected")
        hub.negotiate = negotiate

        async with access.connect(asyncio.Event()):
            pass

    assert passwords(hub) == ["first-4711", "second-4712"]


async def refusing(_: web.Request) -> web.StreamResponse:
    return web.Response(status=503)


@pytest.mark.parametrize("content", [None, b"", b"\xff"])
async def test_a_secret_that_is_gone_is_named_and_disturbs_nothing(
    hub: ScriptedHub, file: Path, content: bytes | None
) -> None:
    """The first connection that finds it so fails, held; the next one goes on with what was good."""
    async with accessing(hub, login(), {PASSWORD: file}) as access:
        async with access.connect(asyncio.Event()):
            pass
        write(file, content)

        with pytest.raises(Unavailable, match=f"{PASSWORD}: its file") as caught:
            async with access.connect(asyncio.Event()):
                pytest.fail("connected")
        async with access.connect(asyncio.Event()):
            pass

    assert (caught.value.hold, caught.value.at_once) == (True, True)


async def test_the_first_connection_has_nothing_to_go_on_with(hub: ScriptedHub, file: Path) -> None:
    """What is wrong then is held, until the files are right."""
    write(file, None)

    async with accessing(hub, login(), {PASSWORD: file}) as access:
        with pytest.raises(Unavailable) as caught:
            async with access.connect(asyncio.Event()):
                pytest.fail("connected")
        write(file, "second-4712")
        async with access.connect(asyncio.Event()):
            pass

    assert (caught.value.hold, caught.value.at_once) == (True, False)
    assert passwords(hub) == ["second-4712"]


async def test_settings_without_files_never_change(hub: ScriptedHub) -> None:
    """Nobody looks at anything."""
    async with accessing(hub, login(), {}) as access:
        async with access.connect(asyncio.Event()):
            assert access.changed() == ""
        await asyncio.wait_for(access.watch(), 1)


async def test_a_file_that_hangs_takes_no_connection_away_and_is_taken_up_later(
    hub: ScriptedHub, file: Path, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread after the other is given to it; a mount in place of the old one is found."""
    monkeypatch.setattr(access_module, "_ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(renewal, "_LATE_SECONDS", 0.1)

    async with accessing(hub, login(), {PASSWORD: file}) as access, access.connect(asyncio.Event()) as session:
        hanging.begin(file)
        for _ in range(10):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1), access.connect(asyncio.Event()):
                    pytest.fail("connected")
        assert (session.ended, access.changed()) == (None, "")
        assert hanging.threads <= 5
        hanging.mount_anew(file, "second-4712\n")

        await until(lambda: access.changed() == PASSWORD, 20, "the change is seen")
        async with access.connect(asyncio.Event()):
            pass

    assert passwords(hub) == ["first-4711", "second-4712"]
