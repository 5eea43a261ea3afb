"""Who may do more than look: the bearer token of the admin port.

Used by whatever adds paths to `bridge.admin` that write, or that show what the hub sent.
"""

import hmac

from aiohttp import web
from pydantic import SecretStr

__all__ = ["Door"]

_NOBODY = (
    "this needs PORTOS_BRIDGE_ADMIN__TOKEN, and the bridge has none: set it for the bridge and for whoever asks, and"
    " start the bridge again, or stop the bridge and do it then"
)
_WRONG = "give the value of PORTOS_BRIDGE_ADMIN__TOKEN as `Authorization: Bearer ...`"


class Door:
    """Checks the token of a request; without one that is set nobody passes."""

    def __init__(self, token: SecretStr | None) -> None:
        self._token = None if token is None else _bytes(token.get_secret_value())

    def bodies(self, request: web.Request) -> bool:
        """Say whether what the hub sent is to be shown, which needs the token."""
        asked = request.query.get("bodies") == "true"
        if asked:
            self.check(request)
        return asked

    def check(self, request: web.Request) -> None:
        """Let a request pass, or raise the answer to it: 403 where no token is set, 401 for a wrong one."""
        if not self._token:
            raise web.HTTPForbidden(text=_NOBODY + "\n")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(_bytes(given.strip()), self._token):
            raise web.HTTPUnauthorized(text=_WRONG + "\n", headers={"WWW-Authenticate": "Bearer"})


def _bytes(text: str) -> bytes:
    """Give a token as it came over the wire, whatever bytes these are."""
    return text.encode(errors="surrogateescape")
