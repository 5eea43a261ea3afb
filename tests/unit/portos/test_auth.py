"""Where tokens come from, how they are renewed, and what a refusal leads to."""

import asyncio
import logging
import math
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from bridge import log
from bridge.errors import ConfigError, Unavailable
from bridge.portos.auth import Tokens, tokens
from bridge.portos.grant import Grant, expiry, granted, lifetime, renewal
from bridge.portos.web import http_session
from bridge.settings.core import Auth
from bridge.source import SourceActivity
from tests.support import free_port, until
from tests.unit.portos.scripted_hub import ScriptedHub, jwt, settings

PASSWORD = "canary-password"


def login_settings(**changes: Any) -> Auth:
    return Auth(username="950", password=SecretStr(PASSWORD), device_name="BRIDGE1", **changes)


@asynccontextmanager
async def provided(
    hub: ScriptedHub, auth: Auth | None = None, activity: SourceActivity | None = None
) -> AsyncIterator[Tokens]:
    parts = settings(hub)
    async with (
        http_session(parts) as http,
        tokens(parts, auth or login_settings(), activity or SourceActivity(), http) as provider,
    ):
        yield provider


def refuse(status: int, **problem: Any) -> Any:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(problem, status=status)

    return answer


async def failed(hub: ScriptedHub) -> Unavailable:
    async with provided(hub) as provider:
        with pytest.raises(Unavailable) as caught:
            await provider.token()
    return caught.value


async def test_a_login_sends_the_documented_names(hub: ScriptedHub) -> None:
    """The login has the names that Portos documents, in their letter case."""
    async with provided(hub) as provider:
        got = await provider.token()

    assert got == hub.tokens[0]
    assert hub.bodies == [{"UserName": "950", "Password": PASSWORD, "DeviceName": "BRIDGE1"}]


async def test_what_a_login_answers_is_kept_out_of_every_log(hub: ScriptedHub) -> None:
    """Both tokens are known to the redaction by value, since they need not look like tokens."""

    async def log_in(_: web.Request) -> web.StreamResponse:
        return web.json_response({"tokenId": "plain-token-of-portos", "refreshToken": "what-renews-it"})

    hub.login = log_in
    async with provided(hub) as provider:
        await provider.token()

    shown = log.redacted("a library says plain-token-of-portos and what-renews-it")
    assert shown == "a library says ********** and **********"


async def test_a_good_token_is_given_again(hub: ScriptedHub) -> None:
    """Attempt after attempt uses the same session, since each new one may cost a seat of the licence."""
    async with provided(hub) as provider:
        assert await provider.token() == await provider.token()

    assert hub.asked("POST", "/api/auth") == 1


async def test_leaving_logs_out(hub: ScriptedHub) -> None:
    """The session is ended with its own token, and only if there is one."""
    async with provided(hub):
        pass
    async with provided(hub) as provider:
        await provider.token()

    assert hub.asked("DELETE", "/api/auth") == 1
    assert hub.bearers[-1] == f"Bearer {hub.tokens[0]}"


async def test_leaving_does_not_wait_for_a_hanging_server(hub: ScriptedHub) -> None:
    """A log-out that is never answered costs no more than the closing time."""

    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    hub.log_out = hang
    async with provided(hub) as provider:
        await provider.token()
        started = time.monotonic()

    assert time.monotonic() - started < 1


async def test_a_token_is_refreshed_ahead_of_its_expiry(hub: ScriptedHub) -> None:
    """The next attempt finds a good token without waiting, and nobody has logged in again."""
    hub.lifetime_seconds = 2
    activity = SourceActivity()
    async with provided(hub, activity=activity) as provider:
        first = await provider.token()
        await until(lambda: hub.asked("POST", "/api/auth/refresh") >= 1 and len(hub.tokens) >= 2, 3, "a refresh")
        await until(lambda: activity.token_requests.get("ok") == 2, 1, "the answer has been taken")
        second = await provider.token()

    assert second == hub.tokens[1] != first
    assert hub.asked("POST", "/api/auth") == 1
    assert hub.bodies[1] == {"tokenId": first, "refreshToken": "refresh-1"}
    assert activity.token_expires_at == expiry(second)


async def test_a_clock_that_is_set_back_delays_no_refresh(hub: ScriptedHub, set_clock: Callable[[float], None]) -> None:
    """The hub's clock goes on, and a token that is over costs the connection."""
    hub.lifetime_seconds = 2
    async with provided(hub) as provider:
        first = await provider.token()

        set_clock(-3600)

        await until(lambda: hub.asked("POST", "/api/auth/refresh") >= 1 and len(hub.tokens) >= 2, 3, "a refresh")
        await until(provider.token, 1, "a token")
        assert await provider.token() != first


