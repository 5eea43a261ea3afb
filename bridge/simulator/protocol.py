"""SignalR's JSON hub protocol as a server speaks it: records in, records out, as bytes.

Pure. The texts and the order of the keys are those of ASP.NET Core SignalR 10, as recorded from it; the specification
is https://github.com/dotnet/aspnetcore/blob/main/src/SignalR/docs/specs/HubProtocol.md. Used by the hub alone.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from bridge.simulator.notation import encoded

__all__ = [
    "FAILED",
    "HANDSHAKE_ACCEPTED",
    "HANDSHAKE_LATE",
    "MAX_RECORD_BYTES",
    "PING",
    "SEPARATOR",
    "Closing",
    "HandshakeError",
    "Invocation",
    "Pinging",
    "Record",
    "RecordError",
    "RecordSplitter",
    "accept_handshake",
    "close",
    "completion",
    "handshake_error",
    "invocation",
    "negotiation",
    "parse",
]

SEPARATOR = b"\x1e"
PING = b'{"type":6}\x1e'
HANDSHAKE_ACCEPTED = b"{}\x1e"
HANDSHAKE_LATE = "Handshake was canceled."
FAILED = "Connection closed with an error."
MAX_RECORD_BYTES = 32_768  # MaximumReceiveMessageSize's default
_NEWEST_VERSION = 2
_NEWEST_NEGOTIATION = 1


class RecordError(ValueError):
    """The client broke the protocol: its connection is closed with an error."""


class HandshakeError(ValueError):
    """The first record was no handshake that this server takes; the text is what the client is told."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call of a method; without an `invocation_id` nobody waits for the answer."""

    target: str
    arguments: tuple[Any, ...]
    invocation_id: str | None


@dataclass(frozen=True, slots=True)
class Pinging:
    """A sign of life; the first one arms the client's time-out."""


@dataclass(frozen=True, slots=True)
class Closing:
    """The client leaves."""


Record = Invocation | Pinging | Closing | None
"""What a record says; None is a type that this server passes over."""


class RecordSplitter:
    """Cuts the byte stream of a client at the separators; a record may come in several messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Give the records that are complete now, without their separators.

        Raise `RecordError` for one above 32 KB, as soon as that is certain.
        """
        *records, self._rest = (self._rest + data).split(SEPARATOR)
        if any(len(record) > MAX_RECORD_BYTES for record in (*records, self._rest)):
            raise RecordError(f"a record exceeds {MAX_RECORD_BYTES} bytes")
        return records


def negotiation(asked_version: int, connection_id: str, connection_token: str) -> bytes:
    """Answer a negotiate request: only WebSockets are offered, since nothing else is here."""
    version = min(max(asked_version, 0), _NEWEST_NEGOTIATION)
    answer: dict[str, object] = {"negotiateVersion": version, "connectionId": connection_id}
    if version:
        answer["connectionToken"] = connection_token
    answer["availableTransports"] = [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}]
    return encoded(answer)


def accept_handshake(record: bytes) -> None:
    """Take the client's first record or raise `HandshakeError`."""
    try:
        asked = msgspec.json.decode(record)
        protocol, version = asked["protocol"], asked["version"]
    except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise HandshakeError("An unexpected error occurred during connection handshake.") from error
    if protocol != "json":
        raise HandshakeError(f"The protocol '{protocol}' is not supported.")
    if not isinstance(version, int) or version > _NEWEST_VERSION:
        raise HandshakeError(f"The server does not support version {version} of the 'json' protocol.")


def parse(record: bytes) -> Record:
    """Read a record that followed the handshake, or raise `RecordError`."""
    try:
        fields = msgspec.json.decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError("a record is no JSON") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), int):
        raise RecordError("a record has no type")
    match fields["type"]:
        case 1:
            return _invocation(fields)
        case 6:
            return Pinging()
        case 7:
            return Closing()
        case _:
            return None


def invocation(target: str, arguments: bytes) -> bytes:
    """Call a method of the client; `arguments` is what stands between the brackets."""
    return b"%b%b]}\x1e" % (_invocation_head(target), arguments)


def completion(invocation_id: str, error: str | None = None) -> bytes:
    """Answer a call; a void method's success has the result null."""
    outcome = b'"result":null' if error is None else b'"error":%b' % encoded(error)
    return b'{"type":3,"invocationId":%b,%b}\x1e' % (encoded(invocation_id), outcome)


def close(error: str | None = None, *, allow_reconnect: bool = False) -> bytes:
    """Say that the server ends the connection."""
    text = b"" if error is None else b',"error":%b' % encoded(error)
    return b'{"type":7%b%b}\x1e' % (text, b',"allowReconnect":true' if allow_reconnect else b"")


def handshake_error(text: str) -> bytes:
    """Refuse a handshake."""
    return encoded({"error": text}) + SEPARATOR


@lru_cache(maxsize=64)
def _invocation_head(target: str) -> bytes:
    return b'{"type":1,"target":%b,"arguments":[' % encoded(target)


def _invocation(fields: dict[str, Any]) -> Invocation:
    target, arguments, invocation_id = (fields.get(name) for name in ("target", "arguments", "invocationId"))
    if not isinstance(target, str) or not isinstance(arguments, list):
        raise RecordError("an invocation has no target or no arguments")
    if invocation_id is not None and not isinstance(invocation_id, str):
        raise RecordError("an invocation's id is no text")
    return Invocation(target, tuple(arguments), invocation_id)
