"""The journal over the admin port: `GET /journal` is what it holds, `GET /journal/rows` its rows, a line each.

What `portos-bridge journal` asks of a bridge that runs; what the hub sent needs the token. Used by `bridge.service`.
"""

import json
from collections.abc import Callable

from aiohttp import web

from bridge.door import Door
from bridge.journal import Inspection
from bridge.rows import overview, shown_rows

__all__ = ["row_routes"]

_MOST = 1000


def row_routes(inspection: Callable[[], Inspection], path: str, door: Door) -> list[web.RouteDef]:
    """Give the paths; the rows are those behind the number `after`, about `limit` of them.

    `inspection` gives what looks into the journal, or raises the answer where that is not open.
    """

    async def look(_: web.Request) -> web.Response:
        return web.json_response(overview(await inspection().state(), path))

    async def rows(request: web.Request) -> web.Response:
        bodies = door.bodies(request)
        try:
            after = int(request.query.get("after", 0))
            limit = min(max(int(request.query.get("limit", _MOST)), 1), _MOST)
        except ValueError as error:
            raise web.HTTPBadRequest(text="after and limit should be numbers\n") from error
        places, chunks = await inspection().page(after, limit)
        found = shown_rows(chunks, after, places, bodies=bodies)
        return web.Response(text="".join(json.dumps(row) + "\n" for row in found), content_type="application/x-ndjson")

    return [web.get("/journal", look), web.get("/journal/rows", rows)]
