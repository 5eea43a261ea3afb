"""What a reason code of an MQTT broker means: one row for every code of CONNACK, PUBACK and DISCONNECT (MQTT 5.0, 2.4).

And what it means that there is no connection, or no MQTT on it.

Pure. The verbs are those of the Kafka sink, and none of them stops the bridge. `retry` follows after the usual pause,
`doubt` after the longest; so does `suspect`, until it ends a second connection in a row, which is held. `hold` waits
for somebody to act, and ends with the next attempt after that; `bury` is a message that the broker will never take,
`blame` one that it may take another time: after three refusals it is buried.
"""

import ssl
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from bridge.errors import Rejected, TooLarge, Unavailable, system_words
from bridge.ports import Outcome
from bridge.tls import trouble

__all__ = [
    "CONNACK",
    "DISCONNECT",
    "NO_SUBSCRIBERS",
    "PUBACK",
    "Meaning",
    "connect_refused",
    "disconnected",
    "ended",
    "given_up",
    "not_connected",
    "notice_refused",
    "other_protocol",
    "publish_outcome",
    "upgrade_refused",
]

Verb = Literal["deliver", "retry", "doubt", "suspect", "hold", "bury", "blame"]
_REFUSALS_UNTIL_BURIED = 3
_HELD_AFTER = (
    1  # two clients of one name end each other's connections at once; `check --connect` and a restart do it once
)
_SUSPECT_BYTES = 16_384


class Meaning(NamedTuple):
    """What follows from a reason code, the word for it in the metrics, and what an operator can do."""

    verb: Verb
    reason: str
    advice: str = ""

    def said(self, text: str) -> str:
        """Add what an operator can do to the text of an error, where there is anything."""
        return f"{text}; {self.advice}" if self.advice else text


_CREDENTIALS = Meaning("hold", "unauthorized", "check USERNAME and PASSWORD")
_WILL = "it does not take the will: set ANNOUNCE to false"
_NOT_GRANTED = "check USERNAME and PASSWORD; grant the topic of the will, or set ANNOUNCE to false"
_LOWEST_REFUSAL = 0x80
_FAULT = Meaning("doubt", "protocol")
_BUSY = Meaning("retry", "refused")
_TOO_FAST = Meaning("doubt", "refused")
_MOVED = Meaning("hold", "refused", "set URL to the server that takes its place")
_NO_QOS_1 = Meaning("hold", "protocol", "allow QoS 1")

CONNACK: Mapping[int, Meaning] = {
    0x80: _BUSY,  # unspecified error
    0x81: _FAULT,  # malformed packet
    0x82: _FAULT,  # protocol error
    0x83: _BUSY,  # implementation specific error
    0x84: Meaning("hold", "protocol", "set VERSION to what it speaks"),
    0x85: Meaning("hold", "refused", "check CLIENT_ID"),
    0x86: _CREDENTIALS,  # bad user name or password
    0x87: Meaning("hold", "unauthorized", _NOT_GRANTED),
    0x88: _BUSY,  # server unavailable
    0x89: _BUSY,  # server busy
    0x8A: _CREDENTIALS,  # banned
    0x8C: _CREDENTIALS,  # bad authentication method
    0x90: Meaning("hold", "refused", _WILL),  # topic name invalid
    0x95: Meaning("hold", "refused", "shorten CLIENT_ID, USERNAME or PASSWORD"),  # CONNECT is too large
    0x97: _TOO_FAST,  # quota exceeded
    0x99: Meaning("hold", "refused", _WILL),  # payload format invalid
    0x9A: Meaning("hold", "protocol", _WILL),  # retain not supported
    0x9B: Meaning("hold", "protocol", _WILL),  # QoS not supported
    0x9C: _TOO_FAST,  # use another server, for a time
    0x9D: _MOVED,  # server moved
    0x9F: _TOO_FAST,  # connection rate exceeded
}

NO_SUBSCRIBERS = 0x10
"""The broker has taken a message to which nobody is subscribed, if it says so at all."""

PUBACK: Mapping[int, Meaning] = {
    0x00: Meaning("deliver", "ok"),
    NO_SUBSCRIBERS: Meaning("deliver", "ok"),
    0x80: Meaning("blame", "refused"),  # unspecified error
    0x83: Meaning("blame", "refused"),  # implementation specific error
    0x87: Meaning("hold", "unauthorized", "not authorized; grant the topic"),
    0x90: Meaning("bury", "refused"),  # topic name invalid
    0x91: _FAULT,  # packet identifier in use
    0x95: Meaning("bury", "too_large", "a smaller MAX_PACKET_BYTES spares the connection"),  # Mosquitto, and closes it
    0x97: Meaning("hold", "refused", "a quota is exceeded"),
    0x99: Meaning("bury", "refused"),  # payload format invalid
}
"""Beside those of the specification, 0x95: Mosquitto's `message_size_limit` is in no CONNACK."""

