"""How WebSocket messages are split into records and records are written."""

import json
from typing import Any

import pytest
from signalrcore.messages.close_message import CloseMessage
from signalrcore.messages.completion_message import CompletionMessage
from signalrcore.messages.invocation_message import InvocationMessage

from bridge.message import Message
from bridge.portos.notifications import read
from bridge.portos.records import HandshakeRefusedError, HubProtocol
from bridge.source import Unreadable

EVENT = b'{"e":"portos.future.event"}'


def protocol(frames: dict[str, int] | None = None) -> HubProtocol:
    return HubProtocol("OnEvent", lambda body, now: read(body, "default", now), {} if frames is None else frames)


def notifications(*records: bytes) -> list[Message | Unreadable]:
    parsed = protocol().parse_messages(b"".join(record + b"\x1e" for record in records))
    assert [type(message) for message in parsed] == [InvocationMessage]
    got: list[Message | Unreadable] = parsed[0].arguments
    return got


@pytest.mark.parametrize(
    "record",
    [
        b'{"type":1,"target":"OnEvent","arguments":[%s]}',
        b'{"type":1,"target":"onevent","arguments":[%s]}',
        b'{ "arguments" : [ %s ], "target" : "OnEvent", "type" : 1 }',
        b'{"type":1,"target":"OnEvent","arguments":[%s],"headers":{},"streamIds":[]}',
        b'{"type":1,"target":"OnEvent","arguments":[%s],"more":[{}]}',
    ],
)
def test_a_notification_is_read_however_its_record_is_written(record: bytes) -> None:
    """The quick way for ASP.NET Core's own form and the general way give the same message, with the same bytes."""
    [got] = notifications(record % EVENT)

    assert isinstance(got, Message)
    assert got.body == EVENT


@pytest.mark.parametrize("arguments", [b"", EVENT + b"," + EVENT, b"1,2"])
def test_another_number_of_arguments_is_no_notification(arguments: bytes) -> None:
    """`OnEvent` has one argument: with none or two the whole record is set aside, and no half of it is delivered."""
    record = b'{"type":1,"target":"OnEvent","arguments":[%s]}' % arguments

    [got] = notifications(record)

    assert isinstance(got, Unreadable)
    assert (got.reason, got.body) == ("shape", record)


def test_notifications_come_first_and_the_rest_in_its_order() -> None:
    """What a frame holds of notifications is one invocation, then come completions and Close."""
    frames: dict[str, int] = {}
    event = b'{"type":1,"target":"OnEvent","arguments":[%s]}' % EVENT
    raw = b"\x1e".join([b'{"type":3,"invocationId":"0"}', event, b'{"type":6}', event, b'{"type":7}', b""])

    parsed = protocol(frames).parse_messages(raw)

    assert [type(message) for message in parsed] == [InvocationMessage, CompletionMessage, CloseMessage]
    assert len(parsed[0].arguments) == 2
    assert frames == {"completion": 1, "invocation": 2, "ping": 1, "close": 1}


def test_records_behind_the_handshakes_answer_are_read() -> None:
    """More may follow the answer in the same message."""
    _, parsed = protocol().decode_handshake(b'{}\x1e{"type":3,"invocationId":"0"}\x1e')

    assert [message.invocation_id for message in parsed] == ["0"]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (b"<html>moved\x1e", "b'<html>moved'"),
        (b"", "b''"),
        (b'{"type":1,"arguments":[{"p":{"r":[{"email":"c4nary', "50 bytes of JSON"),
        (b' [{"email":"c4nary"}]\x1e', "21 bytes of JSON"),
    ],
)
def test_a_strange_answer_to_the_handshake_is_shown_unless_it_may_be_a_notification(answer: bytes, shown: str) -> None:
    """It ends up in the log, where no payload has a place."""
    with pytest.raises(HandshakeRefusedError, match="no SignalR hub answers there") as error:
        protocol().decode_handshake(answer)

    assert str(error.value).endswith(f": {shown}")


def written(message: Any) -> dict[str, Any]:
    text = protocol().encode(message)
    assert text.endswith("\x1e")
    record: dict[str, Any] = json.loads(text[:-1])
    return record


def test_a_written_invocation_has_no_headers() -> None:
    """The library puts the token into headers; none leaves."""
    message = InvocationMessage("7", "Subscribe", [{"e": "x"}], headers={"Authorization": "Bearer secret"})

    assert written(message) == {"type": 1, "invocationId": "7", "target": "Subscribe", "arguments": [{"e": "x"}]}
    assert message.headers == {"Authorization": "Bearer secret"}
