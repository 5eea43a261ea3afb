"""What travels: one notification of the hub, identified, with its bytes untouched.

Pure. The source makes messages, the journal keeps them, the sinks turn them into records; nothing in between changes
one. What identifies a message on the wire is the same for every sink and is made here: CloudEvents 1.0 attributes
(https://github.com/cloudevents/spec, v1.0.2), which the sinks put into Kafka headers or MQTT 5 user properties.
"""

import hashlib
from base64 import b64encode
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from urllib.parse import quote
from uuid import UUID

import msgspec

from bridge.cache import remembered

__all__ = [
    "CORRELATION_ID",
    "DLQ_REDRIVEN",
    "GAP_CLOSED",
    "GAP_DETECTED",
    "LICENCE_ACTIVATED",
    "OWN_EVENTS",
    "RESOURCES_CHANGED",
    "RESYNC_REQUIRED",
    "STRUCTURED_CONTENT_TYPE",
    "TOLD",
    "VERSION_RESET",
    "Message",
    "attributes",
    "event_id",
    "example",
    "is_ordinary",
    "own_attributes",
    "percent_encoded",
    "rfc3339",
    "shared_attributes",
    "short_subject",
    "structured",
]

RESOURCES_CHANGED = "portos.resources.changed"
LICENCE_ACTIVATED = "portos.licence.activated"
OWN_EVENTS = "portos.bridge."
"""How the names of the bridge's own events begin; what the hub sends under such a name is no notification."""
RESYNC_REQUIRED = "portos.bridge.resync.required"
"""Something may have been missed. Its data is made by `bridge.blind`."""
GAP_DETECTED = "portos.bridge.gap.detected"
GAP_CLOSED = "portos.bridge.gap.closed"
"""Versions of a resource are missing, and have all come late. Their data is made by `bridge.portos.gaps`."""
DLQ_REDRIVEN = "portos.bridge.dlq.redriven"
"""Somebody had dead letters sent again. Its data is made by `bridge.letters`."""
TOLD = (RESYNC_REQUIRED, GAP_DETECTED, GAP_CLOSED, DLQ_REDRIVEN)
"""All that the bridge tells of its own in the stream."""
CORRELATION_ID = "correlationid"
"""The flag of a notification with a reference of its own, its `r`."""
VERSION_RESET = "versionreset"
"""The flag of a change with which versions of its resource begin anew."""

# The namespace of all event ids: the same on every replica and after every restart.
# Hashing goes on from the hashed namespace and the digits are set by hand: it is done for every message.
_PREFIX = hashlib.sha1(UUID("dd01bf0a-0978-532c-bd6e-c06402f5b279").bytes, usedforsecurity=False)
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
_encode = msgspec.json.Encoder().encode
_LONGEST_LEVEL_BYTES = 256
_ID_CHARACTERS = 36
_SHORT_CHARACTERS = 63
_MILLISECONDS = tuple(f".{millisecond:03d}Z" for millisecond in range(1000))


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One notification.

    Times are seconds since the epoch. `resource`, `resource_id`, `version` and `action` are those of the
    notification's `p.n`, `p.i.i`, `p.i.v` and `p.a` and are None where the event has none; `body` is the notification
    as the hub sent it. `flags` are further attributes, set where there is more to say of a message.
    """

    id: str
    event: str
    resource: str | None
    resource_id: str | None
    version: int | None
    action: str | None
    created_at: float | None
    expires_at: float | None
    received_at: float
    body: bytes
    flags: tuple[tuple[str, str], ...] = ()


def event_id(*parts: str | float | None) -> str:
    """Identify an event: the UUID version 5 over the compact JSON array of what makes it unique.

    Callers give `(site, resource, id, version, action)`, or where there is no version
    `(site, resource, id, None, action, created at as text, SHA-256 of the payload)`. What has no resource gives the
    event's name in its place.
    """
    name = _PREFIX.copy()
    name.update(_encode(parts))
    digits = name.hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{_VARIANTS[digits[16]]}{digits[17:20]}-{digits[20:32]}"


def example(event: str, resource: str | None = None, action: str = "updated") -> Message:
    """Make an event of which only the kind is of interest, to ask a sink where it sends such events."""
    resource_id, done = (None, None) if resource is None else ("0", action)
    return Message(event_id(event, resource), event, resource, resource_id, None, done, 0.0, None, 0.0, b"{}")


def attributes(message: Message, site: str) -> list[tuple[str, str]]:
    """Give the CloudEvents attributes of a message that are set, as name and text, without any prefix.

    `datacontenttype` is left out, since every binding has a place of its own for it.
    """
    return [*shared_attributes(site, message.event, message.resource, message.action), *own_attributes(message)]


@remembered(1024)
def shared_attributes(site: str, event: str, resource: str | None, action: str | None) -> tuple[tuple[str, str], ...]:
    """Give those attributes that all messages of one event, resource and action have in common."""
    pairs = [("specversion", "1.0"), ("source", f"/portos/{site}"), ("type", event)]
    if resource is not None:
        pairs.append(("resourcename", _printable(resource)))
        if action is not None:
            pairs.append(("resourceaction", action))
    return tuple(pairs)


def own_attributes(message: Message) -> list[tuple[str, str]]:
    """Give those attributes that are a message's own: its id, its times, and what it is about."""
    pairs = [("id", message.id), ("recordedtime", rfc3339(message.received_at))]
    if (created_at := message.created_at) is not None:
        pairs.append(("time", rfc3339(created_at)))
    if (expires_at := message.expires_at) is not None:
        pairs.append(("expirytime", rfc3339(expires_at)))
    pairs += message.flags
    if (resource := message.resource) is None:
        return pairs
    if (resource_id := message.resource_id) is None:
        pairs.append(("subject", f"{percent_encoded(resource)}/{percent_encoded('')}"))
    else:
        pairs.append(("subject", f"{percent_encoded(resource)}/{percent_encoded(resource_id)}"))
        pairs.append(("resourceid", _printable(resource_id)))
    if (version := message.version) is not None:
        pairs.append(("resourceversion", str(version)))
    return pairs


