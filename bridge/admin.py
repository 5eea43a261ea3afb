"""The HTTP port for whoever operates the bridge: `/metrics`, `/livez`, `/readyz`, `/status`, and what others add.

Served on the event loop on purpose: where the loop hangs, the scrape and the probe fail too. None of the four touches
the disk or the network, and no payload, id, user name or secret is shown. Used by `bridge.service`.
"""

import errno
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from bridge.errors import ConfigError

__all__ = ["Check", "Checks", "admin"]

_log = logging.getLogger(__name__)

Check = tuple[str, bool, str]
"""Name of a check, whether it is good, and a text for the operator."""

Checks = Callable[[], Sequence[Check]]


@asynccontextmanager
async def admin(  # noqa: PLR0913 - what the four paths show
    host: str,
    port: int,
    registry: CollectorRegistry,
    alive: Checks,
    ready: Checks,
    status: Callable[[], Mapping[str, Any]],
    further: Iterable[web.RouteDef] = (),
) -> AsyncIterator[int]:
    """Serve until left; gives the port. Raises `ConfigError` when the address cannot be listened on."""

    async def livez(request: web.Request) -> web.Response:
        return _answer(alive(), request)

    async def readyz(request: web.Request) -> web.Response:
        return _answer(ready(), request)

    async def show(_: web.Request) -> web.Response:
        return web.json_response(status())

    app = web.Application()
    app.router.add_get("/metrics", make_aiohttp_handler(registry))
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/status", show)
    app.router.add_routes(further)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            # Python 3.13 gives no number where none of the host's addresses is this machine's.
            is_host = isinstance(error, socket.gaierror) or error.errno in (errno.EADDRNOTAVAIL, None)
            variable = f"PORTOS_BRIDGE_ADMIN__{'HOST' if is_host else 'PORT'}"
            text = f"{variable}: cannot listen on {host}:{port}: {error.strerror or error}"
            raise ConfigError([text]) from error
        actual = int(runner.addresses[0][1])
        _log.info("status and metrics on http://%s:%d/status and /metrics", host, actual)
        yield actual
    finally:
        await runner.cleanup()


def _answer(checks: Sequence[Check], request: web.Request) -> web.Response:
    """Answer a probe: 200 when every check is good; the texts with `?verbose`, and always those of what is bad."""
    good = all(ok for _, ok, _ in checks)
    verbose = "verbose" in request.query
    lines = [f"[{'+' if ok else '-'}] {name}: {text}" for name, ok, text in checks if verbose or not ok]
    return web.Response(text="\n".join([*lines, "ok" if good else "not ok"]) + "\n", status=200 if good else 503)
