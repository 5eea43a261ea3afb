"""Negotiating with a hub: what a connection may use, and where it is to be opened.

As Microsoft's TransportProtocols.md says, with two rules of our own: at most three redirects, and our token goes to no
other origin than the one it was asked for.
"""

import time
from dataclasses import dataclass, replace
from typing import Final

import aiohttp
import msgspec
from yarl import URL

from bridge.errors import Unavailable
from bridge.log import redact
from bridge.portos import web

__all__ = ["Endpoint", "negotiate"]

_MAX_REDIRECTS: Final = 3
_SUCCESS: Final = 200


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a WebSocket is to be opened, and with which token; both are secrets.

    `clock_offset_seconds`: how far the clock of whoever answered is ahead of ours, to a second; None if it did not say.
    """

    url: URL
    token: str
    clock_offset_seconds: float | None = None

    def __repr__(self) -> str:
        return f"Endpoint({self.url.host})"


class _Transport(msgspec.Struct, rename="camel"):
    transport: str | None = None
    transfer_formats: list[str] = []


class _Answer(msgspec.Struct, rename="camel"):
    negotiate_version: int = 0
    connection_id: str | None = None
    connection_token: str | None = None
    available_transports: list[_Transport] = []
    url: str | None = None
    access_token: str | None = None
    error: str | None = None


async def negotiate(http: web.Http, hub: URL, token: str) -> Endpoint:
    """Ask the hub for a connection, following redirects; raises `Unavailable`. Waits without a deadline of its own."""
    endpoint = Endpoint(hub, token)
    for _ in range(_MAX_REDIRECTS + 1):
        answer, offset = await _ask(http, endpoint)
        if answer.error:
            raise Unavailable(f"the hub refused to negotiate: {answer.error[:200]!r}", reason="refused")
        if answer.url is None:
            return replace(_opened_by(answer, endpoint), clock_offset_seconds=offset)
        if answer.access_token:
            redact(answer.access_token)
        endpoint = _redirected(endpoint, answer.url, answer.access_token)
    raise Unavailable(f"the hub redirected more than {_MAX_REDIRECTS} times", reason="protocol")


async def _ask(http: web.Http, endpoint: Endpoint) -> tuple[_Answer, float | None]:
    url = endpoint.url.with_path(endpoint.url.path.rstrip("/") + "/negotiate", keep_query=True)
    url = url.update_query(negotiateVersion="1")
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    asked_at = time.time()
    try:
        async with http.post(url, headers=headers) as response:
            offset = web.ahead_by(response.headers, asked_at, time.time())
            if response.status != _SUCCESS:
                raise web.refusal("negotiate", response.status)
            content = await web.body(response)
    except (aiohttp.ClientError, OSError) as error:
        raise web.failure("negotiate", error) from None
    try:
        return msgspec.json.decode(content, type=_Answer), offset
    except (ValueError, RecursionError) as error:
        raise Unavailable(f"negotiate: the answer is not that of a SignalR hub ({error})", reason="protocol") from error


def _opened_by(answer: _Answer, endpoint: Endpoint) -> Endpoint:
    """Say where the connection that the answer offers is opened; a hub behind a tunnel may offer no WebSockets."""
    if not any(t.transport == "WebSockets" and "Text" in t.transfer_formats for t in answer.available_transports):
        offered = ", ".join(str(t.transport)[:40] for t in answer.available_transports) or "nothing"
        raise Unavailable(
            f"the hub offers {offered} but no WebSockets with text: connect directly, not through a proxy or tunnel",
            reason="protocol",
        )
    identity = answer.connection_token if answer.negotiate_version > 0 else answer.connection_id
    if not identity:
        raise Unavailable("negotiate: the answer has no connection id", reason="protocol")
    return replace(endpoint, url=endpoint.url.update_query(id=identity))


def _redirected(endpoint: Endpoint, target: str, token: str | None) -> Endpoint:
    """Decide whether to follow a redirect: never from https to http, and to another origin only with a token for it.

    Another host must speak https, so that whoever answers in the hub's place cannot send the bridge about the network.
    """
    try:
        url = URL(target)
        origin = url.origin()
    except ValueError:
        raise Unavailable("negotiate: the redirect is no absolute address", reason="protocol") from None
    if url.scheme not in ("http", "https") or url.user is not None:
        raise Unavailable("negotiate: the redirect is no http or https address", reason="protocol")
    if url.scheme == "http" and (endpoint.url.scheme == "https" or url.host != endpoint.url.host):
        raise Unavailable(f"negotiate: the redirect to {url.host!r} is not over https", reason="protocol")
    if token is None and origin != endpoint.url.origin():
        raise Unavailable(f"negotiate: the redirect to {url.host!r} brings no token for it", reason="protocol")
    return Endpoint(url, token or endpoint.token)
