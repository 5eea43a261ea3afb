"""One live hub connection as a source: a token, negotiate, the WebSocket, and a session on it. It never reconnects."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import aiohttp
from yarl import URL

from bridge import clock
from bridge.errors import Unavailable
from bridge.message import LICENCE_ACTIVATED, RESOURCES_CHANGED
from bridge.portos import web
from bridge.portos.auth import Tokens
from bridge.portos.backlog import Backlog
from bridge.portos.grant import lifetime
from bridge.portos.negotiate import negotiate
from bridge.portos.session import Session
from bridge.portos.tasks import beside
from bridge.settings import core
from bridge.settings.privacy import EVERYTHING
from bridge.source import SourceActivity

__all__ = ["connect", "requests", "subscribed"]

_PATIENCE: Final = 3  # after so many refused tokens in a row an operator must act, and attempts are held


@asynccontextmanager
async def connect(  # noqa: PLR0913 - each is something of its own; the composition root binds them once
    hub: core.Hub,
    subscribe: core.Subscribe,
    site: str,
    tokens: Tokens,
    activity: SourceActivity,
    http: web.Http,
    leaving: asyncio.Event,
    *,
    queue_max_bytes: int = 16_777_216,
    queue_max_events: int = 20_000,
) -> AsyncIterator[Session]:
    """Open a connection and subscribe; leaving unsubscribes and closes, within the hub's `close_seconds`.

    Whoever wants what was received to the last event sets `leaving`: the connection is unsubscribed, and `batches` ends
    in `Unavailable` (reason `planned`) behind that event. What nobody has fetched when the context is left is gone.
    Raises `Unavailable` with the reasons of a connect (`unauthorized`, `forbidden`, `refused`, `timeout`, `tls`,
    `protocol`); `batches` ends in one with those of a disconnect (`server_close`, `silence`, `network`, `protocol`,
    `oversize`).
    """
    socket, token = await _opened(hub, tokens, http, activity)
    session = Session(hub, site, activity, socket, Backlog(queue_max_bytes, queue_max_events, activity))
    session.token_seconds = lifetime(token, time.time() + activity.clocks_differ_by)
    try:
        async with subscribed(session, requests(subscribe), leaving):
            yield session
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(0):  # a close frame is sent, the peer's is not waited for
                await socket.close()


@asynccontextmanager
async def subscribed(
    session: Session, wanted: Sequence[dict[str, object]], leaving: asyncio.Event
) -> AsyncIterator[None]:
    """Run a session on its open socket, subscribed; leaving unsubscribes, as does `leaving`."""
    async with beside(
        hub_reader=session.read(),
        hub_writer=session.write(),
        hub_pulse=session.pulse(),
        hub_leaver=session.leave_when(leaving),
    ):
        try:
            await session.subscribe(wanted)
            yield
        finally:
            await session.leave()


def requests(subscribe: core.Subscribe) -> list[dict[str, object]]:
    """Say what to subscribe to, one request an event; all is named, since the hub's defaults are not documented.

    Only to subscribe to everything there is no other way than to name nothing.
    """
    resources = [{"n": name, "a": list(subscribe.actions)} for name in subscribe.resources]
    changes: dict[str, object] = {"e": RESOURCES_CHANGED, "r": resources}
    if EVERYTHING in subscribe.resources:
        del changes["r"]
    wanted = [changes]
    if subscribe.licence:
        wanted.append({"e": LICENCE_ACTIVATED})
    return wanted


async def _opened(
    hub: core.Hub, tokens: Tokens, http: web.Http, activity: SourceActivity
) -> tuple[aiohttp.ClientWebSocketResponse[bool], str]:
    """Get a token, negotiate and open the WebSocket, all under one deadline; gives socket and token."""
    address = URL(hub.url + hub.path)
    try:
        async with asyncio.timeout(hub.connect_seconds):
            token = await tokens.token()
            try:
                socket = await _upgraded(hub, http, address, token, activity)
            except Unavailable as error:
                if error.reason == "unauthorized":
                    first = tokens.refused()
                    text = "the hub refused the token"
                    hold = tokens.refusals > _PATIENCE
                    raise Unavailable(text, reason=error.reason, at_once=first, hold=hold) from None
                raise
    except TimeoutError:
        text = f"no connection to {address.host}:{address.port} within {hub.connect_seconds:g} s"
        raise Unavailable(text, reason="timeout") from None
    tokens.accepted()
    return socket, token


async def _upgraded(
    hub: core.Hub, http: web.Http, address: URL, token: str, activity: SourceActivity
) -> aiohttp.ClientWebSocketResponse[bool]:
    endpoint = await negotiate(http, address, token)
    if endpoint.clock_offset_seconds is not None:
        activity.clock_measured(endpoint.clock_offset_seconds, clock.ahead())
    try:
        return await http.open_socket(hub, endpoint.url, endpoint.token)
    except (aiohttp.ClientError, OSError) as error:
        raise web.failure("the upgrade to a WebSocket (which not every proxy or tunnel lets pass)", error) from None
