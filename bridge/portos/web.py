"""The HTTP side of the source: what sends to Portos, bounded answers, and what a failed request means."""

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final, TypedDict

import aiohttp
from aiohttp.abc import ResolveResult
from yarl import URL

from bridge.errors import ConfigError, Unavailable, system_words
from bridge.settings.core import Hub
from bridge.settings.reference import PREFIX
from bridge.tls import UnusableFile, trouble

__all__ = ["HUB", "Http", "Way", "ahead_by", "body", "failure", "http_session", "refusal", "way"]

HUB: Final = f"{PREFIX}HUB__"
"""What the variables begin with that say where Portos is and how it is reached."""

_MAX_ANSWER_BYTES: Final = 1_048_576
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_PROXY_LOGIN: Final = 407
_PROXY_FORBIDS: Final = frozenset({403, 405})
_TRY_LATER: Final = frozenset({408, 423, 425, 429})
_SERVER_ERROR: Final = 500
_NAME_SECONDS: Final = 8.0  # the C library asks once more after 5 s; an attempt to connect has 10 s
_DATE_SECONDS: Final = 1.0  # the resolution of a `Date` header
_NOT_PORTOS: Final = frozenset({404, 405, 501})  # what a web server says to a POST that it has no place for


class _Options(TypedDict):
    ssl: ssl.SSLContext | bool
    proxy: URL | None
    proxy_headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Way:
    """How Portos is reached: with a TLS context other than aiohttp's own, through a proxy, or neither."""

    tls: ssl.SSLContext | None = None
    proxy: URL | None = None

    @property
    def options(self) -> _Options:
        """Give what aiohttp calls it, for each request: what a session keeps could not change."""
        proxy, headers = self.proxy, {}
        if proxy is not None and proxy.user is not None:
            login = b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
            proxy, headers = proxy.with_user(None), {"Proxy-Authorization": f"Basic {login}"}
        return {"ssl": self.tls or True, "proxy": proxy, "proxy_headers": headers}


class _Resolver(aiohttp.ThreadedResolver):
    """Says that it is the name server that does not answer; the deadline of a whole attempt could not tell."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        try:
            async with asyncio.timeout(_NAME_SECONDS):
                return await super().resolve(host, port, family)
        except TimeoutError:
            raise OSError(None, f"the name {host} is not resolved: no name server answers") from None


class Http:
    """Sends to Portos on a `way` that may change: to the login, to the hub, and to where the hub redirects."""

    def __init__(self, session: aiohttp.ClientSession, way: Way) -> None:
        self._session = session
        self.way = way

    def post(
        self, url: URL | str, *, json: Mapping[str, str | None] | None = None, headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a POST; a redirect is an answer like any other."""
        return self._session.post(url, json=json, headers=headers, allow_redirects=False, **self.way.options)

    def delete(
        self, url: URL | str, *, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a DELETE."""
        return self._session.delete(url, headers=headers, allow_redirects=False, **self.way.options)

    async def open_socket(self, hub: Hub, url: URL, token: str) -> aiohttp.ClientWebSocketResponse[bool]:
        """Open a WebSocket that takes messages of up to the hub's `max_message_bytes`."""
        return await self._session.ws_connect(
            url,
            headers={"Authorization": f"Bearer {token}"},
            max_msg_size=hub.max_message_bytes,
            timeout=aiohttp.ClientWSTimeout(ws_close=hub.close_seconds),  # no ws_receive: it costs a timer a message
            decode_text=False,  # one wrong byte must cost one record, not the connection
            **self.way.options,
        )


@asynccontextmanager
async def http_session(hub: Hub) -> AsyncIterator[Http]:
    """Provide what sends everything to Portos; leaving closes what is open. Raises `ConfigError` for an unusable file.

    No cookies, no proxy from the environment, and a new TCP connection for every request, so that none is tried on a
    socket that died with the last hub. Deadlines are the callers' business.
    """
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, limit=8, resolver=_Resolver()),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Language": "en-GB"},
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
    ) as session:
        yield Http(session, way(hub))


def way(hub: Hub) -> Way:
    """Read the files of the settings as they are now; raises `ConfigError`, and blocks."""
    proxy = URL(hub.proxy_url.get_secret_value()) if hub.proxy_url else None
    if not (hub.ca_file or hub.client_cert_file):
        return Way(None, proxy)  # aiohttp's own context is made once
    try:
        return Way(hub.tls_context(), proxy)
    except UnusableFile as error:
        raise ConfigError([f"{HUB}{error.field.upper()}: {error}"]) from error


