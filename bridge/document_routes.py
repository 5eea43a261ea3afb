"""The AsyncAPI document over the admin port: `GET /asyncapi.json`. Used by `bridge.service`."""

import json
from functools import cache

from aiohttp import web

from bridge.asyncapi import document
from bridge.settings.loading import Configuration

__all__ = ["document_routes"]


def document_routes(configuration: Configuration) -> list[web.RouteDef]:
    """Give the path; the document is made when it is asked for first, and the same from then on."""

    @cache
    def text() -> str:
        return json.dumps(document(configuration))

    async def show(_: web.Request) -> web.Response:
        return web.Response(text=text(), content_type="application/json")

    return [web.get("/asyncapi.json", show)]