DISCONNECT: Mapping[int, Meaning] = {
    0x00: Meaning("retry", "server_close"),
    0x04: _FAULT,  # with will message: a server never says so
    0x80: Meaning("retry", "server_close"),  # unspecified error
    0x81: Meaning("blame", "protocol"),  # malformed packet
    0x82: _FAULT,  # protocol error
    0x83: Meaning("retry", "server_close"),  # implementation specific error
    0x87: Meaning("hold", "unauthorized", "grant the topics"),
    0x89: Meaning("doubt", "refused"),  # server busy
    0x8B: Meaning("retry", "server_close"),  # server shutting down
    0x8C: _CREDENTIALS,  # bad authentication method
    0x8D: Meaning("retry", "silence"),  # keep alive timeout
    # Coming back at once would throw the other one out, and so on for ever.
    0x8E: Meaning("suspect", "taken_over", "another client has the same CLIENT_ID; give each its own"),
    0x8F: _FAULT,  # topic filter invalid
    0x90: Meaning("blame", "refused"),  # topic name invalid
    0x93: _FAULT,  # receive maximum exceeded: it is read from CONNACK and kept
    0x94: _FAULT,  # topic alias invalid
    0x95: Meaning("bury", "too_large"),  # though Maximum Packet Size is read from CONNACK and kept
    0x96: _TOO_FAST,  # message rate too high
    0x97: Meaning("hold", "refused", "a quota is exceeded"),
    0x98: Meaning("doubt", "server_close"),  # administrative action
    0x99: Meaning("blame", "refused"),  # payload format invalid
    0x9A: _FAULT,  # retain not supported
    0x9B: _NO_QOS_1,
    0x9C: _TOO_FAST,  # use another server, for a time
    0x9D: _MOVED,  # server moved
    0x9E: _FAULT,  # shared subscriptions not supported
    0x9F: _TOO_FAST,  # connection rate exceeded
    0xA0: Meaning("retry", "server_close"),  # maximum connect time
    0xA1: _FAULT,  # subscription identifiers not supported
    0xA2: _FAULT,  # wildcard subscriptions not supported
}
"""What ends a connection names no message: who is alone on its way then is to blame for a code with that verb, or to
bury."""


def publish_outcome(code: int, topic: Callable[[], str]) -> Outcome:
    """Say what the reason code of a PUBACK means for its message (5.0, 3.4.2.1; 3.1.1 has none, which is 0).

    `topic` names where that was to go, without an id, where the code is a refusal.
    """
    row = PUBACK.get(code, _FAULT)
    if row.verb == "deliver":
        return None
    text = f"the broker answered a PUBLISH to {topic()} with reason code {code:#04x}"
    if row.verb == "bury":
        return TooLarge(row.said(text)) if row.reason == "too_large" else Rejected(row.said(text), reason=row.reason)
    return _unavailable(row, text, blamed=True)


def notice_refused(code: int, topic: str) -> Rejected | None:
    """Say what the reason code of a PUBACK means for a notice: nothing but that it is not there."""
    if code < _LOWEST_REFUSAL:
        return None
    row = PUBACK.get(code, _FAULT)
    return Rejected(row.said(f"the broker answered with reason code {code:#04x}"), reason=row.reason, target=topic)


def connect_refused(code: int, name: str) -> Unavailable:
    """Say why a connection was refused, by the reason code of its CONNACK in the form of MQTT 5 (3.2.2.2)."""
    text = f"the broker refused the connection: {name} ({code:#04x})"
    return _unavailable(CONNACK.get(code, _FAULT), text, blamed=False)


def disconnected(code: int, name: str, *, alone: bool) -> Unavailable | TooLarge:
    """Say why the broker ended a connection, by the reason code of its DISCONNECT (5.0, 3.14.2.1).

    `alone` says that one message only was on its way, which is then to blame where the code is about a message. It is
    `TooLarge` itself where it is about its size.
    """
    text, row = f"the broker ended the connection: {name} ({code:#04x})", DISCONNECT.get(code, _FAULT)
    return TooLarge(text) if alone and row.verb == "bury" else _unavailable(row, text, blamed=alone)


