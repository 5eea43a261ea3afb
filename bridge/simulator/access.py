"""Lets in who has a good token, and says no as Portos does: RFC 7807 problems with an `errorCode`."""

import secrets
import time

from aiohttp import web

from bridge.simulator.notation import encoded
from bridge.simulator.session import Claims, Sessions

__all__ = ["authenticated", "json_response", "not_found", "problem", "unauthenticated"]

_TITLES = {401: "Neprihlásený", 403: "Nemáte oprávnenie", 404: "Nenájdené", 423: "Zamknuté"}
_ERROR_CODES = {401: 1, 403: 2, 423: 5}


def authenticated(request: web.Request, sessions: Sessions) -> Claims:
    """Give what the request's token says; without a good token end the request with 401."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        token = request.query.get("access_token", "")
    claims = sessions.check(token.strip(), time.time()) if token else None
    if claims is None:
        raise unauthenticated()
    return claims


def unauthenticated() -> web.HTTPException:
    """Say that nobody is logged in with these credentials."""
    return web.HTTPUnauthorized(text=_body(401).decode(), content_type="application/problem+json")


def not_found() -> web.Response:
    """Say that there is no such resource."""
    return problem(404)


def problem(status: int) -> web.Response:
    """Answer with a status and its problem."""
    return web.Response(status=status, body=_body(status), content_type="application/problem+json")


def json_response(body: bytes | object) -> web.Response:
    """Answer with JSON; bytes are taken to be JSON already."""
    content = body if isinstance(body, bytes) else encoded(body)
    return web.Response(body=content, content_type="application/json", charset="utf-8")


def _body(status: int) -> bytes:
    fields: dict[str, object] = {"title": _TITLES.get(status, "Chyba servera"), "status": status}
    if status in _ERROR_CODES:
        fields["errorCode"] = _ERROR_CODES[status]
    if status != 404:  # noqa: PLR2004 - the documented 404 has only these two
        fields["traceId"] = f"0H{secrets.token_hex(5).upper()}:00000001"
    return encoded(fields)
