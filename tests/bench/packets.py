"""The little of MQTT 3.1.1 that a quick subscriber needs, by counting bytes instead of building objects.

Pure. Used by `tests.bench.subscriber`; a client library in Python is slower than the bridges that it should watch.
"""

import re
from datetime import datetime
from struct import pack

__all__ = ["connect", "created_at", "publications", "publish", "subscribe"]

_PUBLISH, _PUBACK_HEAD = 0x30, b"\x40\x02"
_CREATED = re.compile(rb'"ca":\s*"([^"]+)"')


def connect(client_id: str) -> bytes:
    """Give a CONNECT with a clean session and no keep-alive."""
    return _packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x00" + _text(client_id))


def subscribe(topic_filter: str) -> bytes:
    """Give a SUBSCRIBE with QoS 1."""
    return _packet(0x82, b"\x00\x01" + _text(topic_filter) + b"\x01")


def publish(topic: str, packet_id: int, payload: bytes) -> bytes:
    """Give a PUBLISH with QoS 1, as a broker sends it."""
    return _packet(0x32, _text(topic) + pack(">H", packet_id) + payload)


def publications(data: bytes) -> tuple[list[tuple[int, int]], bytes, int]:
    """Find the whole packets in what came: where each PUBLISH begins and ends, the acknowledgements, the bytes used."""
    found: list[tuple[int, int]] = []
    acknowledgements: list[bytes] = []
    at, end = 0, len(data)
    while at + 2 <= end:
        size, shift, body = 0, 0, at + 1
        while body < end:
            byte = data[body]
            size |= (byte & 0x7F) << shift
            shift += 7
            body += 1
            if byte < 0x80:
                break
        else:
            break
        after = body + size
        if after > end:
            break
        if data[at] & 0xF0 == _PUBLISH:
            found.append((at, after))
            if data[at] & 0x06:
                packet_id = body + 2 + (data[body] << 8 | data[body + 1])
                acknowledgements.append(_PUBACK_HEAD + data[packet_id : packet_id + 2])
        at = after
    return found, b"".join(acknowledgements), at


def created_at(data: bytes, start: int = 0, end: int | None = None) -> float:
    """Read the hub's time stamp, in whole milliseconds, out of a notification."""
    found = _CREATED.search(data, start, len(data) if end is None else end)
    if found is None:
        raise ValueError("a notification without a time stamp")
    return datetime.fromisoformat(found[1].decode()).timestamp()


def _packet(head: int, body: bytes) -> bytes:
    size, length = len(body), bytearray()
    while True:
        size, digit = divmod(size, 128)
        length.append(digit | (0x80 if size else 0))
        if not size:
            return bytes([head]) + bytes(length) + body


def _text(text: str) -> bytes:
    return pack(">H", len(text.encode())) + text.encode()
