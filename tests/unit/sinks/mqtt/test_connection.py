"""What the sink says where it cannot connect, or finds something else than a broker."""

import asyncio
import ssl
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from bridge.contract import sample
from bridge.errors import Unavailable
from bridge.ports import Sink
from sinks.mqtt import plugin
from sinks.mqtt.meaning import ended, not_connected, other_protocol, upgrade_refused
from tests.brokers.certificates import Authority, server_context
from tests.support import until
from tests.unit.sinks.mqtt.fake_broker import DISCONNECT, FakeBroker

BATCH = [sample(number) for number in range(20)]


def connection(url: str, **settings: object) -> AbstractAsyncContextManager[Sink]:
    return plugin.connect(plugin.config.model_validate({"url": url, **settings}))


async def refusal(url: str, **settings: object) -> Unavailable:
    with pytest.raises(Unavailable) as raised:
        async with asyncio.timeout(10), connection(url, **settings):
            pytest.fail("connected")
    return raised.value


def tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


def expired() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "refused")
    error.verify_code = 10
    return error


@pytest.mark.parametrize(
    ("error", "reason", "hold", "said"),
    [
        (expired(), "tls", True, "its certificate has expired"),
        (tls("WRONG_VERSION_NUMBER"), "tls", True, "it speaks no TLS on that port: check URL"),
        (tls("TLSV1_ALERT_PROTOCOL_VERSION"), "tls", True, "no TLS of version 1.2"),
        (tls("SOMETHING_NEW"), "tls", False, "the handshake failed: SOMETHING_NEW"),
        (ConnectionRefusedError(111, "nobody there"), "refused", False, "nobody there"),
        (ConnectionRefusedError(111, "Connect call failed ('::1', 1)"), "refused", False, "Connection refused"),
        (ConnectionResetError(104, "reset"), "network", False, "is the scheme of URL what it speaks on that port?"),
        (ConnectionResetError(), "network", False, "closed during the handshake"),
        (OSError(113, "No route to host"), "network", False, "No route to host"),
        (OSError("Multiple exceptions: a, b"), "network", False, "Multiple exceptions"),
    ],
)
def test_no_connection_is_explained(error: OSError, reason: str, hold: bool, said: str) -> None:  # noqa: FBT001
    """With the address, the cause and where there is one the setting; only what lasts is held."""
    found = not_connected("broker:8883", error)

    assert (found.reason, found.hold) == (reason, hold)
    assert str(found).startswith("no connection to the broker at broker:8883: ")
    assert said in str(found)


ASKED = "is the scheme of URL what it speaks on that port?"


@pytest.mark.parametrize(
    ("error", "answered", "reason", "hold", "said"),
    [
        (tls("TLSV13_ALERT_CERTIFICATE_REQUIRED"), False, "tls", True, "set CLIENT_CERT_FILE"),
        (None, False, "network", False, ASKED),
        (ConnectionResetError(104, "reset"), False, "network", False, ASKED),
        (OSError(110, "timed out"), False, "network", False, "timed out"),
        (None, True, "server_close", False, "the broker closed the connection"),
        (ConnectionResetError(104, "reset"), True, "network", False, "the connection to the broker broke"),
        (Unavailable("told already", reason="protocol"), True, "protocol", False, "told already"),
    ],
)
def test_the_end_of_a_connection_is_explained(
    error: Exception | None,
    answered: bool,  # noqa: FBT001
    reason: str,
    hold: bool,  # noqa: FBT001
    said: str,
) -> None:
    """Before the broker has answered the scheme may be wrong; afterwards it is right."""
    found = ended(error, answered=answered)

    assert (found.reason, found.hold) == (reason, hold)
    assert said in str(found)
    assert (ASKED in str(found)) == (said == ASKED)


@pytest.mark.parametrize(
    ("status", "reason", "hold"),
    [
        (200, "refused", True),
        (302, "refused", True),
        (401, "unauthorized", True),
        (403, "forbidden", True),
        (404, "refused", True),
        (408, "refused", False),
        (429, "refused", False),
        (500, "refused", False),
        (503, "refused", False),
    ],
)
def test_a_refused_websocket_is_explained(status: int, reason: str, hold: bool) -> None:  # noqa: FBT001
    """What a busy server says passes by itself; all else needs an operator, who is told where to look."""
    found = upgrade_refused(status)

    assert (found.reason, found.hold) == (reason, hold)
    assert str(status) in str(found)
    assert ("check the path of URL" in str(found)) == hold


