"""The broker that a rig starts: there when it is entered, frozen and killed on request, gone without a trace."""

import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from unittest import SkipTest

import pytest

from bridge.contract import LocalBroker, Received, Rig
from bridge.errors import Unavailable
from bridge.ports import Sink, SinkPlugin
from bridge.settings import SinkConfig

_ECHO = """
import pathlib, socket, sys
pathlib.Path(sys.argv[2], "data").write_text("kept")
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    peer = listening.accept()[0]
    while said := peer.recv(100):
        peer.sendall(said)
"""


@pytest.fixture
def broker() -> Iterator[LocalBroker]:
    with LocalBroker(sys.executable, "-c", _ECHO, "{port}", "{folder}") as entered:
        yield entered


def connected(broker: LocalBroker) -> socket.socket:
    peer = socket.create_connection((broker.host, broker.port), timeout=5)
    peer.sendall(b"a")
    assert peer.recv(1) == b"a"
    return peer


def listening(broker: LocalBroker) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection((broker.host, broker.port), timeout=5):
        return True
    return False


class LocalRig(Rig):
    """What the rig of a third party is at least."""

    def __init__(self, broker: LocalBroker) -> None:
        super().__init__(SinkPlugin(SinkConfig, never), SinkConfig(), broker)

    async def received(self) -> Sequence[Received]:
        return []


@asynccontextmanager
async def never(_: SinkConfig) -> AsyncIterator[Sink]:
    raise Unavailable("nobody connects here", reason="refused")
    yield


def test_a_broker_takes_connections_once_it_is_entered(broker: LocalBroker) -> None:
    with connected(broker):
        pass


def test_a_frozen_broker_keeps_its_connections_and_says_nothing(broker: LocalBroker) -> None:
    with connected(broker) as peer:
        broker.freeze()
        peer.sendall(b"b")
        peer.settimeout(0.2)

        with pytest.raises(TimeoutError):
            peer.recv(1)


def test_a_killed_broker_is_gone(broker: LocalBroker) -> None:
    """Its connections are closed by then, and nobody listens on its port."""
    with connected(broker) as peer:
        broker.kill()

        assert peer.recv(1) == b""
    assert not listening(broker)


@pytest.mark.parametrize("fault", ["freeze", "kill", "none"])
def test_nothing_is_left_of_a_broker(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its process nor its folder, whatever was done to it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with LocalBroker(sys.executable, "-c", _ECHO, "{port}", "{folder}") as broker:
        assert [path.name for path in tmp_path.glob("*/data")] == ["data"]
        if fault != "none":
            getattr(broker, fault)()

    assert list(tmp_path.iterdir()) == []
    assert not listening(broker)


def test_a_broker_that_is_not_installed_skips_the_test() -> None:
    """The reason names what to install."""
    with pytest.raises(SkipTest, match="install no-such-broker"), LocalBroker("no-such-broker"):
        pass


def test_a_broker_that_must_be_there_fails_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """CI cannot mistake a missing broker for a passed test."""
    monkeypatch.setenv("TEST_REQUIRE", "kafka, no-such-broker")

    with pytest.raises(Exception, match="TEST_REQUIRE names no-such-broker") as raised, LocalBroker("no-such-broker"):
        pass

    assert raised.type is AssertionError  # a skip would be taken for the end of this very test


def test_a_broker_that_ends_at_once_is_quoted() -> None:
    with (
        pytest.raises(ChildProcessError, match=r"ended at once; it said:\nno such option"),
        LocalBroker(sys.executable, "-c", "print('no such option')"),
    ):
        pass


def test_a_broker_that_never_listens_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed, and its folder removed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with (
        pytest.raises(ChildProcessError, match=r"takes no connection within 0\.3 s"),
        LocalBroker(sys.executable, "-c", "import time; time.sleep(60)", start_seconds=0.3),
    ):
        pass

    assert list(tmp_path.iterdir()) == []


async def test_a_rig_freezes_and_kills_the_broker_it_was_given(broker: LocalBroker) -> None:
    """Whoever starts the broker with the test need not override anything."""
    rig = LocalRig(broker)
    with connected(broker) as peer:
        peer.settimeout(0.2)

        await rig.freeze()
        peer.sendall(b"b")
        with pytest.raises(TimeoutError):
            peer.recv(1)
        await rig.kill()

    assert not listening(broker)
