import json

import pytest

from bridge.simulator import protocol
from bridge.simulator.protocol import Closing, HandshakeError, Invocation, Pinging, RecordError, RecordSplitter


def test_records_are_cut_wherever_the_messages_are() -> None:
    """A record may come in several messages, and several in one."""
    splitter = RecordSplitter()

    assert splitter.feed(b'{"type"') == []
    assert splitter.feed(b':6}\x1e{"type":7}\x1e{') == [b'{"type":6}', b'{"type":7}']
    assert splitter.feed(b"}\x1e") == [b"{}"]


@pytest.mark.parametrize("data", [b"x" * 32_769, b"x" * 32_769 + b"\x1e", b"{}\x1e" + b"x" * 32_769])
def test_a_record_above_the_limit_is_refused(data: bytes) -> None:
    """32 KB is all that the server takes, with or without an end in sight."""
    with pytest.raises(RecordError):
        RecordSplitter().feed(data)


def test_a_record_at_the_limit_is_taken() -> None:
    """32 KB is still allowed."""
    assert RecordSplitter().feed(b"x" * 32_768 + b"\x1e") == [b"x" * 32_768]


@pytest.mark.parametrize(
    ("record", "meaning"),
    [
        (
            '{"arguments":[{"e":"x"}],"invocationId":"0","target":"Subscribe","type":1}',
            Invocation("Subscribe", ({"e": "x"},), "0"),
        ),
        ('{"type":1,"target":"Subscribe","arguments":[]}', Invocation("Subscribe", (), None)),
        ('{"type":6}', Pinging()),
        ('{"type":7,"error":"gone"}', Closing()),
        ('{"type":3,"invocationId":"9","result":null}', None),
        ('{"type":99}', None),
    ],
)
def test_a_record_is_read(record: str, meaning: object) -> None:
    """Calls, pings and Closes are understood, other types are passed over."""
    assert protocol.parse(record.encode()) == meaning


@pytest.mark.parametrize(
    "record",
    [
        b"not json",
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"type":"6"}',
        b'{"type":1,"target":null,"arguments":[]}',
        b'{"type":1,"target":"Subscribe"}',
        b'{"type":1,"target":"Subscribe","arguments":[],"invocationId":0}',
        b'{"type":6,"x":"\xff"}',
    ],
)
def test_a_broken_record_is_refused(record: bytes) -> None:
    """What is no record of the protocol ends the connection."""
    with pytest.raises(RecordError):
        protocol.parse(record)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (b"garbage", "An unexpected error occurred during connection handshake."),
        (b"[]", "An unexpected error occurred during connection handshake."),
        (b'{"version":1}', "An unexpected error occurred during connection handshake."),
        (b'{"protocol":"cbor","version":1}', "The protocol 'cbor' is not supported."),
        (b'{"protocol":"json","version":7}', "The server does not support version 7 of the 'json' protocol."),
    ],
)
def test_a_handshake_is_refused_with_the_servers_words(record: bytes, text: str) -> None:
    """A client is told what is wrong with its handshake."""
    with pytest.raises(HandshakeError) as refused:
        protocol.accept_handshake(record)

    assert str(refused.value) == text


@pytest.mark.parametrize("version", [1, 2])
def test_a_handshake_of_a_known_version_is_accepted(version: int) -> None:
    """Versions 1 and 2 of the JSON protocol are taken."""
    protocol.accept_handshake(b'{"protocol":"json","version":%d}' % version)


@pytest.mark.parametrize(
    ("record", "written"),
    [
        (protocol.completion("0"), b'{"type":3,"invocationId":"0","result":null}\x1e'),
        (protocol.completion("a", "it 'failed'"), b'{"type":3,"invocationId":"a","error":"it \'failed\'"}\x1e'),
        (protocol.close(), b'{"type":7}\x1e'),
        (protocol.close(allow_reconnect=True), b'{"type":7,"allowReconnect":true}\x1e'),
        (protocol.close("E", allow_reconnect=True), b'{"type":7,"error":"E","allowReconnect":true}\x1e'),
        (protocol.handshake_error("no"), b'{"error":"no"}\x1e'),
        (protocol.invocation("OnEvent", b'{"a":1}'), b'{"type":1,"target":"OnEvent","arguments":[{"a":1}]}\x1e'),
    ],
)
def test_a_record_is_written(record: bytes, written: bytes) -> None:
    """Each record has its keys in the server's order and ends in the separator."""
    assert record == written


@pytest.mark.parametrize(("asked", "version", "has_token"), [(0, 0, False), (1, 1, True), (9, 1, True)])
def test_negotiate_answers_with_the_highest_version_both_know(asked: int, version: int, has_token: bool) -> None:  # noqa: FBT001 - a table's column
    """The token that stands apart from the id came with version 1."""
    answer = json.loads(protocol.negotiation(asked, "id", "token"))

    assert answer["negotiateVersion"] == version
    assert ("connectionToken" in answer) is has_token
    assert answer["availableTransports"] == [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}]
