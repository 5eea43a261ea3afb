"""A token endpoint of a test's own: what it answers is set, and what it was asked is kept."""

import asyncio
import json
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Any

from aiohttp import web

__all__ = ["TokenEndpoint", "token_endpoint", "unsecured"]


def unsecured(subject: str, seconds: float) -> str:
    """Make a token as Kafka's own validator for tests takes it: a JWT that nobody has signed."""
    now = time.time()
    parts = {"alg": "none"}, {"sub": subject, "iat": now, "exp": now + seconds}
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


class TokenEndpoint:
    """Gives `bridge` with `right` a token for `seconds`, unless `answer` says otherwise; it waits `pause` before."""

    def __init__(self) -> None:
        self.url = ""
        self.secret = "right"
        self.seconds = 60.0
        self.pause = 0.0
        self.answer: tuple[int, str] | None = None
        self.headers: Mapping[str, str] = {}
        self.asked: list[dict[str, Any]] = []

    async def grant(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        login = b64decode(request.headers.get("Authorization", "").removeprefix("Basic ")).decode().partition(":")
        self.asked.append(form | {"client": login[0], "secret": login[2]})
        await asyncio.sleep(self.pause)
        if self.answer is not None:
            return web.Response(status=self.answer[0], text=self.answer[1], headers=self.headers)
        if (login[0], login[2]) != ("bridge", self.secret):
            return web.json_response({"error": "invalid_client"}, status=401)
        token = unsecured("bridge", self.seconds)
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": self.seconds})


@asynccontextmanager
async def token_endpoint(context: SSLContext | None = None) -> AsyncIterator[TokenEndpoint]:
    """Serve one until this is left."""
    endpoint = TokenEndpoint()
    app = web.Application()
    app.router.add_post("/token", endpoint.grant)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        host, port = runner.addresses[0][:2]
        endpoint.url = f"{'https' if context else 'http'}://{host}:{port}/token"
        yield endpoint
    finally:
        await runner.cleanup()
