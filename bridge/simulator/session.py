"""Who is logged in: sessions, and the tokens that prove them.

Tokens are JWTs signed with HMAC-SHA256 by a key that lives as long as the simulator. Clock and lifetime are arguments,
so nothing here waits; used by the REST part and by the hub.
"""

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

__all__ = ["Claims", "Sessions", "Tokens"]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says of its bearer; times are seconds since the epoch."""

    user: str
    device: str
    session: str
    issued_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login or a refresh gives out."""

    token: str
    refresh: str


class Sessions:
    """All sessions, and the switches that tests turn.

    `lifetime_seconds` is of every token issued from then on; `reject_all` refuses every token and every login.
    """

    def __init__(self, lifetime_seconds: float) -> None:
        self.lifetime_seconds = lifetime_seconds
        self.reject_all = False
        self.issued = 0
        self.refreshed = 0
        self.refused = 0
        self._key = secrets.token_bytes(32)
        self._refresh_by_session: dict[str, str] = {}
        self._expired_until = 0.0

    def __len__(self) -> int:
        return len(self._refresh_by_session)

    def open(self, user: str, device: str, now: float) -> Tokens:
        """Begin a session."""
        return self._issue(user, device, secrets.token_hex(16), now)

    def renew(self, token: str, refresh: str, now: float) -> Tokens | None:
        """Give new tokens for a session, whose old refresh token is void then; None is a refusal."""
        claims = None if self.reject_all else self._read(token)
        if claims is None or self._refresh_by_session.get(claims.session) != refresh:
            self.refused += 1
            return None
        self.refreshed += 1
        return self._issue(claims.user, claims.device, claims.session, now)

    def check(self, token: str, now: float) -> Claims | None:
        """Give what a token says if it is good; None is a refusal."""
        claims = None if self.reject_all else self._read(token)
        if claims is None or self.is_expired(claims, now):
            self.refused += 1
            return None
        return claims

    def is_expired(self, claims: Claims, now: float) -> bool:
        """Tell whether the token of these claims is past its time, or was made so by `expire`."""
        return claims.expires_at <= now or claims.issued_at <= self._expired_until

    def expire(self, now: float) -> None:
        """Let every token issued so far count as expired; the sessions go on and can be refreshed."""
        self._expired_until = now

    def end(self, session: str) -> None:
        """End one session, and with it its tokens."""
        self._refresh_by_session.pop(session, None)

    def end_all(self) -> None:
        """End every session."""
        self._refresh_by_session.clear()

    def _issue(self, user: str, device: str, session: str, now: float) -> Tokens:
        refresh = secrets.token_urlsafe(24)
        self._refresh_by_session[session] = refresh
        self.issued += 1
        claims = {"sub": user, "device": device, "sid": session, "iat": now, "exp": now + self.lifetime_seconds}
        head = f"{_HEADER}.{_encode(json.dumps(claims).encode())}"
        return Tokens(f"{head}.{self._signature(head)}", refresh)

    def _read(self, token: str) -> Claims | None:
        head, _, signature = token.rpartition(".")
        if not hmac.compare_digest(self._signature(head).encode(), signature.encode()):
            return None
        payload = json.loads(_decode(head.partition(".")[2]))
        if payload["sid"] not in self._refresh_by_session:
            return None
        return Claims(payload["sub"], payload["device"], payload["sid"], payload["iat"], payload["exp"])

    def _signature(self, head: str) -> str:
        return _encode(hmac.digest(self._key, head.encode(), hashlib.sha256))


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


_HEADER = _encode(b'{"alg":"HS256","typ":"JWT"}')
