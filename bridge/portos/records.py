"""The records of a hub connection, in a form that signalrcore's hub layer takes.

Pure, but for the library's logger. The wire is Microsoft's HubProtocol.md; where Microsoft's clients are more lenient
than the specification (unknown types and members), so is this.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from signalrcore.messages.close_message import CloseMessage
from signalrcore.messages.completion_message import CompletionMessage
from signalrcore.messages.handshake.response import HandshakeResponseMessage
from signalrcore.messages.invocation_message import InvocationMessage
from signalrcore.protocol.json_hub_protocol import JsonHubProtocol

from bridge.message import Message
from bridge.portos.notifications import unreadable
from bridge.source import Unreadable

__all__ = ["HandshakeRefusedError", "HubProtocol", "Read", "Unanswerable"]

Read = Callable[[bytes, float], Message | Unreadable]
"""Reads the argument of a notification that came at a time."""

_SEPARATOR: Final = b"\x1e"
_TYPES: Final = {1: "invocation", 3: "completion", 6: "ping", 7: "close", 8: "ack", 9: "sequence"}
_INVOCATION, _COMPLETION, _CLOSE = 1, 3, 7


class HandshakeRefusedError(Exception):
    """The hub's answer to the handshake is an error, or none at all."""


class _Record(msgspec.Struct, gc=False, rename="camel"):
    type: int = 6
    target: str | None = None
    arguments: tuple[msgspec.Raw, ...] = ()
    invocation_id: str | None = None
    error: str | None = None
    allow_reconnect: bool | None = None


_decode = msgspec.json.Decoder(_Record).decode


class HubProtocol(JsonHubProtocol):  # type: ignore[misc]  # signalrcore is untyped
    """Splits a WebSocket message into records; all notifications in it become one invocation of what was read of them.

    `received_at` is set before a message is parsed; `frames` counts the records by type.
    """

    def __init__(self, target: str, read: Read, frames: dict[str, int]) -> None:
        super().__init__(version=1)
        self.received_at = 0.0
        self._target = target
        self._read = read
        self._frames = frames
        # ASP.NET Core writes a notification as head, argument, tail: such a record is read in one pass.
        self._head = b'{"type":1,"target":"%s","arguments":[' % target.encode()
        self._tail = b"]}"

    def decode_handshake(self, raw: bytes) -> tuple[HandshakeResponseMessage, list[Any]]:
        """Take the answer to the handshake and what follows it; raises `HandshakeRefusedError`."""
        head, end, rest = raw.partition(_SEPARATOR)
        try:
            reply = msgspec.json.decode(head)
        except (ValueError, RecursionError):
            raise HandshakeRefusedError(f"no SignalR hub answers there: {_shown(head)}") from None
        if not end or not isinstance(reply, dict):
            raise HandshakeRefusedError(f"no SignalR hub answers there: {_shown(head)}")
        if reply.get("error"):
            raise HandshakeRefusedError(f"the hub refused the handshake: {str(reply['error'])[:200]!r}")
        return HandshakeResponseMessage(None), self.parse_messages(rest)

    def parse_messages(self, raw: bytes) -> list[Any]:
        """Read a WebSocket message: first one invocation of all notifications, then the rest in order."""
        head, tail, first, received_at, read = self._head, self._tail, len(self._head), self.received_at, self._read
        notifications: list[Message | Unreadable] = []
        others: list[Any] = []
        quick = 0
        records = raw.split(_SEPARATOR)
        cut_off = records.pop()
        for record in records:
            if record.startswith(head) and record.endswith(tail):
                notification = read(record[first:-2], received_at)
                if type(notification) is Message:
                    notifications.append(notification)
                    quick += 1
                    continue
            if record:
                self._parse(record, notifications, others)
        if cut_off:
            notifications.append(Unreadable("json", "the record has no end", cut_off, received_at))
            self._count("other")
        if quick:
            self._count("invocation", quick)
        if notifications:
            others.insert(0, InvocationMessage(None, self._target, notifications))
        return others

    def encode(self, message: Any) -> str:
        """Write a record; headers stay out, since the library puts the token into them."""
        members = {name: value for name, value in vars(message).items() if name != "headers" and value is not None}
        if "type" in members:
            members["type"] = members["type"].value
        for name, written in (("invocation_id", "invocationId"), ("stream_ids", "streamIds")):
            if name in members:
                members[written] = members.pop(name)
        return msgspec.json.encode(members).decode() + "\x1e"

    def _parse(self, record: bytes, notifications: list[Message | Unreadable], others: list[Any]) -> None:
        """Decode one record of any kind; what is none is set aside and costs nothing to its neighbours."""
        try:
            parsed = _decode(record)
        except (ValueError, RecursionError) as error:
            self._count("other")
            notifications.append(unreadable(record, error, self.received_at))
            return
        kind = _TYPES.get(parsed.type, "other")
        if parsed.type == _INVOCATION:
            if parsed.invocation_id is not None:
                others.append(Unanswerable(parsed.invocation_id))
            if (parsed.target or "").lower() == self._target.lower():
                notifications.append(self._argument(parsed, record))
            else:
                kind = "other"
        elif parsed.type == _COMPLETION:
            failed = None if parsed.error is None else parsed.error or "(no text)"  # the library takes "" for success
            others.append(CompletionMessage(parsed.invocation_id, None, failed))
        elif parsed.type == _CLOSE:
            others.append(CloseMessage(parsed.error, bool(parsed.allow_reconnect)))
        self._count(kind)

    def _argument(self, parsed: _Record, record: bytes) -> Message | Unreadable:
        if len(parsed.arguments) != 1:
            text = f"{self._target} with {len(parsed.arguments)} arguments instead of one"
            return Unreadable("shape", text, record, self.received_at)
        return self._read(bytes(parsed.arguments[0]), self.received_at)

    def _count(self, kind: str, number: int = 1) -> None:
        self._frames[kind] = self._frames.get(kind, 0) + number


class Unanswerable(CompletionMessage):  # type: ignore[misc]
    """An answer to an invocation that wants a result: the bridge has no methods that give one."""

    def __init__(self, invocation_id: str) -> None:
        super().__init__(invocation_id, None, "This client has no results.")


def _shown(answer: bytes) -> str:
    """Show the beginning of a strange answer, unless it may be a notification, which is quoted nowhere."""
    return f"{len(answer)} bytes of JSON" if answer.lstrip().startswith((b"{", b"[")) else repr(answer[:80])
