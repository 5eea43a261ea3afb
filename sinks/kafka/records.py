"""What a message is in Kafka.

Pure. A record's value is the notification's body, untouched, and its headers are the CloudEvents attributes in binary
mode (Kafka protocol binding 1.0.2); in structured mode its value is all of it. Its key is the resource id, so that one
resource stays in one partition, in order.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from struct import iter_unpack

import msgspec

from bridge.errors import Rejected
from bridge.message import (
    DLQ_REDRIVEN,
    GAP_CLOSED,
    GAP_DETECTED,
    LICENCE_ACTIVATED,
    RESYNC_REQUIRED,
    STRUCTURED_CONTENT_TYPE,
    Message,
    ordinary_attributes,
    own_attributes,
    shared_attributes,
    structured,
)
from bridge.ports import DLQ_FLAGS

__all__ = [
    "GAPS_TOPIC",
    "LICENCE_TOPIC",
    "OTHER_TOPIC",
    "Record",
    "content_of",
    "is_reserved",
    "letter_record",
    "murmur2",
    "partition_of",
    "record_of",
    "segment",
    "too_large",
    "topic_of",
    "varint",
]

LICENCE_TOPIC = "portos.licence"
GAPS_TOPIC = "portos.bridge.gaps"
"""What the bridge tells of its own: where something may have been missed."""
OTHER_TOPIC = "portos.other-events"
"""Events that name no resource and are no licence; `segment` can never give `other-events`, so no resource collides."""

_RESERVED_PREFIXES = ("portos.bridge.", "portos.state.")
_OWN = dict.fromkeys((RESYNC_REQUIRED, GAP_DETECTED, GAP_CLOSED, DLQ_REDRIVEN), GAPS_TOPIC)
_TOPICS = {LICENCE_ACTIVATED: LICENCE_TOPIC, **_OWN}
_RESERVED = frozenset({LICENCE_TOPIC, OTHER_TOPIC})
_LONGEST_SEGMENT = 200
_ILLEGAL = re.compile(rb"[^A-Za-z0-9]")
_LENGTHS = tuple(chr(2 * length) for length in range(64))  # of short values; longer ones take two bytes
_CONTENT_TYPE = ("content-type", "application/json")


class Record(msgspec.Struct, frozen=True, gc=False):
    """A message as Kafka takes it."""

    topic: str
    key: bytes
    value: bytes | None
    """None is a tombstone."""
    headers: bytes
    """Their number and the headers themselves, as they stand in a record."""


def record_of(message: Message, template: str, site: str, *, structured_mode: bool = False) -> Record | Rejected:
    """Turn a message into a record, or reject one whose resource would land on a topic that is the bridge's own.

    `structured_mode` is CloudEvents' structured mode.
    """
    resource = message.resource
    value, headers = content_of(message, site, structured_mode=structured_mode)
    if resource is None:
        topic = _TOPICS.get(message.event, OTHER_TOPIC)
        return Record(topic, site.encode(), value, headers)
    topic = topic_of(template, site, resource)
    if is_reserved(topic):
        text = f"the resource {resource!r} leads to the reserved topic {topic}"
        return Rejected(text, reason="reserved_topic", target=topic)
    return Record(topic, (message.resource_id or "").encode(), value, headers)


def content_of(message: Message, site: str, *, structured_mode: bool) -> tuple[bytes, bytes]:
    """Give the value and the headers of a record."""
    if structured_mode:
        return structured(message, site), _STRUCTURED_HEADERS
    return message.body, _ordinary_headers(message, site) or _any_headers(message, site)


def letter_record(message: Message, topic: str, site: str) -> Record:
    """Turn the copy of a dead letter into a record: key, value and headers of its event, and what is known of it.

    Always in binary mode: what is known of it stands in headers.
    """
    known = [(name, text) for name, text in message.flags if name.startswith(DLQ_FLAGS)]
    flags = tuple((name, text) for name, text in message.flags if not name.startswith(DLQ_FLAGS))
    key = site if message.resource is None else message.resource_id or ""
    headers = _any_headers(msgspec.structs.replace(message, flags=flags), site, known)
    return Record(topic, key.encode(), message.body, headers)


def too_large(size: int, most: int, topic: str | None = None) -> Rejected:
    """Reject a record that MAX_REQUEST_BYTES does not let through."""
    text = f"the record has {size} bytes and MAX_REQUEST_BYTES is {most}"
    return Rejected(text, reason="too_large", target=topic)


def _ordinary_headers(message: Message, site: str) -> bytes | None:
    """Write the headers of an ordinary change in one go; None where `_any_headers` has to, in three times the time.

    Lengths below 64 are one byte below 0x80, which is the same as text: so the whole is one string of ASCII.
    """
    found = ordinary_attributes(message)
    if found is None:
        return None
    identity, recorded, created, subject, resource_id, version = found
    count, shared = _shared_headers(site, message.event, message.resource, message.action)
    own = (
        f"\x0ace_id\x48{identity}\x1ece_recordedtime\x30{recorded}\x0ece_time\x30{created}"
        f"\x14ce_subject{_LENGTHS[len(subject)]}{subject}\x1ace_resourceid{_LENGTHS[len(resource_id)]}{resource_id}"
        f"\x24ce_resourceversion{_LENGTHS[len(version)]}{version}"
    )
    return varint(count + len(found)) + shared + own.encode("ascii")


def _any_headers(message: Message, site: str, further: Sequence[tuple[str, str]] = ()) -> bytes:
    own = [(f"ce_{name}", text) for name, text in own_attributes(message)] + list(further)
    count, shared = _shared_headers(site, message.event, message.resource, message.action)
    parts = [varint(count + len(own)), shared]
    for name, text in own:
        data = text.encode()
        parts += _header_head(name, len(data)), data
    return b"".join(parts)


@lru_cache(maxsize=1024)
def _shared_headers(site: str, event: str, resource: str | None, action: str | None) -> tuple[int, bytes]:
    """Give the number and the bytes of those headers that all messages of one event, resource and action share."""
    pairs = [_CONTENT_TYPE, *((f"ce_{name}", text) for name, text in shared_attributes(site, event, resource, action))]
    encoded = ((name, text.encode()) for name, text in pairs)
    return len(pairs), b"".join(_header_head(name, len(data)) + data for name, data in encoded)


@lru_cache(maxsize=4096)
def _header_head(name: str, size: int) -> bytes:
    """Write what stands before a header's value: the name with its length, and the value's length."""
    return varint(len(name)) + name.encode() + varint(size)


@lru_cache(maxsize=65_536)
def varint(number: int) -> bytes:
    """Write a number of at least 0 as Kafka's variable-length integer (zigzag)."""
    rest = number << 1
    digits = bytearray()
    while rest > 0x7F:  # noqa: PLR2004 - seven bits a byte
        digits.append(rest & 0x7F | 0x80)
        rest >>= 7
    digits.append(rest)
    return bytes(digits)


