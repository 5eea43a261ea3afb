"""How Portos is reached: what a request is given for the settings, and what a proxy that bars the way is said to be."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate

import pytest
from yarl import URL

from bridge.errors import Unavailable
from bridge.portos import web
from bridge.portos.negotiate import negotiate
from bridge.portos.web import http_session, way
from bridge.settings.core import Hub
from bridge.settings.loading import secret_values


def hub(proxy: str) -> Hub:
    return Hub.model_validate({"url": "https://hub.example:3000", "proxy_url": proxy})


@asynccontextmanager
async def proxy(answer: bytes) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that answers this to everybody; gives its address and what it was told."""
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


async def refused(parts: Hub) -> Unavailable:
    async with http_session(parts) as http:
        with pytest.raises(Unavailable) as caught:
            await negotiate(http, URL(parts.url), "token-1")
    return caught.value


def test_user_and_password_of_a_proxy_go_to_it_alone_and_in_no_address() -> None:
    """Percent-encoded as in every address, and as UTF-8, whatever they are made of."""
    options = way(hub("http://br%40dge:p%C3%A4ss%3A@proxy:3128")).options

    assert str(options["proxy"]) == "http://proxy:3128"
    assert options["proxy_headers"] == {"Proxy-Authorization": "Basic YnJAZGdlOnDDpHNzOg=="}


def test_the_password_for_a_proxy_is_a_secret_by_itself() -> None:
    """As it is written, and as it is meant: a library may say either."""
    found = set(secret_values(hub("http://bridge:p%40ss@proxy:3128")))

    assert found == {"http://bridge:p%40ss@proxy:3128", "p%40ss", "p@ss"}


@pytest.mark.parametrize(
    ("status", "said", "held"),
    [
        (407, "HTTP status 407: check user name and password in it", True),
        (403, "does not let the bridge connect to the address in PORTOS_BRIDGE_HUB__URL", True),
        (503, "HTTP status 503", False),
    ],
)
async def test_a_proxy_that_bars_the_way_is_not_taken_for_the_hub(status: int, said: str, held: bool) -> None:  # noqa: FBT001
    """No new token, no new login and no doubt of a right follow from it; it is told nothing but where to."""
    async with proxy(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()) as (address, heads):
        error = await refused(hub(f"http://bridge:secret@{address}"))

    assert "PORTOS_BRIDGE_HUB__PROXY_URL" in str(error)
    assert said in str(error)
    assert (error.reason, error.hold) == ("network", held)
    assert heads[0].startswith("CONNECT hub.example:3000 HTTP/1.1\r\n")
    assert "token-1" not in heads[0]


async def test_a_proxy_that_is_not_there_is_named() -> None:
    """It may come back by itself, so nobody has to act."""
    async with proxy(b"") as (address, _):
        pass

    error = await refused(hub(f"http://{address}"))

    assert "the proxy in PORTOS_BRIDGE_HUB__PROXY_URL: " in str(error)
    assert (error.reason, error.hold) == ("network", False)


async def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is meant for other programs would stand between the bridge and its hub."""
    async with proxy(b"HTTP/1.1 407 No\r\n\r\n") as (address, heads):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
        error = await refused(Hub(url="https://127.0.0.1:1"))

    assert (error.reason, str(error)) == ("refused", "negotiate: 127.0.0.1:1: Connection refused")
    assert heads == []


async def test_a_name_server_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline of the whole attempt would only say that there is no connection."""

    async def silence(*_: object, **_options: object) -> None:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(web, "_NAME_SECONDS", 0.05)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", silence)

    error = await refused(Hub(url="http://hub.example:3000"))

    assert str(error) == "negotiate: the name hub.example is not resolved: no name server answers"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            socket.gaierror(-2, "Name or service not known"),
            "negotiate: hub.example:3000: Name or service not known; is PORTOS_BRIDGE_HUB__URL right?",
        ),
        (OSError(113, "No route to host"), "negotiate: hub.example:3000: No route to host"),
    ],
)
async def test_a_hub_that_is_not_reached_is_named(error: OSError, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fail)

    assert str(await refused(Hub(url="http://hub.example:3000"))) == said


@pytest.mark.parametrize(("doing", "path"), [("negotiate", True), ("POST /api/auth", False)])
def test_a_server_that_has_no_hub_there_is_told_with_what_leads_to_it(doing: str, path: bool) -> None:  # noqa: FBT001
    said = str(web.refusal(doing, 405))

    assert "PORTOS_BRIDGE_HUB__URL" in said
    assert ("PORTOS_BRIDGE_HUB__PATH" in said) == path


NOON = 1_774_958_400.0  # 2026-03-31T12:00:00Z


@pytest.mark.parametrize(
    ("asked", "date", "answered", "ahead"),
    [
        (0.5, 0, 0.5, 0.0),
        (0.9, 1, 1.1, 0.5),
        (0.5, 3600, 0.5, 3600.0),
        (0.5, -90, 2.5, -91.0),
        (0.5, 10, 10.5, None),  # a hub that stood still for 10 s, and then answered
        (0.5, 0, 10.5, None),  # or answered, and its answer was on the way for 10 s
        (0.5, 40, 10.5, 35.0),  # which equal clocks do not explain
        (0.5, 2, 2.4, 1.05),  # too little for anybody to call it a difference
    ],
)
def test_the_hubs_clock_is_not_wrong_for_an_answer_that_took_its_time(
    asked: float, date: int, answered: float, ahead: float | None
) -> None:
    headers = {"Date": formatdate(NOON + date, usegmt=True)}

    assert web.ahead_by(headers, NOON + asked, NOON + answered) == (None if ahead is None else pytest.approx(ahead))