def test_a_broker_s_packets_are_of_no_other_protocol() -> None:
    """None of what may stand at the beginning of an answer is taken for TLS or HTTP."""
    assert [kind for kind in range(16) if other_protocol(bytes([kind << 4, 2, 0, 0]))] == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x46", "speaks TLS on that port; URL should say so: mqtts"),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" + b" " * 100, "speaks HTTP"),
    ],
    ids=["TLS", "HTTP"],
)
async def test_a_server_that_is_no_broker_is_held(answer: bytes, said: str) -> None:
    """What it speaks is named, and what URL should begin with."""
    async with FakeBroker(connack=answer) as broker:
        error = await refusal(broker.url)

    assert (error.reason, error.hold) == ("protocol", True)
    assert said in str(error)


class Leaving(FakeBroker):
    """A broker that closes each connection as soon as something comes."""

    def data_received(self, _data: bytes) -> None:
        self.transport.close()


async def test_a_broker_that_closes_at_once_makes_nobody_act() -> None:
    """It may just be going away; the scheme is asked for all the same."""
    async with Leaving() as broker:
        error = await refusal(broker.url)

    assert (error.reason, error.hold) == ("network", False)
    assert ASKED in str(error)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tls")


async def test_it_delivers_over_tls(authority: Authority) -> None:
    """With the private authority of a file, and the last packet is DISCONNECT."""
    async with FakeBroker(context=server_context(authority.server("server"))) as broker:
        async with connection(broker.url, ca_file=authority.ca_file) as sink:
            assert await sink.deliver(BATCH) == [None] * len(BATCH)
        async with asyncio.timeout(5):
            await broker.closed.wait()

    assert broker.url.startswith("mqtts://")
    assert broker.seen[-1] == DISCONNECT


async def test_a_connection_with_tls_that_is_lost_at_once_is_closed(authority: Authority) -> None:
    """A transport that asyncio has taken down already can be closed again."""
    async with Leaving(context=server_context(authority.server("server"))) as broker:
        error = await refusal(broker.url, ca_file=authority.ca_file)

    assert error.reason == "network"
    assert ASKED in str(error)


async def test_a_certificate_of_nobody_who_is_trusted_is_held(authority: Authority, tmp_path: Path) -> None:
    """The variable is named, and no login is sent."""
    stranger = Authority(tmp_path / "stranger")
    async with FakeBroker(context=server_context(stranger.server("server"))) as broker:
        error = await refusal(broker.url, ca_file=authority.ca_file, username="bridge", password="canary")

    assert (error.reason, error.hold) == ("tls", True)
    assert "name the authority's file in CA_FILE" in str(error)
    assert broker.connect == b""


@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
async def test_a_file_that_is_gone_is_held(scheme: str, tmp_path: Path) -> None:
    """As it is read for each connection, it may be there for the next one."""
    error = await refusal(f"{scheme}://127.0.0.1:1", ca_file=tmp_path / "ca.pem")

    assert (error.reason, error.hold) == ("tls", True)
    assert str(error).startswith("CA_FILE cannot be read")


@pytest.mark.parametrize("scheme", ["mqtts", "ws", "wss"])
async def test_a_server_that_never_shakes_hands_leaves_nothing_behind(scheme: str) -> None:
    """Connecting can be cancelled while the handshake is awaited: no task stays, and no socket."""
    before = asyncio.all_tasks()
    async with FakeBroker(connack=b"") as silent:
        connecting = asyncio.create_task(enter(connection(silent.url.replace("mqtt", scheme))), name="connecting")
        await until(lambda: silent.connections, 30, "the connection is there")
        connecting.cancel()
        await asyncio.wait({connecting}, timeout=5)
        await until(silent.closed.is_set, 5, "the connection is closed")

    assert connecting.cancelled()
    assert asyncio.all_tasks() == before


async def enter(opening: AbstractAsyncContextManager[Sink]) -> None:
    async with opening:
        pytest.fail("connected")


async def test_a_frozen_broker_does_not_hold_up_closing_over_tls(authority: Authority) -> None:
    """The goodbye of TLS needs an answer; a second is all it gets."""
    batch = [sample(number, body=b"x" * 1_000_000) for number in range(20)]
    async with FakeBroker(context=server_context(authority.server("server"))) as broker:
        async with connection(broker.url, ca_file=authority.ca_file) as sink:
            await sink.deliver(BATCH)
            broker.transport.pause_reading()
            delivery = asyncio.create_task(sink.deliver(batch), name="deliver")
            await asyncio.sleep(0.3)
            delivery.cancel()
            started = time.monotonic()
        took = time.monotonic() - started
        broker.transport.abort()
        await asyncio.wait({delivery})

    assert delivery.cancelled()
    assert took < 1.5
