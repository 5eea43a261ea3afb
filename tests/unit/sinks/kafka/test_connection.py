"""Why there is no connection to a broker: what is kept of it, what is said of it, and what is not tried again."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiokafka.client
import pytest
from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import AuthenticationFailedError, KafkaConnectionError, SaslAuthenticationFailed

from bridge.errors import Unavailable
from sinks.kafka import KafkaConfig, plugin
from sinks.kafka.connection import Connection, noting_failures
from sinks.kafka.meaning import no_connection
from tests.support import free_port

LOGIN = "SASL_USERNAME and SASL_PASSWORD"


def because(cause: Exception) -> KafkaConnectionError:
    error = KafkaConnectionError("Connection at kafka:9093 closed")
    error.__cause__ = cause
    return error


def reset(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "handshake")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "reason", "hold", "said"),
    [
        (SaslAuthenticationFailed("bad password"), "unauthorized", True, f"check {LOGIN}"),
        (reset("UNSUPPORTED_PROTOCOL"), "tls", True, "TLS of version 1.2"),
        (because(reset("TLSV13_ALERT_CERTIFICATE_REQUIRED")), "tls", True, "CLIENT_CERT_FILE"),
        (reset("UNEXPECTED_MESSAGE"), "tls", False, "UNEXPECTED_MESSAGE"),
        (ConnectionRefusedError(111, "Connection refused"), "network", False, "Connection refused"),
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "network", False, "Connection refused"),
        (ConnectionResetError(), "network", False, "SECURITY_PROTOCOL"),
        (because(EOFError()), "network", False, "SECURITY_PROTOCOL"),
        (TimeoutError(), "timeout", False, "no answer in time"),
    ],
    ids=repr,
)
def test_each_failure_has_its_meaning(error: Exception, reason: str, hold: bool, said: str) -> None:  # noqa: FBT001
    """The broker, the cause and the variable are named; only what an operator must end is held."""
    found = no_connection({"kafka:9093": error}, LOGIN)

    assert found is not None
    assert (found.reason, found.hold) == (reason, hold)
    assert str(found).startswith("connecting to kafka:9093: ")
    assert said in str(found)


def test_what_needs_an_operator_is_said_before_what_ends_by_itself() -> None:
    """Three brokers, one of them down: it is the password all the same."""
    down, wrong = ConnectionRefusedError(111, "Connection refused"), SaslAuthenticationFailed("bad password")

    found = no_connection({"a:1": down, "b:1": wrong, "c:1": down}, LOGIN)

    assert found is not None
    assert found.hold
    assert no_connection({}, LOGIN) is None


@asynccontextmanager
async def closing_server() -> AsyncIterator[tuple[int, list[bytes]]]:
    """Take connections and close them at once; give the port and what was said on each."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1]), heard
    finally:
        server.close()


async def attempt(port: int) -> BaseException:
    with pytest.raises((KafkaConnectionError, SaslAuthenticationFailed)) as caught:
        await aiokafka.client.create_conn("127.0.0.1", port, request_timeout_ms=2000)
    return caught.value


@pytest.mark.parametrize(("lasts", "connections"), [(True, 1), (False, 3)])
async def test_what_needs_an_operator_is_not_tried_again_and_again(lasts: bool, connections: int) -> None:  # noqa: FBT001
    """aiokafka repeats by itself, ten times a second: with a wrong password that locks accounts."""
    failures = noting_failures(lambda *_: lasts)

    async with closing_server() as (port, heard):
        for _ in range(3):
            await attempt(port)

    assert len(heard) == connections
    assert set(failures.by_address) == {f"127.0.0.1:{port}"}


async def test_a_broker_that_answers_a_login_with_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library lets such an error escape, and with it its tasks would end."""

    async def connect(_: object) -> None:
        raise ValueError("Server sent wrong signature!")

    monkeypatch.setattr(AIOKafkaConnection, "connect", connect)
    config = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-256", "sasl_username": "u"}
    servers = {"bootstrap_servers": f"127.0.0.1:{free_port()}", "sasl_password": "p"}

    with pytest.raises(Unavailable, match="answer to the login is wrong") as caught:
        async with plugin.connect(KafkaConfig.model_validate(config | servers)):
            pytest.fail("it is no broker")

    assert (caught.value.reason, caught.value.hold) == ("unauthorized", True)


async def test_a_certificate_that_went_bad_holds_the_sink(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file that was good at start stops nothing later on."""
    file = tmp_path_factory.mktemp("tls") / "ca.pem"
    file.write_text("half written")
    values = {"bootstrap_servers": "localhost:1", "security_protocol": "SSL", "ca_file": file}

    with pytest.raises(Unavailable, match="CA_FILE holds no PEM certificates") as caught:
        async with plugin.connect(KafkaConfig.model_validate(values)):
            pytest.fail("connected")

    assert (caught.value.reason, caught.value.hold) == ("tls", True)


class Refusing(AbstractTokenProvider):
    async def token(self) -> str:
        return "C4nary-token"


async def test_a_broker_that_refuses_a_token_is_noticed() -> None:
    """aiokafka takes the refusal for a success; the broker wants a last word and says why then (RFC 7628, 3.2.3)."""
    connection = Connection("127.0.0.1", 1, sasl_mechanism="OAUTHBEARER", sasl_oauth_token_provider=Refusing())
    login = connection.authenticator_oauth()

    first, answer, last = await login.step(None), await login.step(b'{"status": "invalid_token"}'), b"again"

    assert first == (b"n,,\x01auth=Bearer C4nary-token\x01\x01", True)
    assert answer == (b"\x01", True)
    with pytest.raises(AuthenticationFailedError):
        await login.step(last)


async def test_a_login_is_over_where_a_broker_says_no_more() -> None:
    connection = Connection("127.0.0.1", 1, sasl_mechanism="OAUTHBEARER", sasl_oauth_token_provider=Refusing())
    login = connection.authenticator_oauth()

    await login.step(None)

    assert await login.step(b"") is None


async def test_a_broker_cannot_have_the_token_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says is logged, and it knows the token."""

    async def connect(self: Any) -> None:
        await self.authenticator_oauth().step(None)
        raise SaslAuthenticationFailed("C4nary-token is not good")

    monkeypatch.setattr(AIOKafkaConnection, "connect", connect)
    kept = noting_failures(lambda *_: True)

    with pytest.raises(AuthenticationFailedError) as caught:
        await aiokafka.client.create_conn(
            "127.0.0.1", 1, sasl_mechanism="OAUTHBEARER", sasl_oauth_token_provider=Refusing()
        )

    assert "C4nary" not in str([caught.value, *kept.by_address.values()])
