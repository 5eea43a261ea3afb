"""What a token endpoint answers to a request for a token, and what it means (RFC 6749, 4.4 and 5).

Pure. Texts name the status and the error's code, never what was sent or answered: both hold secrets.
"""

import re
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from bridge.errors import Unavailable

__all__ = ["TOKEN_FORM", "Grant", "granted"]

TOKEN_FORM = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""What a token is made of (RFC 6750, 2.1); anything else would end the message that carries it."""

_OK = 200
_REDIRECTS = range(300, 400)
_NO_ENDPOINT = frozenset({404, 405, 410})
_TRY_LATER = frozenset({408, 425, 429})
_SERVER_ERROR = 500
_CODES = frozenset(
    {
        *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"),
        "invalid_scope",
    }
)
_RENEW_AT = 0.8
_UNTOLD_SECONDS = 10.0
_LONGEST_SECONDS = 86_400.0
_CREDENTIALS = "check OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET and OAUTH_SCOPE"
_ADDRESS = "check OAUTH_TOKEN_URL"


@dataclass(frozen=True, slots=True)
class Grant:
    """A token, when it is renewed and when it ends, on the clock of whoever asked."""

    token: str = field(repr=False)
    renew_at: float
    ends_at: float


class _Answer(msgspec.Struct):
    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the kind, not a token
    expires_in: Annotated[float, msgspec.Meta(gt=0)] | None = None


class _Refusal(msgspec.Struct):
    error: str = ""


def granted(status: int, body: bytes, now: float) -> Grant:
    """Read an answer; raises `Unavailable`, held where only an operator can change it."""
    if status == _OK:
        return _grant(body, now)
    text = f"the token endpoint answers {status}"
    if status in _REDIRECTS:
        raise Unavailable(f"{text}, a redirect: set OAUTH_TOKEN_URL to where it leads", reason="protocol", hold=True)
    if status in _NO_ENDPOINT:
        raise Unavailable(f"{text}: {_ADDRESS}", reason="protocol", hold=True)
    if status in _TRY_LATER or status >= _SERVER_ERROR:
        raise Unavailable(text, reason="refused")
    raise Unavailable(f"{text}{_code(body)}: {_CREDENTIALS}", reason="unauthorized", hold=True)


def _grant(body: bytes, now: float) -> Grant:
    """Take the token; one without a known end is asked for again soon."""
    try:
        answer = msgspec.json.decode(body, type=_Answer, strict=False)  # some write the seconds as text
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        text = f"the token endpoint answers no token in JSON: {_ADDRESS}"
        raise Unavailable(text, reason="protocol", slowly=True) from error
    if answer.token_type.lower() != "bearer" or not TOKEN_FORM.fullmatch(answer.access_token):
        raise Unavailable("the token endpoint answers no bearer token", reason="protocol", slowly=True)
    seconds = _UNTOLD_SECONDS if answer.expires_in is None else min(answer.expires_in, _LONGEST_SECONDS)
    return Grant(answer.access_token, now + _RENEW_AT * seconds, now + seconds)


def _code(body: bytes) -> str:
    """Name the error, if it is one of the standard's."""
    try:
        code = msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    return f" ({code})" if code in _CODES else ""
