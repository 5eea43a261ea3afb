"""How messages lie on disk: one chunk a commit, and in it one row a message, each with a checksum of its own.

Pure. A chunk is written and read with one SQL statement however many messages it holds, since each statement costs a
round trip through the interpreter's lock; the checksum is by row, so that a damaged byte costs one message.

    row   = length (4 bytes) | CRC-32 (4 bytes) | message (MessagePack)   little-endian

The CRC covers the row's sequence number and the message; its seed is the number, so that a row in a wrong place is
found.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct, error

import msgspec

from bridge.message import Message

__all__ = ["CorruptRow", "decode", "encode"]

_ROW = Struct("<II")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


@dataclass(frozen=True, slots=True)
class CorruptRow:
    """What is left of a row that fails its checksum; `data` is what stands in its place."""

    seq: int
    data: bytes


def encode(messages: Sequence[Message], first: int) -> bytes:
    """Lay messages out as one chunk whose first row has the sequence number `first`."""
    parts: list[bytes] = []
    for seq, message in enumerate(messages, first):
        data = _encode(message)
        parts += _ROW.pack(len(data), zlib.crc32(data, seq & 0xFFFFFFFF)), data
    return b"".join(parts)


def decode(chunk: bytes, first: int, last: int) -> list[Message | CorruptRow]:
    """Read a chunk back, a result for each sequence number from `first` to `last`.

    A damaged length makes the rest of the chunk unreadable: each of its rows is corrupt then, and the first of them
    carries the bytes.
    """
    rows: list[Message | CorruptRow] = []
    at = 0
    for seq in range(first, last + 1):
        try:
            size, crc = _ROW.unpack_from(chunk, at)
        except error:
            return rows + _unreadable(seq, last, chunk[at:])
        start, at = at + _ROW.size, at + _ROW.size + size
        if at > len(chunk):
            return rows + _unreadable(seq, last, chunk[start - _ROW.size :])
        data = chunk[start:at]
        if zlib.crc32(data, seq & 0xFFFFFFFF) == crc:
            rows.append(_decode(data))
        else:
            rows.append(CorruptRow(seq, data))
    return rows


def _unreadable(seq: int, last: int, data: bytes) -> list[Message | CorruptRow]:
    return [CorruptRow(seq, data), *(CorruptRow(lost, b"") for lost in range(seq + 1, last + 1))]
