"""The HTTP side of the source: its session, bounded answers, and what a failed request means to the pipeline."""

import asyncio
import ssl
from typing import Final

import aiohttp

from bridge.errors import ConfigError, Unavailable
from bridge.settings.core import Hub
from bridge.tls import UnusableFile, client_context

__all__ = ["body", "failure", "http_session", "refusal"]

_MAX_ANSWER_BYTES: Final = 1_048_576
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_TRY_LATER: Final = frozenset({408, 423, 425, 429})
_SERVER_ERROR: Final = 500
_NOT_PORTOS: Final = frozenset({404, 405, 501})  # what a web server says to a POST that it has no place for


def http_session(hub: Hub) -> aiohttp.ClientSession:
    """Make the session for everything sent to Portos; the caller closes it.

    No cookies, no proxy from the environment, and a new TCP connection for every request, so that none is tried on a
    socket that died with the last hub. Deadlines are the callers' business.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=_trust(hub), force_close=True, limit=8),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Language": "en-GB"},
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
    )


def _trust(hub: Hub) -> ssl.SSLContext | bool:
    """Say whom to trust: the system's authorities, or those of the file alone."""
    if hub.ca_file is None:
        return True
    try:
        return client_context(hub.ca_file)
    except UnusableFile as error:
        raise ConfigError([f"PORTOS_BRIDGE_HUB__CA_FILE: {error}"]) from error


async def body(response: aiohttp.ClientResponse) -> bytes:
    """Read an answer that should be small; raises `Unavailable` above 1 MiB."""
    parts = bytearray()
    async for part in response.content.iter_any():
        parts += part
        if len(parts) > _MAX_ANSWER_BYTES:
            raise Unavailable(f"{response.url.path} answered more than {_MAX_ANSWER_BYTES} bytes", reason="protocol")
    return bytes(parts)


def refusal(doing: str, status: int) -> Unavailable:
    """Say what an HTTP status other than success means; for 401 the caller knows more."""
    text = f"{doing}: HTTP status {status}"
    if status == _UNAUTHORIZED:
        return Unavailable(text, reason="unauthorized")
    if status == _FORBIDDEN:
        return Unavailable(f"{text}: the bridge's user lacks a right", reason="forbidden", hold=True)
    if status in _NOT_PORTOS:
        text += "; is PORTOS_BRIDGE_HUB__URL the address of a Portos API?"
    if status in _TRY_LATER or status >= _SERVER_ERROR:
        return Unavailable(text, reason="refused")
    return Unavailable(text, reason="protocol")


def failure(doing: str, error: aiohttp.ClientError | OSError) -> Unavailable:
    """Say what a failed request means.

    To be raised `from None`: aiohttp's errors hold the URL with the connection's secret id and the headers with the
    token.
    """
    match error:
        case aiohttp.ClientResponseError(status=status) if status >= 1:
            return refusal(doing, status)
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | ssl.SSLError():
            return Unavailable(f"{doing}: TLS failed: {_cause(error)}", reason="tls")
        case asyncio.TimeoutError():
            return Unavailable(f"{doing}: no answer in time", reason="timeout")
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError() | aiohttp.InvalidURL():
            return Unavailable(f"{doing}: no proper HTTP ({type(error).__name__})", reason="protocol")
        case _:
            return Unavailable(f"{doing}: {_cause(error)}", reason="refused")


def _cause(error: aiohttp.ClientError | OSError) -> str:
    """Name the operating system's or the TLS library's own words where there are any."""
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    return getattr(cause, "verify_message", None) or getattr(cause, "strerror", None) or type(error).__name__
