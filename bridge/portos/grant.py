"""What Portos answers to a login or a refresh, and how long that is good.

Pure. The answers hold secrets: they appear in no text and no repr.
"""

import base64
import binascii
from dataclasses import dataclass
from math import inf
from typing import Final

import msgspec

from bridge.errors import Unavailable
from bridge.settings.core import Auth

__all__ = ["Grant", "expiry", "granted", "lifetime", "renewal"]

_UNAUTHENTICATED: Final = 1
_MISSING_RIGHT: Final = frozenset({2, 4})  # errorCode: a right is missing, the licence has expired


@dataclass(frozen=True, slots=True, repr=False)
class Grant:
    """A token, what renews it, and the environment of the device that it was given to, empty if that is not said."""

    token: str
    refresh_token: str | None
    environment: str


def granted(doing: str, content: bytes) -> Grant | Unavailable:
    """Read the body of an answer, whatever its status; what Portos says in `errorCode` counts more than the status.

    Names are taken in any case, and `accessToken` for `tokenId`: Portos 3 wrote `AccessToken`.
    """
    try:
        answer = msgspec.json.decode(content, type=dict[str, object])
    except (ValueError, RecursionError):
        answer = {}
    members = {name.lower(): value for name, value in answer.items()}
    code = members.get("errorcode")
    if code in _MISSING_RIGHT:
        text = f"{doing}: errorCode {code}, a right is missing or the licence has expired"
        return Unavailable(text, reason="forbidden", hold=True)
    if code == _UNAUTHENTICATED:
        return Unavailable(f"{doing}: errorCode 1, not logged in", reason="unauthorized")
    token = members.get("tokenid", members.get("accesstoken"))
    if not isinstance(token, str) or not token:
        return Unavailable(f"{doing}: the answer has no tokenId: is this a Portos API?", reason="protocol")
    refresh_token = members.get("refreshtoken")
    return Grant(token, refresh_token if isinstance(refresh_token, str) else None, _environment(members.get("user")))


def expiry(token: str) -> float | None:
    """Read `exp` out of a JWT, in seconds since the epoch; None if the token is none or does not say."""
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error, RecursionError):
        return None


def lifetime(token: str, now: float) -> float:
    """Say for how many seconds a token is good; infinity where it does not say, or is over when it comes."""
    expires_at = expiry(token)
    return inf if expires_at is None or expires_at <= now else expires_at - now


def renewal(obtained_at: float, expires_at: float | None, auth: Auth) -> float:
    """Say when to renew a token: at 80 % of its lifetime or `refresh_before_seconds` before its end, what comes first.

    A token that lives hardly longer than that is renewed after half its lifetime, none more often than once a second.
    One that is expired when it comes says that the clocks differ, and nothing about its lifetime.
    """
    if expires_at is None or expires_at <= obtained_at:
        return obtained_at + auth.refresh_every_seconds
    lifetime = expires_at - obtained_at
    return obtained_at + max(1, min(0.8 * lifetime, max(lifetime - auth.refresh_before_seconds, 0.5 * lifetime)))


def _environment(user: object) -> str:
    """Find `device.envName` in the user of a login's answer."""
    device = user.get("device") if isinstance(user, dict) else None
    name = device.get("envName") if isinstance(device, dict) else None
    return name if isinstance(name, str) else ""
