"""What a message is in Kafka.

Pure. A record's value is the notification's body, untouched, and its headers are the CloudEvents attributes in binary
mode (Kafka protocol binding 1.0.2); in structured mode its value is all of it. Topic and key are chosen by
`sinks.kafka.layout`.
"""

from collections.abc import Sequence
from functools import lru_cache
from struct import iter_unpack

import msgspec

from bridge.cache import remembered
from bridge.errors import Rejected
from bridge.message import (
    LICENCE_ACTIVATED,
    STRUCTURED_CONTENT_TYPE,
    TOLD,
    Message,
    is_ordinary,
    own_attributes,
    rfc3339,
    shared_attributes,
    short_subject,
    structured,
)
from bridge.ports import DLQ_FLAGS
from sinks.kafka.layout import GAPS_TOPIC, LICENCE_TOPIC, OTHER_TOPIC, Layout

__all__ = [
    "Record",
    "content_of",
    "letter_record",
    "murmur2",
    "partition_of",
    "record_of",
    "varint",
]

_TOPICS = {LICENCE_ACTIVATED: LICENCE_TOPIC, **dict.fromkeys(TOLD, GAPS_TOPIC)}
_LENGTHS = tuple(chr(2 * length) for length in range(64))  # of short values; longer ones take two bytes
_CONTENT_TYPE = ("content-type", "application/json")
_OWN_HEADERS = 6
"""How many an ordinary change has of its own."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """A message as Kafka takes it."""

    topic: str
    key: bytes
    value: bytes | None
    """None is a tombstone."""
    headers: bytes
    """Their number and the headers themselves, as they stand in a record."""


def record_of(message: Message, layout: Layout, *, structured_mode: bool = False) -> Record | Rejected:
    """Turn a message into a record, or reject one whose resource has no topic.

    `structured_mode` is CloudEvents' structured mode.
    """
    resource, site = message.resource, layout.site
    if resource is None:
        topic, key = _TOPICS.get(message.event, OTHER_TOPIC), site.encode()
    else:
        place = layout.topic(resource)
        if isinstance(place, Rejected):
            return place
        topic, key = place, layout.key(message)
    value, headers = content_of(message, site, structured_mode=structured_mode)
    return Record(topic, key, value, headers)


def content_of(message: Message, site: str, *, structured_mode: bool) -> tuple[bytes, bytes]:
    """Give the value and the headers of a record."""
    if structured_mode:
        return structured(message, site), _STRUCTURED_HEADERS
    return message.body, _ordinary_headers(message, site) or _any_headers(message, site)


def letter_record(message: Message, topic: str, layout: Layout) -> Record:
    """Turn the copy of a dead letter into a record: key, value and headers of its event, and what is known of it.

    Always in binary mode: what is known of it stands in headers.
    """
    known = [(name, text) for name, text in message.flags if name.startswith(DLQ_FLAGS)]
    flags = tuple((name, text) for name, text in message.flags if not name.startswith(DLQ_FLAGS))
    key = layout.site.encode() if message.resource is None else layout.key(message)
    headers = _any_headers(msgspec.structs.replace(message, flags=flags), layout.site, known)
    return Record(topic, key, message.body, headers)


def _ordinary_headers(message: Message, site: str) -> bytes | None:
    """Write the headers of an ordinary change in one go; None where `_any_headers` has to, in four times the time.

    Lengths below 64 are one byte below 0x80, which is the same as text: so the whole is one string of ASCII.
    """
    if not is_ordinary(message) or (about := _about(message.resource, message.resource_id)) is None:
        return None
    version = str(message.version)
    own = (
        f"\x0ace_id\x48{message.id}{_times(message.received_at, message.created_at or 0.0)}{about}"
        f"\x24ce_resourceversion{_LENGTHS[len(version)]}{version}"
    )
    return _ordinary_head(site, message.event, message.resource, message.action) + own.encode("ascii")


@remembered(1024)
def _ordinary_head(site: str, event: str, resource: str | None, action: str | None) -> bytes:
    """Give the number of the headers of an ordinary change, and those that all of its kind share."""
    count, shared = _shared_headers(site, event, resource, action)
    return varint(count + _OWN_HEADERS) + shared


@lru_cache(maxsize=1024)
def _times(received_at: float, created_at: float) -> str:
    """Write the headers of the two times, which many messages of a burst have in common."""
    return f"\x1ece_recordedtime\x30{rfc3339(received_at)}\x0ece_time\x30{rfc3339(created_at)}"


@remembered(8192)
def _about(resource: str | None, resource_id: str | None) -> str | None:
    """Write the headers that tell which resource it is, where these are short."""
    subject = short_subject(resource, resource_id)
    if subject is None or resource_id is None:
        return None
    of_id = f"\x1ace_resourceid{_LENGTHS[len(resource_id)]}{resource_id}"
    return f"\x14ce_subject{_LENGTHS[len(subject)]}{subject}{of_id}"


def _any_headers(message: Message, site: str, further: Sequence[tuple[str, str]] = ()) -> bytes:
    own = [(f"ce_{name}", text) for name, text in own_attributes(message)] + list(further)
    count, shared = _shared_headers(site, message.event, message.resource, message.action)
    parts = [varint(count + len(own)), shared]
    for name, text in own:
        data = text.encode()
        parts += _header_head(name, len(data)), data
    return b"".join(parts)


@remembered(1024)
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


@remembered(65_536)
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
