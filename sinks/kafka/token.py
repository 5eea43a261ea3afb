"""The token of the mechanism OAUTHBEARER: the one that is given, or one asked for with the bridge's client id.

One for each connection of the sink. aiokafka asks for it whenever it connects to a broker.
"""

import asyncio
import math
import ssl
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from urllib.parse import quote_plus

import aiohttp
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError
from pydantic import SecretStr

from bridge.errors import Unavailable, system_words
from bridge.tls import UnusableFile, client_context, trouble
from sinks.kafka.grant import Grant, granted
from sinks.kafka.security import Security

__all__ = ["Tokens", "tokens"]

_ANSWER_SECONDS = 5.0
_PAUSE_SECONDS = 1.0
_LARGEST_ANSWER_BYTES = 65_536


async def tokens(config: Security) -> "Tokens":
    """Give what gives tokens, with the first one at hand; raises `Unavailable`."""
    if config.oauth_token is not None:
        grant = Grant(config.oauth_token.get_secret_value(), math.inf, math.inf)
        return Tokens(lambda: _given(grant))
    try:
        context = await asyncio.to_thread(client_context, config.oauth_ca_file)
    except UnusableFile as error:
        raise Unavailable(f"OAUTH_CA_FILE {error}", reason="tls", hold=True) from error
    provider = Tokens(lambda: _asked(config, context))
    await provider.current()
    return provider


class Tokens(AbstractTokenProvider):
    """Keeps a token until it is time to renew it, and an old one while there is no new one and it is still good."""

    def __init__(self, ask: Callable[[], Awaitable[Grant]], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._grant: Grant | None = None
        self._failure: Unavailable | None = None
        self._silent_until = -math.inf

    async def token(self) -> str:
        """Give a token as aiokafka wants it; why there is none is the cause of the error."""
        try:
            return await self.current()
        except Unavailable as error:
            raise KafkaError("there is no token for the login") from error

    async def current(self) -> str:
        """Give a token that is good, or raise `Unavailable`; after a failure nobody is asked for a moment."""
        now = self._clock()
        if (self._grant is None or now >= self._grant.renew_at) and now >= self._silent_until:
            await self._renew()
        if self._grant is None or (self._failure is not None and self._clock() >= self._grant.ends_at):
            raise self._failure or Unavailable("there is no token", reason="unexpected")
        return self._grant.token

    async def _renew(self) -> None:
        try:
            self._grant, self._failure = await self._ask(), None
        except Unavailable as error:
            self._failure, self._silent_until = error, self._clock() + _PAUSE_SECONDS


async def _given(grant: Grant) -> Grant:
    return grant


async def _asked(config: Security, context: ssl.SSLContext) -> Grant:
    """Ask the token endpoint, with the client's id and secret as HTTP Basic (RFC 6749, 2.3.1 and 4.4.2)."""
    url, client, secret = config.oauth_token_url or "", config.oauth_client_id or "", config.oauth_client_secret
    form = {"grant_type": "client_credentials"} | ({"scope": config.oauth_scope} if config.oauth_scope else {})
    login = f"{quote_plus(client)}:{quote_plus((secret or SecretStr('')).get_secret_value())}"
    headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}", "Accept": "application/json"}
    began = time.monotonic()
    try:
        async with (
            asyncio.timeout(_ANSWER_SECONDS),
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            ) as http,
            http.post(url, data=form, headers=headers, allow_redirects=False) as response,
        ):
            body = await response.content.read(_LARGEST_ANSWER_BYTES)
            while len(body) < _LARGEST_ANSWER_BYTES and (more := await response.content.read(_LARGEST_ANSWER_BYTES)):
                body += more
            return granted(response.status, body, began)
    except (aiohttp.ClientError, OSError) as error:  # which a time-out is as well
        raise _failed(error) from None  # aiohttp's errors hold the request, and that the secret


def _failed(error: Exception) -> Unavailable:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    match cause:
        case ssl.SSLError():
            text, lasts = trouble(cause, "OAUTH_TOKEN_URL", "OAUTH_CA_FILE")
            return Unavailable(f"the token endpoint: {text}", reason="tls", hold=lasts)
        case TimeoutError():
            return Unavailable(f"the token endpoint: no answer within {_ANSWER_SECONDS:g} s", reason="timeout")
        case aiohttp.ClientConnectionError() | OSError():
            return Unavailable(f"the token endpoint: {system_words(cause)}", reason="network")
    return Unavailable(f"the token endpoint: no proper HTTP ({type(cause).__name__})", reason="protocol", slowly=True)