async def body(response: aiohttp.ClientResponse) -> bytes:
    """Read an answer that should be small; raises `Unavailable` above 1 MiB."""
    parts = bytearray()
    async for part in response.content.iter_any():
        parts += part
        if len(parts) > _MAX_ANSWER_BYTES:
            raise Unavailable(f"{response.url.path} answered more than {_MAX_ANSWER_BYTES} bytes", reason="protocol")
    return bytes(parts)


def ahead_by(headers: Mapping[str, str], asked_at: float, answered_at: float) -> float | None:
    """Say how far the clock of whoever answered is ahead of ours; its `Date` cuts off the fraction of its second.

    None where that is not known: there is no date, or the answer took so long that two equal clocks explain it too.
    """
    try:
        date = parsedate_to_datetime(headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return None
    ahead, unsure = date + 0.5 - (asked_at + answered_at) / 2, (answered_at - asked_at) / 2
    return None if unsure > _DATE_SECONDS and abs(ahead) <= unsure + _DATE_SECONDS else ahead


def refusal(doing: str, status: int) -> Unavailable:
    """Say what an HTTP status other than success means; for 401 the caller knows more."""
    text = f"{doing}: HTTP status {status}"
    if status == _UNAUTHORIZED:
        return Unavailable(text, reason="unauthorized")
    if status == _FORBIDDEN:
        return Unavailable(f"{text}: the bridge's user lacks a right", reason="forbidden", hold=True)
    if status in _NOT_PORTOS:
        text += f"; is {HUB}URL the address of a Portos API{_its_hub(doing)}?"
    if status in _TRY_LATER or status >= _SERVER_ERROR:
        return Unavailable(text, reason="refused")
    return Unavailable(text, reason="protocol")


def failure(doing: str, error: aiohttp.ClientError | OSError) -> Unavailable:
    """Say what a failed request means.

    To be raised `from None`: aiohttp's errors hold the URL with the connection's secret id and the headers with the
    token.
    """
    cause = _cause(error)
    match error:
        case aiohttp.ClientHttpProxyError() | aiohttp.ClientProxyConnectionError():
            return _barred(f"{doing}: the proxy in {HUB}PROXY_URL", getattr(error, "status", None), system_words(cause))
        case _ if isinstance(cause, ssl.SSLError):
            text, lasts = trouble(cause, f"{HUB}URL", f"{HUB}CA_FILE", f"{HUB}CLIENT_CERT_FILE")
            return Unavailable(f"{doing}: {text}", reason="tls", hold=lasts)
        case aiohttp.ClientResponseError(status=status) if status >= 1:
            return refusal(doing, status)
        case asyncio.TimeoutError():
            return Unavailable(f"{doing}: no answer in time", reason="timeout")
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError() | aiohttp.InvalidURL():
            return Unavailable(f"{doing}: no proper HTTP ({type(error).__name__})", reason="protocol")
        case _:
            return Unavailable(f"{doing}: {_place(error, cause)}", reason="refused")


def _place(error: BaseException, cause: BaseException) -> str:
    """Say what the operating system said, with the host where it did not say that."""
    words, host = system_words(cause), getattr(error, "host", "")
    if not host or host in words:
        return words
    advice = f"; is {HUB}URL right?" if isinstance(cause, socket.gaierror) else ""
    return f"{host}:{getattr(error, 'port', '')}: {words}{advice}"


def _its_hub(doing: str) -> str:
    return "" if doing.startswith("POST ") else f", and {HUB}PATH the path of its hub"  # a login knows no such path


def _barred(proxy: str, status: int | None, words: str) -> Unavailable:
    """Say why a proxy leads nowhere: none is there, or it answers with a status of its own, which is not the hub's."""
    if status == _PROXY_LOGIN:
        text = f"{proxy} answers HTTP status {status}: check user name and password in it"
    elif status in _PROXY_FORBIDS:
        text = f"{proxy} answers HTTP status {status}: it does not let the bridge connect to the address in {HUB}URL"
    else:
        return Unavailable(f"{proxy}: {words if status is None else f'HTTP status {status}'}", reason="network")
    return Unavailable(text, reason="network", hold=True)


def _cause(error: BaseException) -> BaseException:
    """Find what the operating system or the TLS library said, where aiohttp has wrapped that."""
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error.__cause__
    return _cause(inner) if isinstance(inner, OSError) and inner is not error else error
