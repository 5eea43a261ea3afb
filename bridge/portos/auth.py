"""Where the token comes from: given, or got by logging in, renewed ahead of its expiry, and given back on leaving.

The source asks for a token on every attempt and reports whether the hub took it. Texts of errors name the call and the
status, never what was sent or answered: both hold secrets.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp
from pydantic import SecretStr

from bridge import clock
from bridge.errors import ConfigError, Unavailable
from bridge.log import redact
from bridge.portos import web
from bridge.portos.grant import Grant, expiry, granted, renewal
from bridge.portos.tasks import beside
from bridge.settings.core import Auth, Hub
from bridge.source import SourceActivity

__all__ = ["Login", "Tokens", "tokens"]

_log = logging.getLogger(__name__)

_SALE_ENVIRONMENTS: Final = frozenset({"cashregister", "pda"})
_PATIENCE: Final = 3  # after so many refused logins in a row an operator must act, and attempts are held
_FIRST_RETRY_SECONDS: Final = 5
_LAST_RETRY_SECONDS: Final = 60


class Tokens(Protocol):
    """Gives tokens to one attempt after another; never used by two attempts at once."""

    async def token(self) -> str:
        """Give a token that should be good; raises `Unavailable`, or `ConfigError` on a device of the wrong kind."""
        ...

    def accepted(self) -> None:
        """Report that the hub took the token."""
        ...

    def refused(self) -> bool:
        """Report that the hub answered 401: the next token is a new one. True for the first time in a row."""
        ...

    @property
    def refusals(self) -> int:
        """How often in a row the hub has refused."""
        ...


class Login(Tokens, Protocol):
    """Gives tokens by a login that may be replaced by another one."""

    def use(self, auth: Auth) -> None:
        """Log in with these from now on; the next token is one of a session that began with them."""
        ...

    @property
    def logged_in_with(self) -> Auth | None:
        """What the session was begun with; None without a session."""
        ...

    async def end_former(self) -> None:
        """Log out of the sessions that another login has replaced; never waits for long, never fails."""
        ...


@asynccontextmanager
async def tokens(hub: Hub, auth: Auth, activity: SourceActivity, http: web.Http) -> AsyncIterator[Login]:
    """Provide tokens. Entering does not wait; leaving logs out, within the hub's `close_seconds`."""
    if auth.scheme == "static":
        yield _Given(auth, activity)
        return
    login = _Login(hub, auth, activity, http)
    try:
        async with beside(token_renewal=login.renew_in_time()):
            yield login
    finally:
        await login.log_out()


class _Streak:
    """Counts how often in a row the hub has refused a token."""

    refusals = 0

    def accepted(self) -> None:
        self.refusals = 0

    def refused(self) -> bool:
        self.refusals += 1
        return self.refusals == 1


class _Given(_Streak):
    """The token of the settings, the same one for as long as these are."""

    logged_in_with = None

    def __init__(self, auth: Auth, activity: SourceActivity) -> None:
        self._activity = activity
        self.use(auth)

    def use(self, auth: Auth) -> None:
        self._token = _revealed(auth.token)
        self._activity.token_expires_at = expiry(self._token)

    async def token(self) -> str:
        return self._token

    async def end_former(self) -> None:
        """Do nothing: there is no session."""


@dataclass(frozen=True, slots=True, repr=False)
class _Session:
    """A login at Portos: what it was made with, its token, what renews it, and when that is due by the loop's clock."""

    auth: Auth
    token: str
    refresh_token: str | None
    renew_at: float


