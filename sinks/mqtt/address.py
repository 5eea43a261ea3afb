"""Where the broker is and what is spoken there, which is one setting: a URL. Pure."""

from typing import Final
from urllib.parse import urlsplit

from pydantic import field_validator

from bridge.settings import Part

__all__ = ["Address"]

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
_USUAL_PATH: Final = "/mqtt"


class Address(Part):
    """The address of the broker."""

    url: str
    """Address of the broker: `mqtt://host[:port]`, with TLS `mqtts://host[:port]`; over a WebSocket
    `ws://host[:port][/path]`, with TLS `wss://host[:port][/path]`. Unless given, the port is 1883, 8883, 80 or 443, and
    the path `/mqtt`."""

    @property
    def scheme(self) -> str:
        """What is spoken: `mqtt`, `mqtts`, `ws` or `wss`."""
        return urlsplit(self.url).scheme

    @property
    def host(self) -> str:
        """The host of the address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port of the address."""
        return urlsplit(self.url).port or _PORTS[self.scheme]

    @property
    def encrypted(self) -> bool:
        """Whether the connection has TLS."""
        return self.scheme in ("mqtts", "wss")

    @property
    def websocket_url(self) -> str | None:
        """The address of the WebSocket; None where there is none."""
        parts = urlsplit(self.url)
        return parts._replace(path=parts.path or _USUAL_PATH).geturl() if parts.scheme in ("ws", "wss") else None

    @field_validator("url")
    @classmethod
    def _address_only(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("should be mqtt://host[:port], or the same with mqtts, ws or wss")
        if parts.port == 0:  # raises ValueError for a port that is none
            raise ValueError("Port out of range 1-65535")
        if parts.query or parts.fragment or parts.username is not None:
            raise ValueError("should be the address only; user name and password have variables of their own")
        if parts.path not in ("", "/") and parts.scheme.startswith("mqtt"):
            raise ValueError("should be the address only; a path is for ws and wss")
        return value
