"""The settings of the Portos side: where the hub is, how to log in, what to ask for and what its versions mean.

Pure.
"""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from bridge.settings.base import CommaList, Part, Positive, Switch
from bridge.settings.privacy import EVERYTHING, LICENCE, same_name
from bridge.settings.tls import TlsFiles

__all__ = ["ACTIONS", "Auth", "Hub", "Subscribe", "Version"]

ACTIONS = ("created", "updated", "deleted")
"""Every change that a hub can be asked for."""

_NEEDED = {"jwt": ("username", "password", "device_name"), "static": ("token",)}


class Hub(TlsFiles):
    """Where Portos is, its hub and its login, and how long to wait for the hub."""

    url: str
    """Address of the Portos API, scheme and host only: `http://192.168.1.10:3000`."""
    proxy_url: SecretStr | None = None
    """HTTP proxy on the way to an https hub, `http://[user:password@]host:port`; none is taken from HTTPS_PROXY."""
    path: str = Field(default="/signalr/v1/mainHub", pattern=r"^/[^?#\s]*$")
    """Path of the hub below the address."""
    keepalive_seconds: Positive = 15
    """How often the bridge pings the hub."""
    silence_seconds: Positive = 30
    """After this long without a record the connection counts as dead; at least twice the hub's ping interval."""
    connect_seconds: Positive = 10
    """Longest time from asking for a token to the open WebSocket."""
    answer_seconds: Positive = 15
    """Longest wait for the handshake's answer, and for that of each Subscribe."""
    close_seconds: Positive = 1
    """Longest time for closing a connection in order."""
    stable_seconds: Positive = 30
    """A connection that lasted this long ends the series of failures that lengthens the pauses."""
    first_pause_seconds: Positive = 0.5
    """Upper bound of the first pause before a new attempt; it doubles with each failure in a row."""
    longest_pause_seconds: Positive = 30
    """Upper bound of all pauses; 2 seconds while an outage is younger than 30 seconds."""
    max_message_bytes: int = Field(default=67_108_864, ge=65_536)
    """Largest message taken from the hub; a larger one ends the connection."""
    recycle_seconds: float = Field(default=0, ge=0, allow_inf_nan=False)
    """Longest life of a connection before a new one takes over, without missing anything; at least 1, or 0 for any."""
    doubt_first_seconds: Positive = 5
    """A silence shorter than this is never taken for a lost subscription."""
    doubt_longest_seconds: Positive = 45
    """After so long without an event, at times with traffic, a second connection is opened to compare."""
    doubt_closed_seconds: Positive = 900
    """The same while nothing is heard on either connection for long, as in a shop that is closed."""

    @field_validator("recycle_seconds")
    @classmethod
    def _worth_a_connection(cls, value: float) -> float:
        if 0 < value < 1:
            raise ValueError("should be 0 or at least 1")
        return value

    @field_validator("url")
    @classmethod
    def _origin_only(cls, value: str) -> str:
        return _origin(value)

    @field_validator("proxy_url")
    @classmethod
    def _proxy_only(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _is_proxy(value.get_secret_value()):
            raise ValueError("should be http://host:port, or http://user:password@host:port")
        return value


class Auth(Part):
    """How the bridge logs in to Portos."""

    scheme: Literal["jwt", "static"] = "jwt"
    """`jwt` logs in with user name, password and device and refreshes the token; `static` uses the token given."""
    username: str | None = None
    """User name of the bridge's own Portos user."""
    password: SecretStr | None = None
    """Its password."""
    device_name: str | None = None
    """Unique name of the bridge's own device; it must be of the environment `Tool`, or a cashier is thrown out."""
    token: SecretStr | None = None
    """The access token, for the scheme `static`."""
    refresh_before_seconds: Positive = 60
    """How long before its expiry a token is renewed; at 80 % of its lifetime if that is earlier."""
    refresh_every_seconds: Positive = 600
    """How often a token is renewed that does not say when it expires."""
    make_before_break: Switch = True
    """Whether a second connection may be open for a moment, so that a new token costs no blind second."""

    @field_validator("username", "password", "device_name", "token")
    @classmethod
    def _as_the_scheme_needs(cls, value: object, info: ValidationInfo) -> object:
        """Look back on the scheme from each field, so that each is named and none hides another."""
        scheme = info.data.get("scheme")
        if scheme is None:
            return value
        needed = info.field_name in _NEEDED[scheme]
        if needed and not value:
            raise ValueError(f"must be set, since AUTH__SCHEME is {scheme}")
        if value and not needed:
            raise ValueError(f"is of no use, since AUTH__SCHEME is {scheme}")
        return value


class Subscribe(Part):
    """What the bridge asks the hub for."""

    resources: CommaList = Field(min_length=1)
    """Names of the resources to watch, as Portos writes them: `tickets,orders`; `*` is every one there is."""
    actions: CommaList = ACTIONS
    """Which changes of them."""
    licence: Switch = True
    """Whether licence activations are bridged as well."""

    @field_validator("resources")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = frozenset(map(same_name, value))
        if len(names) < len(value):
            raise ValueError("a name occurs twice, whatever its letter case")
        if LICENCE in names:
            raise ValueError("licence is no resource: its events are switched on by SUBSCRIBE__LICENCE")
        if EVERYTHING in value and len(value) > 1:
            raise ValueError("`*` is everything, so that no name has a place beside it")
        return value

    @field_validator("actions")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or set(value) - set(ACTIONS) or len(set(value)) < len(value):
            raise ValueError("should be some of created, updated, deleted, each once")
        return value


class Version(Part):
    """What the bridge makes of the versions that changes bear."""

    mode: Literal["monotonic", "contiguous", "off"] = "monotonic"
    """`monotonic` drops repeats and stale changes; `contiguous` also tells of each version that is missing, and needs a
    hub that counts by one; `off` drops only exact repeats within a minute."""


def _origin(value: str) -> str:
    """Check that an address is `http(s)://host[:port]` and nothing more, so that no path or secret is lost silently."""
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises ValueError for a port that is none
    except ValueError:  # its text repeats what stands for the port, which may be a password
        raise ValueError("should be http://host[:port] or https://host[:port]") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("should be http://host[:port] or https://host[:port]")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("should be the origin only, without path, query or user name")
    return f"{parts.scheme}://{parts.netloc}"


def _is_proxy(value: str) -> bool:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme == "http" and bool(parts.hostname and port) and value.endswith(parts.netloc)
