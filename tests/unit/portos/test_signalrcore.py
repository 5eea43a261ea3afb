"""The contract with signalrcore: every name of it that is used below its public interface, as version 1.0.2 has it."""

import inspect
import logging
from importlib.metadata import version

import pytest
from signalrcore.helpers import Helpers
from signalrcore.hub.base_hub_connection import BaseHubConnection
from signalrcore.messages.close_message import CloseMessage
from signalrcore.messages.completion_message import CompletionMessage
from signalrcore.messages.handshake.request import HandshakeRequestMessage
from signalrcore.messages.handshake.response import HandshakeResponseMessage
from signalrcore.messages.invocation_message import InvocationMessage
from signalrcore.messages.message_type import MessageType
from signalrcore.messages.ping_message import PingMessage
from signalrcore.protocol.json_hub_protocol import JsonHubProtocol
from signalrcore.transport.base_transport import BaseTransport, TransportState
from signalrcore.transport.transport_factory import TRANSPORTS, TransportFactory
from signalrcore.types import HttpTransportType


def parameters(function: object) -> list[str]:
    assert callable(function)
    return list(inspect.signature(function).parameters)


def test_the_pinned_version_is_installed() -> None:
    """What is checked here is the version that was read."""
    assert version("signalrcore") == "1.0.2"


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (BaseHubConnection.on, ["self", "event", "callback_function"]),
        (BaseHubConnection.on_open, ["self", "callback"]),
        (BaseHubConnection.on_close, ["self", "callback"]),
        (BaseHubConnection.on_error, ["self", "callback"]),
        (BaseHubConnection.invoke, ["self", "method", "arguments", "on_invocation", "invocation_id"]),
        (BaseHubConnection.start, ["self"]),
        (BaseHubConnection.stop, ["self"]),
        (BaseHubConnection.on_message, ["self", "messages"]),
        (BaseTransport.start, ["self", "reconnection"]),
        (BaseTransport.send, ["self", "message", "on_invocation"]),
        (BaseTransport.dispose, ["self"]),
        (BaseTransport.send_handshake, ["self"]),
        (BaseTransport._set_state, ["self", "new_state"]),
        (JsonHubProtocol.__init__, ["self", "version"]),
        (JsonHubProtocol.decode_handshake, ["self", "raw_message"]),
        (JsonHubProtocol.parse_messages, ["self", "raw"]),
        (JsonHubProtocol.encode, ["self", "message"]),
        (JsonHubProtocol.handshake_message, ["self"]),
        (CompletionMessage, ["invocation_id", "result", "error", "kwargs"]),
        (CloseMessage, ["error", "allow_reconnect", "kwargs"]),
        (InvocationMessage, ["invocation_id", "target", "arguments", "kwargs"]),
        (HandshakeRequestMessage, ["protocol", "version"]),
        (HandshakeResponseMessage, ["error"]),
        (PingMessage, ["kwargs"]),
        (TransportFactory.create, ["negotiate_response", "preferred_transport", "kwargs"]),
    ],
)
def test_a_name_takes_what_is_given_to_it(function: object, expected: list[str]) -> None:
    """Each function that is called or overridden has the parameters that it is called or overridden with."""
    assert parameters(function) == expected


def test_construction_has_the_options_that_are_used() -> None:
    """The hub connection is built without its builder, which would store headers and make TLS contexts."""
    used = {"url", "protocol", "skip_negotiation", "preferred_transport", "headers", "ssl_context"}

    assert used < set(parameters(BaseHubConnection.__init__))


def test_the_registry_of_transports_is_keyed_by_type() -> None:
    """A transport of our own takes the place of the WebSocket's."""
    assert HttpTransportType.web_sockets in TRANSPORTS


def test_the_states_and_types_have_their_names() -> None:
    """States drive the callbacks, types the dispatch."""
    assert {state.name for state in TransportState} == {"connecting", "connected", "reconnecting", "disconnected"}
    assert (MessageType.invocation.value, MessageType.completion.value, MessageType.close.value) == (1, 3, 7)


def test_opening_is_told_by_the_state() -> None:
    """`connected` after `connecting` calls `on_open`, `disconnected` after `connected` calls `on_close`."""
    told: list[str] = []
    transport = BaseTransport(on_open=lambda: told.append("open"), on_close=lambda: told.append("close"))

    transport._set_state(TransportState.connecting)
    transport._set_state(TransportState.connected)
    transport._set_state(TransportState.disconnected)

    assert told == ["open", "close"]


def test_the_talkative_logger_is_the_one_that_is_silenced() -> None:
    """The library logs payloads at DEBUG under one name, which the bridge holds at WARNING."""
    from bridge.portos import signalr

    assert signalr.Hub
    assert Helpers.get_logger().name == "SignalRCoreClient"
    assert Helpers.get_logger().getEffectiveLevel() >= logging.WARNING