class _Login(_Streak):
    """A session of the bridge's own user on its own device."""

    def __init__(self, hub: Hub, auth: Auth, activity: SourceActivity, http: web.Http) -> None:
        self._hub = hub
        self._auth = auth
        self._activity = activity
        self._http = http
        self._clock = asyncio.get_running_loop().time
        self._session: _Session | None = None
        self._former: list[_Session] = []
        self._good = False
        self._one_at_a_time = asyncio.Lock()
        self._renewable = asyncio.Event()
        self._refused_logins = 0

    async def token(self) -> str:
        async with self._one_at_a_time:
            former = self._session
            if former and former.auth != self._auth:
                session = await self._logged_in()
                self._former.append(former)
                return session.token
            if self._session and self._good and self._clock() < self._session.renew_at:
                return self._session.token
            session = await self._refreshed() or await self._logged_in()
            return session.token

    def refused(self) -> bool:
        self._good = False
        return super().refused()

    async def renew_in_time(self) -> None:
        """Renew the token whenever that is due, so that the next attempt finds a good one; never returns.

        It never logs in: a session that cannot be renewed is replaced by the next attempt, and not before.
        """
        pause: float = _FIRST_RETRY_SECONDS
        while True:
            await self._renewable.wait()
            if self._session and (early := self._session.renew_at - self._clock()) > 0:
                await asyncio.sleep(min(early, _LAST_RETRY_SECONDS))  # in steps: another login may come
                continue
            try:
                async with asyncio.timeout(self._hub.connect_seconds), self._one_at_a_time:
                    await self._refreshed()
                pause = _FIRST_RETRY_SECONDS
            except (Unavailable, TimeoutError) as error:
                _log.warning("the token is not renewed, next try in %g s: %s", pause, str(error) or "no answer in time")
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LAST_RETRY_SECONDS)

    async def log_out(self) -> None:
        """End the session, so that it holds no seat of the licence; never waits for long, never fails."""
        session, self._session = self._session, None
        await self.end_former()
        if session is not None:
            await self._end(session)

    def use(self, auth: Auth) -> None:
        self._auth = auth

    @property
    def logged_in_with(self) -> Auth | None:
        return self._session.auth if self._session else None

    async def end_former(self) -> None:
        while self._former:
            await self._end(self._former.pop())

    async def _end(self, session: _Session) -> None:
        url, headers = f"{self._hub.url}/api/auth", {"Authorization": f"Bearer {session.token}"}
        try:
            async with (
                asyncio.timeout(self._hub.close_seconds),
                self._http.delete(url, headers=headers) as response,
            ):
                _log.info("logged out of Portos (status %d)", response.status)
        except (aiohttp.ClientError, OSError) as error:
            _log.info("not logged out of Portos: %s", web.failure("DELETE /api/auth", error))

    async def _refreshed(self) -> _Session | None:
        """Refresh the session; None if there is none that can be.

        Other errors lead to no login while the session still holds: a second one might cost a seat of the licence.
        """
        session = self._session
        if session is None or session.refresh_token is None:
            self._renewable.clear()
            return None
        request = {"tokenId": session.token, "refreshToken": session.refresh_token}
        try:
            grant = await self._post("/api/auth/refresh", request)
        except Unavailable as error:
            if error.reason in ("unauthorized", "protocol") or self._over(session.token):
                _log.info("the session cannot be renewed, a new login is next: %s", error)
                self._session = None
                self._renewable.clear()
                return None
            raise
        return self._take(session.auth, grant, session.refresh_token)

    async def _logged_in(self) -> _Session:
        auth = self._auth
        request = {"UserName": auth.username, "Password": _revealed(auth.password), "DeviceName": auth.device_name}
        try:
            grant = await self._post("/api/auth", request)
        except Unavailable as error:
            if error.reason != "unauthorized":
                raise
            self._refused_logins += 1
            text = "Portos refused the login: check PORTOS_BRIDGE_AUTH__USERNAME and PORTOS_BRIDGE_AUTH__PASSWORD"
            raise Unavailable(text, reason="unauthorized", hold=self._refused_logins > _PATIENCE) from error
        self._refused_logins = 0
        session = self._take(auth, grant, None)
        if grant.environment.lower() in _SALE_ENVIRONMENTS:
            await self.log_out()
            problem = (
                f"PORTOS_BRIDGE_AUTH__DEVICE_NAME: the device is of the environment {grant.environment}, where a login "
                "throws the cashier out: make a device of the environment Tool for the bridge"
            )
            raise ConfigError([problem])
        return session

    async def _post(self, path: str, request: Mapping[str, str | None]) -> Grant:
        """Ask for a token and count the result."""
        doing = f"POST {path}"
        try:
            asked_at = time.time()
            async with self._http.post(f"{self._hub.url}{path}", json=request) as response:
                if (offset := web.ahead_by(response.headers, asked_at, time.time())) is not None:
                    self._activity.clock_measured(offset, clock.ahead())
                answer = granted(doing, await web.body(response))
                if not response.ok and not (isinstance(answer, Unavailable) and answer.reason != "protocol"):
                    answer = web.refusal(doing, response.status)
        except Unavailable as error:
            answer = error
        except (aiohttp.ClientError, OSError) as error:
            answer = web.failure(doing, error)
        except asyncio.CancelledError:
            self._count("timeout")  # by the deadline of the attempt, or by the end of the program
            raise
        if isinstance(answer, Unavailable):
            self._count(answer.reason)
            raise answer from None  # the original holds what was sent
        self._count("ok")
        return answer

    def _take(self, auth: Auth, grant: Grant, refresh_token: str | None) -> _Session:
        now, expires_at = self._hub_time(), expiry(grant.token)
        refresh_token = grant.refresh_token or refresh_token
        for secret in filter(None, (grant.token, refresh_token)):
            redact(secret)  # none of our texts has it, but a library's might
        due = self._clock() + renewal(now, expires_at, auth) - now
        self._session = _Session(auth, grant.token, refresh_token, due)
        self._good = True
        self._activity.token_expires_at = expires_at
        self._renewable.set()
        return self._session

    def _hub_time(self) -> float:
        """Tell the time by the hub's clock, as far as that is known: an expiry is the hub's word."""
        return time.time() + self._activity.clocks_differ_by

    def _over(self, token: str) -> bool:
        expires_at = expiry(token)
        return expires_at is not None and expires_at <= self._hub_time()

    def _count(self, result: str) -> None:
        counts = self._activity.token_requests
        counts[result] = counts.get(result, 0) + 1


def _revealed(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
