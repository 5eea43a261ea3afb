"""What a message becomes on MQTT.

Pure. The packets are MQTT 5.0 (3.3 PUBLISH, 2.2.2 Properties) or 3.1.1 (3.3), always with QoS 1. Payload and properties
follow the MQTT binding of CloudEvents 1.0.2: in binary mode the attributes are user properties, without a prefix, in
structured mode they stand in the payload.
They are written here and not by paho-mqtt, whose way costs several times as much (README.md, "Why not publish()").
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import ceil

from bridge.cache import remembered
from bridge.errors import Rejected
from bridge.message import (
    STRUCTURED_CONTENT_TYPE,
    Message,
    is_ordinary,
    own_attributes,
    rfc3339,
    shared_attributes,
    short_subject,
    structured,
)
from bridge.ports import Shed
from bridge.reference import without_body
from sinks.mqtt.config import MqttConfig

__all__ = [
    "LARGEST_PACKET_BYTES",
    "STRUCTURED_PROPERTIES",
    "acknowledged",
    "expiry_seconds",
    "fitted",
    "lasting_properties",
    "packet_builder",
    "packets",
    "publication",
    "with_length",
]

LARGEST_PACKET_BYTES = 268_435_455 + 5
"""The largest packet that MQTT can frame (5.0, 1.5.5)."""

_PUBLISH_QOS_1 = b"\x32"
_RETAINED_QOS_1 = b"\x33"
_CONTENT_TYPE = b"\x03\x00\x10application/json"
STRUCTURED_PROPERTIES = b"\x03" + len(STRUCTURED_CONTENT_TYPE).to_bytes(2, "big") + STRUCTURED_CONTENT_TYPE.encode()
"""The properties of a message in structured mode, without their length."""
_MESSAGE_EXPIRY = b"\x02"
_LONGEST_EXPIRY_SECONDS = 0xFFFF_FFFF
_LONGEST_STRING_BYTES = 0xFFFF
_PUBACK = 0x40
_CONTINUED = 0x80
_LARGEST_ANSWER_BYTES = 0xFFFF


def packet_builder(config: MqttConfig, max_packet_bytes: int) -> Callable[[Message, int, float], bytes]:
    """Give the function that turns a message into its PUBLISH packet.

    It takes the message, the packet identifier and the moment in seconds since the epoch, and raises `Rejected` for a
    message that has no place on this broker. `max_packet_bytes` is the limit that broker and settings agree on.
    """
    site, with_properties, in_one = config.site, config.version == "5", config.structured
    topic_of = config.topics.of

    def packet(message: Message, packet_id: int, now: float) -> bytes:
        try:
            topic = topic_of(message)
            if in_one:
                body = structured(message, site)
                properties = _with_expiry(STRUCTURED_PROPERTIES, message, now) if with_properties else b""
            else:
                body, properties = message.body, _properties(message, site, now)
        except UnicodeEncodeError as error:
            raise Rejected("a name of the event is no valid Unicode", reason="invalid") from error
        return publication(topic, packet_id, properties, body, max_packet_bytes)

    return packet


def publication(  # noqa: PLR0913 - what a packet is made of
    topic: bytes, packet_id: int, properties: bytes, body: bytes, max_packet_bytes: int, *, retained: bool = False
) -> bytes:
    """Write a PUBLISH packet, or reject one that is too large; `properties` are those with their length, if any."""
    rest = 2 + len(topic) + 2 + len(properties) + len(body)
    length = _variable_byte_integer(rest)
    if 1 + len(length) + rest > max_packet_bytes:
        text = f"{rest} bytes; the broker takes packets of {max_packet_bytes}"
        raise Rejected(text, reason="too_large", target=topic.decode())
    first, identifier = _RETAINED_QOS_1 if retained else _PUBLISH_QOS_1, packet_id.to_bytes(2, "big")
    return b"".join((first, length, len(topic).to_bytes(2, "big"), topic, identifier, properties, body))


def fitted(
    packet: Callable[[Message, int, float], bytes], message: Message, packet_id: int, now: float, *, sheds: bool
) -> tuple[bytes, Shed | None]:
    """Write a message, or with `sheds` its reference where the broker takes nothing so large, and say so."""
    try:
        return packet(message, packet_id, now), None
    except Rejected as error:
        reference = without_body(message) if sheds and error.reason == "too_large" else None
        if reference is None:
            raise
        return packet(reference, packet_id, now), Shed(str(error))


def _properties(message: Message, site: str, now: float) -> bytes:
    return _with_expiry(lasting_properties(message, site), message, now)


def lasting_properties(message: Message, site: str) -> bytes:
    """Write the properties of a message that never expires at the broker, without their length."""
    shared = _shared_properties(site, message.event, message.resource, message.action)
    return shared + (_ordinary_properties(message) or _user_properties(own_attributes(message)))


def _with_expiry(packed: bytes, message: Message, now: float) -> bytes:
    """Write properties with their length, and before them when the message expires, if it does."""
    if message.expires_at is not None:
        packed = _MESSAGE_EXPIRY + expiry_seconds(message.expires_at, now).to_bytes(4, "big") + packed
    return with_length(packed)


def with_length(packed: bytes) -> bytes:
    """Write properties as a packet has them, with their length before them."""
    return _variable_byte_integer(len(packed)) + packed


def expiry_seconds(expires_at: float, now: float) -> int:
    """Give the Message Expiry Interval (5.0, 3.3.2.3.3): an event that has expired is still delivered."""
    return min(max(1, ceil(expires_at - now)), _LONGEST_EXPIRY_SECONDS)


def _ordinary_properties(message: Message) -> bytes | None:
    """Write the properties of an ordinary change in one go; None where `_user_properties` has to."""
    if not is_ordinary(message) or (about := _about(message.resource, message.resource_id)) is None:
        return None
    version = str(message.version)
    return (
        f"&\0\x02id\0\x24{message.id}{_times(message.received_at, message.created_at or 0.0)}{about}"
        f"&\0\x0fresourceversion\0{_SHORT[len(version)]}{version}"
    ).encode("ascii")


@lru_cache(maxsize=1024)
def _times(received_at: float, created_at: float) -> str:
    """Write the properties of the two times, which many messages of a burst have in common."""
    return f"&\0\x0crecordedtime\0\x18{rfc3339(received_at)}&\0\x04time\0\x18{rfc3339(created_at)}"


@remembered(8192)
def _about(resource: str | None, resource_id: str | None) -> str | None:
    """Write the properties that tell which resource it is, where these are short."""
    subject = short_subject(resource, resource_id)
    if subject is None or resource_id is None:
        return None
    of_id = f"&\0\x0aresourceid\0{_SHORT[len(resource_id)]}{resource_id}"
    return f"&\0\x07subject\0{_SHORT[len(subject)]}{subject}{of_id}"


@remembered(1024)
def _shared_properties(site: str, event: str, resource: str | None, action: str | None) -> bytes:
    """Give those properties that all messages of one event, resource and action have in common."""
    return _CONTENT_TYPE + _user_properties(shared_attributes(site, event, resource, action))


_SHORT = [chr(length) for length in range(64)]


def _user_properties(pairs: Sequence[tuple[str, str]]) -> bytes:
    """Write user properties (5.0, 2.2.2.2 and 1.5.7); our names are short ASCII."""
    parts: list[bytes] = []
    for name, text in pairs:
        value = text.encode()
        if len(value) > _LONGEST_STRING_BYTES:
            raise Rejected(f"the attribute {name} has {len(value)} bytes; MQTT takes 65535", reason="too_large")
        parts += (_head(name), len(value).to_bytes(2, "big"), value)
    return b"".join(parts)


@lru_cache(maxsize=64)
def _head(name: str) -> bytes:
    """Write what stands before a user property's value: its identifier and its name."""
    return b"&" + len(name).to_bytes(2, "big") + name.encode()


