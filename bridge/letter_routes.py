"""Dead letters over the admin port: `GET /dlq`, and with the token `POST /dlq/retry` and `POST /dlq/purge`; their end.

What `portos-bridge dlq` asks of a bridge that runs. Used by `bridge.service`.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

from aiohttp import web

from bridge.door import Door
from bridge.journal import Journal, Which
from bridge.letters import asked, letter_number, redriven, shown, told, which_of
from bridge.metrics import Catalogue

__all__ = ["expire", "letter_routes"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_MOST = 500
_EXPIRE_EVERY_SECONDS = 3600.0
_ASKED_IN_QUERY = ("sink", "reason", "resource", "id", "since", "until")


def letter_routes(journal: Callable[[], Journal], catalogue: Catalogue, door: Door) -> list[web.RouteDef]:
    """Give the paths; one letter a line, oldest first, `after` being the number of the last that is known.

    `journal` gives it, or raises the answer where it is not open.
    """

    async def show(request: web.Request) -> web.StreamResponse:
        bodies = door.bodies(request)
        which = _checked(lambda: _of_query(request.query))
        limit = _checked(lambda: min(max(int(request.query.get("limit", _MOST)), 1), _MOST))
        after = _checked(lambda: letter_number(int(request.query.get("after", 0))))
        letters = await journal().desk.letters(which, limit, after=after, bodies=bodies)
        lines = [json.dumps(shown(letter, catalogue.site, bodies=bodies)) + "\n" for letter in letters]
        return web.Response(text="".join(lines), content_type="application/x-ndjson")

    async def retry(request: web.Request) -> web.Response:
        door.check(request)
        which = await _of_body(request)
        return web.json_response(await _Counter(journal(), catalogue).retry(which))

    async def purge(request: web.Request) -> web.Response:
        door.check(request)
        which = await _of_body(request)
        purged = await journal().desk.purge(which)
        _log.warning("dead letters thrown away, as asked for (%s): %d", asked(which) or "all", purged)
        return web.json_response({"purged": purged})

    return [web.get("/dlq", show), web.post("/dlq/retry", retry), web.post("/dlq/purge", purge)]


async def expire(journal: Journal, keep_seconds: float) -> NoReturn:
    """Throw away what is older than it may be, at once and again and again; not what is to be sent."""
    while True:
        before = time.time() - keep_seconds
        expired = await journal.desk.purge(Which(until=before, marked=False), expired=True)
        if expired:
            _log.warning("dead letters thrown away, since they are older than DLQ__KEEP_SECONDS: %d", expired)
        await asyncio.sleep(min(keep_seconds / 10, _EXPIRE_EVERY_SECONDS))


class _Counter:
    """Has letters sent again, and tells of it in the log and in the stream."""

    def __init__(self, journal: Journal, catalogue: Catalogue) -> None:
        self._journal = journal
        self._catalogue = catalogue

    async def retry(self, which: Which) -> Mapping[str, int]:
        now = time.time()
        done = await self._journal.desk.retry(which, now)
        text = "dead letters sent again, as asked for (%s): %d; overtaken by a newer version: %d"
        _log.info(text, asked(which) or "all", done.marked, done.overtaken)
        if done.marked:
            event = redriven(which, done, self._catalogue.site, now)
            self._journal.ledger.generated += 1  # counted with what follows, up to its first wait
            if await self._journal.append([event]):
                self._catalogue.generated.labels(self._catalogue.site, "dlq_redriven").inc()
                self._catalogue.accepted.inc()
            else:
                self._journal.ledger.generated -= 1
                _log.warning("the journal is full: the stream does not tell of the retry")
        return told(done)


def _of_query(query: Mapping[str, str]) -> Which:
    given: dict[str, Any] = {name: query[name] for name in _ASKED_IN_QUERY if name in query}
    if "numbers" in query:
        given["numbers"] = [int(number) for number in query["numbers"].split(",")]
    if "marked" in query:
        given["marked"] = query["marked"] == "true"
    return which_of(given)


async def _of_body(request: web.Request) -> Which:
    """Read which letters are meant; all only where that is said."""
    try:
        given = await request.json()
    except ValueError as error:
        raise web.HTTPBadRequest(text="the body should be a JSON object\n") from error
    if not isinstance(given, dict):
        raise web.HTTPBadRequest(text="the body should be a JSON object\n")
    everything = given.pop("all", False) is True
    which = _checked(lambda: which_of(given))
    if not everything and which == Which():
        raise web.HTTPBadRequest(text='say which letters are meant, or "all": true\n')
    return which


def _checked(read: Callable[[], T]) -> T:
    try:
        return read()
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error
