"""The REST part: login and refresh, licence, health, and the lists of what the shop has.

Shapes and names are those of the vendor's documentation; paging and 404 are as the real stand-in answers.
"""

import json
import time
from collections.abc import Mapping

from aiohttp import web

from bridge.simulator.access import authenticated, json_response, not_found, unauthenticated
from bridge.simulator.notation import encoded
from bridge.simulator.notification import LICENCE
from bridge.simulator.option import SimulatorOptions
from bridge.simulator.session import Sessions, Tokens
from bridge.simulator.store import Store

__all__ = ["Rest"]

_HEALTH = {
    "status": "Healthy",
    "totalDuration": "00:00:00.0012345",
    "entries": {
        "diskstorage": {"status": "Healthy", "duration": "00:00:00.0003210", "data": {}},
        "license": {
            "status": "Healthy",
            "duration": "00:00:00.0001234",
            "data": {"remaningDays": 2181, "expirationDate": "2031-02-24T00:00:00"},
        },
    },
}


class Rest:
    """The routes beside the hub, all but licence and health for who is logged in."""

    def __init__(self, options: SimulatorOptions, sessions: Sessions, store: Store) -> None:
        self._options = options
        self._sessions = sessions
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        """Give what is to be added to the application; the collections match anything, so they come last."""
        collections = [
            web.get(f"{prefix}/{{resource}}{rest}", view)
            for prefix in ("/api", "")
            for rest, view in (("", self._list), ("/{id}", self._one))
        ]
        return [
            web.post("/api/auth", self._log_in),
            web.post("/api/auth/refresh", self._refresh),
            web.get("/api/auth", self._who),
            web.delete("/api/auth", self._log_out),
            web.get("/license", self._licence),
            web.get("/api/license", self._licence),
            web.get("/api/v2/health", self._health),
            *collections,
        ]

    async def _log_in(self, request: web.Request) -> web.Response:
        options, fields = self._options, await _fields(request)
        given = (fields.get("username"), fields.get("password"))
        device = fields.get("devicename")
        if self._sessions.reject_all or given != (options.username, options.password) or not device:
            raise unauthenticated()
        tokens = self._sessions.open(options.username, device, time.time())
        return json_response({**_given_out(tokens), "user": _profile(options.username, device)})

    async def _refresh(self, request: web.Request) -> web.Response:
        fields = await _fields(request)
        tokens = self._sessions.renew(fields.get("tokenid", ""), fields.get("refreshtoken", ""), time.time())
        if tokens is None:
            raise unauthenticated()
        return json_response(_given_out(tokens))

    async def _who(self, request: web.Request) -> web.Response:
        claims = authenticated(request, self._sessions)
        return json_response(_profile(claims.user, claims.device))

    async def _log_out(self, request: web.Request) -> web.Response:
        self._sessions.end(authenticated(request, self._sessions).session)
        return web.Response(status=204)

    async def _licence(self, _request: web.Request) -> web.Response:
        return json_response(LICENCE)

    async def _health(self, _request: web.Request) -> web.Response:
        return json_response(_HEALTH)

    async def _list(self, request: web.Request) -> web.Response:
        authenticated(request, self._sessions)
        table = self._store.of(request.match_info["resource"])
        total = len(table)
        if request.query.get("$count") == "true":
            return json_response({"count": total, "totalCount": total})
        skip = _number(request.query, "$skip", 0)
        keys = sorted(table)[skip : skip + _number(request.query, "$take", total)]
        items = b",".join(table[key].body for key in keys)
        return json_response(b'{"items":[%b],"count":%d,"totalCount":%d}' % (items, len(keys), total))

    async def _one(self, request: web.Request) -> web.Response:
        authenticated(request, self._sessions)
        found = self._store.of(request.match_info["resource"]).get(request.match_info["id"])
        return not_found() if found is None else json_response(found.body)


async def _fields(request: web.Request) -> dict[str, str]:
    """Read the texts of a JSON object, their names in lower case, since Portos mixes the two spellings."""
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise web.HTTPBadRequest(
            text=encoded({"title": "Neplatná požiadavka", "status": 400, "errorCode": 3, "errors": []}).decode(),
            content_type="application/problem+json",
        ) from error
    return {name.lower(): value for name, value in body.items() if isinstance(value, str)}


def _number(query: Mapping[str, str], name: str, otherwise: int) -> int:
    text = query.get(name, "")
    return int(text) if text.isdecimal() else otherwise


def _given_out(tokens: Tokens) -> dict[str, object]:
    return {"tokenId": tokens.token, "refreshToken": tokens.refresh}


def _profile(user: str, device: str) -> dict[str, object]:
    """Describe who is logged in; the tills of the simulated shop are sale devices, every other name is a tool."""
    return {
        "id": "67c6c5a1f0b2d4e6a8090001",
        "isVirtual": False,
        "name": "Bridge",
        "userName": user,
        "featureName": None,
        "rights": ["admin"],
        "device": {
            "name": device,
            "envName": "CashRegister" if device in ("P01", "P02") else "Tool",
            "description": "Notification bridge",
            "preferences": {},
            "settings": {"MaxQuantity": "200", "OpenedPrices": "false", "DefaultFiscalName": "eKasa"},
        },
    }