@pytest.mark.parametrize("ahead", [3600, -3600])
async def test_a_token_is_refreshed_in_time_by_the_hubs_clock(hub: ScriptedHub, ahead: float) -> None:
    """Its expiry is told by that clock, and so is the time, in the `Date` of the same answer."""

    async def answer(request: web.Request) -> web.StreamResponse:
        answer = await hub._login(request)
        answer.headers["Date"] = formatdate(time.time() + ahead, usegmt=True)
        return answer

    hub.lifetime_seconds = 3 + ahead
    hub.login = hub.refresh = answer
    async with provided(hub) as provider:
        await provider.token()

        await until(lambda: len(hub.tokens) >= 2, 4, "a refresh")

    assert hub.asked("POST", "/api/auth") == 1


async def test_a_refused_token_is_refreshed_first(hub: ScriptedHub) -> None:
    """After a 401 the session is refreshed; only if that fails a login follows."""
    async with provided(hub) as provider:
        await provider.token()
        assert provider.refused()
        assert await provider.token() == hub.tokens[1]
        assert not provider.refused()
        hub.refresh = refuse(401, errorCode=1)
        assert await provider.token() == hub.tokens[2]

    assert hub.asked("POST", "/api/auth/refresh") == 2
    assert hub.asked("POST", "/api/auth") == 2


async def test_a_refresh_that_fails_for_another_cause_leads_to_no_login(hub: ScriptedHub) -> None:
    """A server in trouble gets no second session."""
    async with provided(hub) as provider:
        await provider.token()
        provider.refused()
        hub.refresh = refuse(503)
        with pytest.raises(Unavailable) as caught:
            await provider.token()

    assert caught.value.reason == "refused"
    assert hub.asked("POST", "/api/auth") == 1


async def test_a_session_that_is_over_is_replaced_whatever_the_refresh_answers(hub: ScriptedHub) -> None:
    """A server that fails at every refresh, after its restart perhaps, does not keep the bridge out for ever."""
    hub.lifetime_seconds = 0.2
    hub.refresh = refuse(500)
    async with provided(hub) as provider:
        first = await provider.token()
        await until(lambda: time.time() > (expiry(first) or 0), 2, "the token's expiry")
        provider.refused()

        second = await provider.token()

    assert second == hub.tokens[1] != first
    assert hub.asked("POST", "/api/auth") == 2


async def test_an_accepted_token_ends_the_series_of_refusals(hub: ScriptedHub) -> None:
    """The first refusal after a good connection is a first one again."""
    async with provided(hub) as provider:
        assert provider.refused()
        assert not provider.refused()
        provider.accepted()
        assert provider.refused()


async def test_two_refreshes_never_run_at_once(hub: ScriptedHub) -> None:
    """The refresh token may be good for one use only: whoever comes second gets the first one's token."""
    running = most = 0
    refresh = hub.refresh

    async def slow(request: web.Request) -> web.StreamResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.1)
        running -= 1
        return await refresh(request)

    hub.refresh = slow
    async with provided(hub) as provider:
        await provider.token()
        provider.refused()
        got = await asyncio.gather(provider.token(), provider.token(), provider.token())

    assert most == 1
    assert len(set(got)) == 1
    assert hub.asked("POST", "/api/auth/refresh") == 1


async def test_wrong_credentials_are_held_after_some_tries(hub: ScriptedHub) -> None:
    """A password that stays wrong leads to an attempt a minute (row 8), named by its variables."""
    hub.login = refuse(401, errorCode=1, title="Neprihlásený")
    errors = []
    async with provided(hub) as provider:
        for _ in range(5):
            with pytest.raises(Unavailable) as caught:
                await provider.token()
            errors.append(caught.value)

    assert [error.hold for error in errors] == [False, False, False, True, True]
    assert {error.reason for error in errors} == {"unauthorized"}
    assert "PORTOS_BRIDGE_AUTH__PASSWORD" in str(errors[0])
    assert hub.asked("POST", "/api/auth") == 5


