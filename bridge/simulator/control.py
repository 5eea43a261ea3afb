"""The control port: what a test in another process or language does with the simulator, as JSON over HTTP.

Calls and names are those of the stand-in on the real ASP.NET Core, so that one harness works with both; `restart`,
`silence`, `expire`, `answer` and `bytes` are our own.
"""

import json
from base64 import b64decode
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from bridge.simulator.access import json_response, not_found
from bridge.simulator.burst import Burst
from bridge.simulator.notation import moment
from bridge.simulator.server import Simulator
from bridge.simulator.store import Change

__all__ = ["control_application"]

Fields = dict[str, Any]
_LONGEST_REQUEST_BYTES = 67_108_864


def control_application(simulator: Simulator) -> web.Application:
    """Make the application behind the control port."""
    application = web.Application(client_max_size=_LONGEST_REQUEST_BYTES)
    control = _Control(simulator)
    application.add_routes(
        [
            web.get("/state", control.state),
            web.get("/truth", control.truth),
            web.get("/ledger", control.ledger),
            web.get("/burst/{number}", control.burst),
        ]
    )
    for name, call in control.calls().items():
        application.router.add_post(f"/{name}", _posted(call))
    return application


def _posted(call: Callable[[Fields], Awaitable[object]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        text = await request.read()
        try:
            answer = await call(json.loads(text) if text else {})
        except (KeyError, TypeError, ValueError) as error:
            return web.Response(status=400, text=f"{type(error).__name__}: {error}")
        return web.Response() if answer is None else json_response(answer)

    return handle


class _Control:
    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def calls(self) -> dict[str, Callable[[Fields], Awaitable[object]]]:
        """Give what can be posted; each takes the JSON object sent and gives what to answer, None for nothing."""
        names = (
            *("change", "licence", "raw", "start_burst", "disconnect", "forget", "revoke", "reject", "lifetime"),
            *("refuse", "shutdown", "restart", "silence", "expire", "answer", "bytes"),
        )
        return {name.removeprefix("start_"): getattr(self, f"_{name}") for name in names}

    async def state(self, _request: web.Request) -> web.Response:
        """Tell who is connected, how many tokens were given out, and what happened."""
        hub, sessions = self._simulator.hub, self._simulator.sessions
        connections = [
            {
                "id": connection.id,
                "user": connection.claims.user,
                "device": connection.claims.device,
                "since": moment(connection.since),
                "topics": sorted(connection.topics),
                "sent": connection.sent,
            }
            for connection in hub.connections.values()
        ]
        tokens = {
            "issued": sessions.issued,
            "refreshed": sessions.refreshed,
            "refused": sessions.refused,
            "sessions": len(sessions),
        }
        log = [{**entry, "at": moment(float(str(entry["at"])))} for entry in hub.log]
        return json_response({"connections": connections, "tokens": tokens, "log": log})

    async def truth(self, _request: web.Request) -> web.Response:
        """Tell the version of everything there is."""
        return json_response(self._simulator.store.truth())

    async def ledger(self, request: web.Request) -> web.Response:
        """Tell the changes after number `since`."""
        since = request.query.get("since", "0")
        if not since.isdecimal():
            return web.Response(status=400, text="since: should be a number")
        return json_response([_change(change) for change in self._simulator.ledger.since(int(since))])

    async def burst(self, request: web.Request) -> web.Response:
        """Tell how far a burst is."""
        number = request.match_info["number"]
        if not number.isdecimal() or not 0 < int(number) <= len(self._simulator.bursts):
            return not_found()
        burst = asdict(self._simulator.bursts[int(number) - 1])
        return json_response({name: burst[name] for name in ("sent", "count", "done", "seconds")} | {"error": None})

    async def _change(self, asked: Fields) -> object:
        expires = asked.get("expires")
        change = await self._simulator.change(
            asked.get("resource", "tickets"),
            asked.get("action", "updated"),
            asked.get("id"),
            asked.get("body"),
            size=asked.get("size", 600),
            silent=asked.get("silent", False),
            expires=None if expires is None else _seconds(expires),
            skip_versions=asked.get("skipVersions", 0),
        )
        return _change(change)

    async def _licence(self, _asked: Fields) -> object:
        return {"sentTo": await self._simulator.licence()}

    async def _raw(self, asked: Fields) -> None:
        self._simulator.raw(asked.get("target", "OnEvent"), asked["arguments"])

    async def _bytes(self, asked: Fields) -> None:
        """Send `text`, or the bytes that `base64` stands for."""
        self._simulator.send_bytes(b64decode(asked["base64"]) if "base64" in asked else asked["text"].encode())

    async def _start_burst(self, asked: Fields) -> object:
        resources = asked.get("resources") or ["tickets"]
        numbers = {name: asked.get(name, usual) for name, usual in (("rate", 0), ("ids", 100), ("size", 600))}
        burst = Burst(asked.get("count", 1000), resources=resources, **numbers)
        return {"burst": self._simulator.start_burst(burst)}

    async def _disconnect(self, asked: Fields) -> None:
        if asked.get("allowReconnect"):
            self._simulator.close_connections(asked.get("error"))
        else:
            self._simulator.abort()

    async def _forget(self, _asked: Fields) -> None:
        self._simulator.hub.forget_subscriptions()

    async def _revoke(self, _asked: Fields) -> None:
        self._simulator.sessions.end_all()

    async def _reject(self, asked: Fields) -> None:
        self._simulator.sessions.reject_all = asked.get("on", True)

    async def _lifetime(self, asked: Fields) -> None:
        self._simulator.sessions.lifetime_seconds = float(asked["seconds"])

    async def _expire(self, _asked: Fields) -> None:
        self._simulator.expire_tokens()

    async def _refuse(self, asked: Fields) -> None:
        self._simulator.refuse(asked.get("times", 1), asked.get("message", "Subscription refused."))

    async def _answer(self, asked: Fields) -> None:
        where = {"path": asked["path"]} if "path" in asked else {}
        self._simulator.answer(int(asked["status"]), times=asked.get("times", 1), **where)

    async def _restart(self, asked: Fields) -> None:
        self._simulator.run_in_background(self._simulator.restart(float(asked.get("seconds", 0))), "restart")

    async def _silence(self, asked: Fields) -> None:
        """Be silent for `seconds`, or until `on` is false."""
        if "seconds" in asked:
            self._simulator.run_in_background(self._simulator.silence(float(asked["seconds"])), "silence")
        elif asked.get("on", True):
            self._simulator.fall_silent()
        else:
            self._simulator.speak()

    async def _shutdown(self, _asked: Fields) -> None:
        self._simulator.ended.set()


def _change(change: Change) -> dict[str, object]:
    return {
        "seq": change.seq,
        "at": moment(change.at),
        "resource": change.resource,
        "id": change.id,
        "version": change.version,
        "action": change.action,
        "sentTo": change.sent_to,
        "sha256": change.sha256,
    }


def _seconds(text: str) -> float:
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