_STRUCTURED_HEADERS = (
    varint(1) + _header_head("content-type", len(STRUCTURED_CONTENT_TYPE)) + STRUCTURED_CONTENT_TYPE.encode()
)


@lru_cache(maxsize=1024)
def topic_of(template: str, site: str, resource: str) -> str:
    """Fill in a topic template; neither a site nor a segment can hold a brace, so nothing is filled in twice."""
    return template.replace("{site}", site).replace("{resource}", segment(resource))


@lru_cache(maxsize=1024)
def is_reserved(topic: str) -> bool:
    """Say whether a topic belongs to the bridge and not to a resource."""
    return topic in _RESERVED or topic.startswith(_RESERVED_PREFIXES)


def segment(name: str) -> str:
    """Encode a foreign name as a part of a topic: injective, legal in Kafka, never empty, bounded.

    `A-Za-z0-9` pass, any other byte of its UTF-8 becomes `-XX`; an empty name is `-`; what is longer than 200
    characters then is cut to 160 and ends in `--` and 16 hexadecimal digits of the SHA-256 of the name.
    """
    if not name:
        return "-"
    encoded = _ILLEGAL.sub(lambda found: f"-{found[0][0]:02X}".encode(), name.encode()).decode()
    if len(encoded) <= _LONGEST_SEGMENT:
        return encoded
    return f"{encoded[:160]}--{hashlib.sha256(name.encode()).hexdigest()[:16]}"


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int) -> int:
    """Choose the partition of a key as Java's default partitioner does, so that others can co-partition."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(key: bytes) -> int:
    """Hash as `org.apache.kafka.common.utils.Utils.murmur2` does, as an unsigned number of 32 bits."""
    factor = 0x5BD1E995
    whole = len(key) & ~3
    hashed = 0x9747B28C ^ len(key)
    for (word,) in iter_unpack("<I", key[:whole]):
        mixed = word * factor & 0xFFFFFFFF
        mixed ^= mixed >> 24
        hashed = (hashed * factor ^ mixed * factor) & 0xFFFFFFFF
    if rest := key[whole:]:
        hashed = (hashed ^ int.from_bytes(rest, "little")) * factor & 0xFFFFFFFF
    hashed = (hashed ^ hashed >> 13) * factor & 0xFFFFFFFF
    return hashed ^ hashed >> 15
