"""What of a message is a resource's state, and how it lies on disk.

Pure. A state is the newest change of a resource that has a body; a delete is one without. Used by the store and by
whoever feeds it.
"""

import zlib
from collections.abc import Callable

import msgspec

from bridge.message import RESOURCES_CHANGED, VERSION_RESET, Message

__all__ = ["Row", "read", "state_of"]

_LARGEST_INTEGER = 2**63 - 1  # of SQLite
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode

Row = tuple[str, str, int | None, float | None, bool, int, bytes]
"""A state as the table takes it: resource, resource id, version, time of creation, whether versions begin anew with it,
checksum, message."""


def state_of(message: Message, change_of: Callable[[Message], Message | None], *, versioned: bool) -> Row | None:
    """Give the row that a message leads to, None where it is no resource's newest state.

    `change_of` says which change an event of the bridge's own tells of whose body found no room. If that is a delete it
    is a state all the same, since a delete needs no body; any other keeps the state as it is, and what consumers miss
    of it they are told by that event. An empty body never stands for anything but a delete. Not `versioned`: versions
    mean nothing, the order decides.
    """
    change = message if message.event == RESOURCES_CHANGED else change_of(message)
    if change is None or (resource := change.resource) is None:
        return None
    if change.action == "deleted":
        change = msgspec.structs.replace(change, body=b"")
    elif not change.body:
        return None
    version = min(change.version, _LARGEST_INTEGER) if versioned and change.version is not None else None
    reset = any(name == VERSION_RESET for name, _ in change.flags)
    data = _encode(change)
    return resource, change.resource_id or "", version, change.created_at, reset, zlib.crc32(data), data


def read(crc: int, data: bytes) -> Message | None:
    """Read a row's message back; None where the disk has spoilt it."""
    return _decode(data) if zlib.crc32(data) == crc else None