def is_ordinary(message: Message) -> bool:
    """Say whether a message is an ordinary change of a resource, so that a sink can write `own_attributes` in one go.

    Those are `id`, `recordedtime`, `time`, `subject`, `resourceid` and `resourceversion` then, all ASCII; the id has 36
    characters, the times have 24. Whether the rest is short says `short_subject`.
    """
    return (
        message.version is not None
        and message.created_at is not None
        and message.expires_at is None
        and not message.flags
        and len(message.id) == _ID_CHARACTERS
    )


def short_subject(resource: str | None, resource_id: str | None) -> str | None:
    """Give the `subject` of a resource, where neither it nor its `resourceid` has more than 63 characters, all ASCII.

    None of any other.
    """
    if resource is None or resource_id is None or not resource_id.isascii() or not resource_id.isprintable():
        return None
    subject = f"{percent_encoded(resource)}/{percent_encoded(resource_id)}"
    return subject if len(subject) <= _SHORT_CHARACTERS else None  # which is longer than the id


STRUCTURED_CONTENT_TYPE = "application/cloudevents+json"
"""The content type of what `structured` writes (JSON event format 1.0.2, 3)."""


def structured(message: Message, site: str) -> bytes:
    """Write a message as one line with a CloudEvents event in JSON (JSON event format 1.0.2), without its end.

    The notification stands in it byte for byte as `data`; one that is no JSON, or that a line cannot hold, stands there
    as `data_base64` (3.1.1), so that nothing has to be re-encoded or rejected.
    """
    pairs = [f'"{name}":{encode_basestring_ascii(text)}' for name, text in attributes(message, site)]
    pairs.append('"datacontenttype":"application/json"')
    attribute_bytes = ",".join(pairs).encode()
    if _fits_a_line(message.body):
        return b'{%b,"data":%b}' % (attribute_bytes, message.body)
    return b'{%b,"data_base64":"%b"}' % (attribute_bytes, b64encode(message.body))


def _fits_a_line(body: bytes) -> bool:
    if b"\n" in body or b"\r" in body:
        return False
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


@lru_cache(maxsize=1024)
def rfc3339(seconds: float) -> str:
    """Write a moment as RFC 3339 in UTC with milliseconds, the form in which the hub writes its own.

    Cached, since in a burst many messages have a time in common.
    """
    milliseconds = round(seconds * 1000)
    second = milliseconds // 1000
    return _second(second) + _MILLISECONDS[milliseconds - second * 1000]


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (OverflowError, OSError, ValueError):  # a hub may send any year; the attribute must not stop the event
        return "9999-12-31T23:59:59" if seconds > 0 else "0001-01-01T00:00:00"


@remembered(4096)
def percent_encoded(name: str) -> str:
    """Encode a foreign name as one level of an MQTT topic or one segment of a path: injective, never empty, bounded.

    `A-Za-z0-9-._` pass, any other byte of its UTF-8 becomes `%XX` (RFC 3986); an empty name is `~`; what is longer than
    256 bytes then is cut to 200 and ends in `~` and 16 hexadecimal digits of the SHA-256 of the name.
    """
    if not name:
        return "~"
    encoded = quote(name, safe="").replace("~", "%7E")
    if len(encoded) <= _LONGEST_LEVEL_BYTES:
        return encoded
    return f"{encoded[:200]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _printable(name: str) -> str:
    """Give a foreign name as a CloudEvents string, which may hold no control characters (1.0.2, "Type System")."""
    return name if name.isprintable() else percent_encoded(name)