def given_up(code: int, name: str) -> Unavailable:
    """Say why paho-mqtt ended a connection, by the reason code it gives for it."""
    if code == 0x8D:  # noqa: PLR2004 - keep alive timeout, as in the other tables
        return Unavailable("the broker did not answer a ping within the keep-alive time", reason="silence")
    return Unavailable(f"the connection to the broker was given up: {name} ({code:#04x})", reason="protocol")


_SCHEME: Final = "is the scheme of URL what it speaks on that port?"


def not_connected(address: str, error: OSError) -> Unavailable:
    """Say why there is no connection to a host and port."""
    where = f"no connection to the broker at {address}"
    words = system_words(error) if error.strerror else str(error)
    match error:
        case ssl.SSLError():
            text, lasts = trouble(error, "URL")
            return Unavailable(f"{where}: {text}", reason="tls", hold=lasts)
        case ConnectionRefusedError():
            return Unavailable(f"{where}: {words}", reason="refused")
        case ConnectionError():  # which a broker that goes away looks like, too
            return Unavailable(f"{where}: it was closed during the handshake; {_SCHEME}", reason="network")
    return Unavailable(f"{where}: {words}", reason="network")


def ended(error: Exception | None, *, answered: bool, version: str = "5", alone_bytes: int = 0) -> Unavailable:
    """Say why a connection ended, by the error of its transport; `answered` says whether there was a CONNACK.

    `alone_bytes` is the size of the event that was alone on its way, if one was. Over MQTT 3.1.1 (`version`) brokers
    have no other answer to what is too large for them, so that a large one is blamed as for an answer without a reason;
    also for a reset, which is how Mosquitto 2.0.11 closes on what it has not read to the end.
    """
    match error:
        case None | ConnectionError() if version == "3.1.1" and alone_bytes > _SUSPECT_BYTES:
            text = f"the broker closed the connection on an event of {alone_bytes} bytes: is it too large for it?"
            return Unavailable(text, reason="too_large", bury_after=_REFUSALS_UNTIL_BURIED)
        case Unavailable():
            return error
        case ssl.SSLError():  # of TLS 1.3, where a certificate is refused after the client's handshake
            text, lasts = trouble(error, "URL")
            return Unavailable(f"the broker ended the connection: {text}", reason="tls", hold=lasts)
        case None | ConnectionError() if not answered:
            return Unavailable(f"the broker closed the connection before it answered; {_SCHEME}", reason="network")
        case None:  # also where it is a takeover, of which neither MQTT 3.1.1 nor Mosquitto 2.0.11 tells
            text = (
                "the broker closed the connection without a word; was it stopped, or has another client our CLIENT_ID?"
            )
            return Unavailable(text, reason="server_close", hold_after=_HELD_AFTER)
    return Unavailable(f"the connection to the broker broke: {error!r}", reason="network")


def other_protocol(packet: bytes) -> Unavailable | None:
    """Say what a server speaks whose first answer is no packet of MQTT, as far as it shows."""
    if packet.startswith(b"\x15\x03"):  # an alert (RFC 8446, 5.1)
        return Unavailable("the broker speaks TLS on that port; URL should say so: mqtts", reason="protocol", hold=True)
    if packet.startswith(b"HT"):  # HTTP/1.1 400
        text = "the broker speaks HTTP on that port; URL should say so, if it takes WebSockets: ws"
        return Unavailable(text, reason="protocol", hold=True)
    return None


_TRY_LATER: Final = (408, 425, 429)
_SERVER_ERROR: Final = 500
_UPGRADES: Final = {401: "unauthorized", 403: "forbidden"}


def upgrade_refused(status: int) -> Unavailable:
    """Say what it means that a server answers the request for a WebSocket with another HTTP status than 101."""
    text = f"the broker opens no WebSocket: HTTP status {status}"
    if status in _TRY_LATER or status >= _SERVER_ERROR:
        return Unavailable(text, reason="refused")
    return Unavailable(f"{text}; check the path of URL", reason=_UPGRADES.get(status, "refused"), hold=True)


def _unavailable(row: Meaning, text: str, *, blamed: bool) -> Unavailable:
    return Unavailable(
        row.said(text),
        reason=row.reason,
        hold=row.verb == "hold",
        slowly=row.verb in ("doubt", "suspect"),
        bury_after=_REFUSALS_UNTIL_BURIED if row.verb == "blame" and blamed else None,
        hold_after=_HELD_AFTER if row.verb == "suspect" else None,
    )