@lru_cache(maxsize=8192)
def _variable_byte_integer(number: int) -> bytes:
    """Write a length as MQTT does (5.0, 1.5.5): seven bits a byte, the least significant first."""
    written = bytearray()
    while True:
        number, bits = divmod(number, 128)
        written.append(bits | (0x80 if number else 0))
        if not number:
            return bytes(written)


def packets(received: bytes) -> tuple[list[bytes], bytes]:
    """Cut what was received into whole packets and the beginning of the next (5.0, 2.1.4).

    Raise `ValueError` for a length that is none, or that no answer to a publisher has.
    """
    whole: list[bytes] = []
    start = 0
    while (end := _packet_end(received, start)) <= len(received):
        whole.append(received[start:end])
        start = end
    return whole, received[start:]


def _packet_end(received: bytes, start: int) -> int:
    """Give where the packet ends that begins at `start`: behind the bytes where not all of it is there yet."""
    length = 0
    for index, byte in enumerate(received[start + 1 : start + 5]):
        length |= (byte & 0x7F) << 7 * index
        if length > _LARGEST_ANSWER_BYTES:
            break
        if byte < _CONTINUED:
            return start + 2 + index + length
    else:
        return len(received) + 1
    raise ValueError(f"a packet of {length} bytes or more")


def acknowledged(packet: bytes) -> tuple[int, int] | None:
    """Give packet identifier and reason code of a PUBACK (5.0, 3.4); None for any other packet."""
    if packet[0] != _PUBACK:
        return None
    body = 2
    while packet[body - 1] >= _CONTINUED:
        body += 1
    if len(packet) < body + 2:
        return None
    return packet[body] << 8 | packet[body + 1], packet[body + 2] if len(packet) > body + 2 else 0