@pytest.mark.parametrize(
    ("status", "problem", "reason", "hold"),
    [
        (403, {}, "forbidden", True),
        (403, {"errorCode": 2}, "forbidden", True),
        (400, {"errorCode": 4}, "forbidden", True),
        (200, {"errorCode": 4}, "forbidden", True),
        (400, {"errorCode": 1}, "unauthorized", False),
        (400, {"errorCode": 3}, "protocol", False),
        (404, {}, "protocol", False),
        (200, {}, "protocol", False),
        (200, {"tokenId": 5}, "protocol", False),
        (423, {"errorCode": 5}, "refused", False),
        (429, {}, "refused", False),
        (500, {}, "refused", False),
        (503, {"error": "tunnel", "errorCode": 9}, "refused", False),
    ],
)
async def test_a_refused_login_is_told_by_code_and_status(
    hub: ScriptedHub,
    status: int,
    problem: dict[str, Any],
    reason: str,
    hold: bool,  # noqa: FBT001
) -> None:
    """What Portos says in `errorCode` counts first, then the status."""
    hub.login = refuse(status, **problem)

    error = await failed(hub)

    assert (error.reason, error.hold) == (reason, hold)


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_server_that_is_no_portos_raises_the_question_of_the_address(hub: ScriptedHub, status: int) -> None:
    """Any web server answers a POST somehow: the text names the variable to look at."""
    hub.login = refuse(status)

    assert "PORTOS_BRIDGE_HUB__URL" in str(await failed(hub))


async def test_a_server_that_is_not_there_is_refused() -> None:
    """Without a server a token is unavailable, not an error of the program."""
    error = await failed(ScriptedHub(free_port()))

    assert error.reason == "refused"


@pytest.mark.parametrize("environment", ["CashRegister", "PDA", "cashregister"])
async def test_a_sale_device_is_a_configuration_error(hub: ScriptedHub, environment: str) -> None:
    """A login on a cashier's device names the variable to change and gives the session back at once."""
    hub.environment = environment
    async with provided(hub) as provider:
        with pytest.raises(ConfigError, match="PORTOS_BRIDGE_AUTH__DEVICE_NAME"):
            await provider.token()

        assert hub.asked("DELETE", "/api/auth") == 1


async def test_no_secret_reaches_an_error_or_a_log(hub: ScriptedHub, caplog: pytest.LogCaptureFixture) -> None:
    """Password, token and refresh token appear in no log at its most talkative and in no traceback."""
    caplog.set_level(logging.DEBUG)
    hub.refresh = refuse(500)
    async with provided(hub) as provider:
        token = await provider.token()
        provider.refused()
        with pytest.raises(Unavailable) as caught:
            await provider.token()

    text = caplog.text + "".join(traceback.format_exception(caught.value)) + repr(vars(provider))
    for secret in (PASSWORD, token, "refresh-1"):
        assert secret not in text


async def test_requests_are_counted_by_result(hub: ScriptedHub) -> None:
    """Every login and refresh is counted once, by how it went."""
    activity = SourceActivity()
    async with provided(hub, activity=activity) as provider:
        await provider.token()
        provider.refused()
        hub.refresh = refuse(500)
        with pytest.raises(Unavailable):
            await provider.token()

    assert activity.token_requests == {"ok": 1, "refused": 1}


async def test_a_static_token_is_given_as_it_is(hub: ScriptedHub) -> None:
    """A token of the settings is used without a login, and its expiry is told."""
    token = jwt(100)
    activity = SourceActivity()
    async with provided(hub, Auth(scheme="static", token=SecretStr(token)), activity) as provider:
        assert await provider.token() == token
        assert provider.refused()
        assert await provider.token() == token

    assert hub.requests == []
    assert activity.token_expires_at == expiry(token)


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "a.bnVsbA.c", "a.e30.c", "a.eyJleHAiOiJ4In0.c", "a.é.c"])
def test_a_token_that_says_nothing_has_no_expiry(token: str) -> None:
    """What is no JWT, or one without `exp`, is a token all the same."""
    assert expiry(token) is None


@pytest.mark.parametrize(
    ("lifetime", "after"),
    [(3600, 2880), (300, 240), (100, 50), (5, 2.5), (0.5, 1), (-5, 600), (None, 600)],
)
def test_a_token_is_renewed_at_the_earlier_of_two_moments(lifetime: float | None, after: float) -> None:
    """80 % of the lifetime or a minute before its end, never in a tight loop."""
    expires_at = None if lifetime is None else 1000 + lifetime

    assert renewal(1000, expires_at, login_settings()) == pytest.approx(1000 + after)


@pytest.mark.parametrize("name", ["tokenId", "TokenId", "accessToken", "AccessToken"])
def test_old_and_new_names_of_the_token_are_understood(name: str) -> None:
    """Portos 3 and Portos 4 name the token differently."""
    grant = granted("login", f'{{"{name}":"t","RefreshToken":"r"}}'.encode())

    assert isinstance(grant, Grant)
    assert (grant.token, grant.refresh_token, grant.environment) == ("t", "r", "")


def test_a_token_that_is_over_when_it_comes_is_good_for_ever() -> None:
    """It says that the clocks differ: a connection must not get one successor after another for it."""
    now = time.time()

    assert lifetime(jwt(60), now) == pytest.approx(60, abs=1)
    assert lifetime(jwt(-60), now) == math.inf
    assert lifetime("no token", now) == math.inf
