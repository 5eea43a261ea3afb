"""How messages lie on disk: one chunk a commit, and in it one row a message, each with a checksum of its own.

Pure. A chunk is written and read with one SQL statement however many messages it holds, since each statement costs a
round trip through the interpreter's lock; the checksum is by row, so that a damaged byte costs one message.

    row   = length (4 bytes) | CRC-32 (4 bytes) | message (MessagePack)   little-endian

The CRC covers the row's sequence number and the message; its seed is the number, so that a row in a wrong place is
found, and the rows behind a damaged length are found again.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct

import msgspec

from bridge.message import Message

__all__ = ["CorruptRow", "decode", "encode", "tail_of"]

_ROW = Struct("<II")
_LEAST_BYTES = 12  # a message of eleven fields is longer
_BEGIN = re.compile(rb"[\x90-\x9f]")  # a message is an array of fewer than 16 fields; text has no such byte in ASCII
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

    A damaged byte costs the row it is in, and one in a row's length or checksum not even that where its message tells
    where it ends. Rows that stand where they cannot be told apart are corrupt, and the first of them carries the bytes.
    """
    rows: list[Message | CorruptRow] = []
    at, size_of_chunk = 0, len(chunk)
    for seq in range(first, last + 1):
        if at + _ROW.size > size_of_chunk:
            return rows + _searched(chunk, at, seq, last)
        size, crc = _ROW.unpack_from(chunk, at)
        start = at + _ROW.size
        data = chunk[start : start + size]
        if len(data) < size or zlib.crc32(data, seq & 0xFFFFFFFF) != crc:
            return rows + _searched(chunk, at, seq, last)
        rows.append(_decode(data))
        at = start + size
    return rows


def tail_of(chunk: bytes, first: int, last: int, seq: int) -> bytes:
    """Cut off the rows before a number: what is left is a chunk from there on, with what is damaged in it."""
    at, number = 0, first
    while number < seq:
        data = _row_at(chunk, at, number)
        if data is not None:
            at, number = at + _ROW.size + len(data), number + 1
            continue
        following = _next_row(chunk, at, number, last)
        if following is None or following[1] > seq:
            break
        at, number = following
    return chunk[at:]


def _searched(chunk: bytes, at: int, seq: int, last: int) -> list[Message | CorruptRow]:
    """Read on from a damaged row: whatever has a checksum that fits its place is still there."""
    rows: list[Message | CorruptRow] = []
    while seq <= last:
        following = _next_row(chunk, at, seq, last)
        until, known = (len(chunk), last + 1) if following is None else following
        between = chunk[at + _ROW.size : until]
        if known == seq + 1 and len(chunk) >= at + _ROW.size and _fits(chunk, at, between, seq):
            rows.append(_decode(between))  # only its length was damaged
        else:
            rows.append(CorruptRow(seq, between))
            rows += (CorruptRow(lost, b"") for lost in range(seq + 1, known))
        at, seq = until, known
        while seq <= last and (data := _row_at(chunk, at, seq)) is not None:
            rows.append(_decode(data))
            at, seq = at + _ROW.size + len(data), seq + 1
    return rows


def _next_row(chunk: bytes, damaged: int, seq: int, last: int) -> tuple[int, int] | None:
    """Find the first whole row behind a damaged one: its place and its sequence number."""
    for begin in _BEGIN.finditer(chunk, damaged + 2 * _ROW.size, len(chunk) - _LEAST_BYTES + 1):
        at = begin.start() - _ROW.size
        size, crc = _ROW.unpack_from(chunk, at)
        if _LEAST_BYTES <= size <= len(chunk) - at - _ROW.size:
            data = chunk[at + _ROW.size : at + _ROW.size + size]
            for number in range(seq + 1, last + 1):
                if zlib.crc32(data, number & 0xFFFFFFFF) == crc:
                    return at, number
    return None


def _row_at(chunk: bytes, at: int, seq: int) -> bytes | None:
    if at + _ROW.size > len(chunk):
        return None
    size, _ = _ROW.unpack_from(chunk, at)
    data = chunk[at + _ROW.size : at + _ROW.size + size]
    return data if len(data) == size and _fits(chunk, at, data, seq) else None


def _fits(chunk: bytes, at: int, data: bytes, seq: int) -> bool:
    return int(_ROW.unpack_from(chunk, at)[1]) == zlib.crc32(data, seq & 0xFFFFFFFF)
