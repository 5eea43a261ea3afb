"""What a client's TLS trusts and refuses, and what is said of it: real handshakes with small servers."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bridge.tls import Trouble, UnusableFile, client_context, trouble
from tests.brokers.certificates import Authority, server_context


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "theirs")


@contextmanager
def server(context: ssl.SSLContext | None) -> Iterator[int]:
    """A server for one client, which hears why it is refused; whoever has been let in is greeted."""

    def serve() -> None:
        connection, _ = listening.accept()
        connection.settimeout(5)
        with connection, suppress(OSError):
            spoken = connection if context is None else context.wrap_socket(connection, server_side=True)
            with spoken:
                spoken.sendall(b"hello, this is no TLS")
                spoken.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listening.getsockname()[1])
        thread.join(5)


def greeted(client: ssl.SSLContext, context: ssl.SSLContext | None) -> bytes:
    """Connect and give what the server says; a refused client certificate shows with the first byte (TLS 1.3)."""
    with (
        server(context) as port,
        socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
        client.wrap_socket(connection, server_hostname="127.0.0.1") as spoken,
    ):
        return spoken.recv(5)


def refused(client: ssl.SSLContext, context: ssl.SSLContext | None) -> Trouble:
    with pytest.raises(ssl.SSLError) as caught:
        greeted(client, context)
    return trouble(caught.value, "BOOTSTRAP_SERVERS")


def test_whoever_the_file_names_is_trusted(ours: Authority) -> None:
    """A private authority is good once it is named."""
    assert greeted(client_context(ours.ca_file), server_context(ours.server("server"))) == b"hello"


@pytest.mark.parametrize("fault", ["unknown", "stranger", "expired", "host"])
def test_a_certificate_that_proves_nothing_is_refused(ours: Authority, theirs: Authority, fault: str) -> None:
    """Each says what is wrong and which setting or which side has to change."""
    shown, said = {
        "unknown": (theirs.server("unknown"), "CA_FILE"),
        "stranger": (theirs.server("stranger"), "signed by nobody who is trusted"),
        "expired": (ours.server("expired", expired=True), "its certificate has expired"),
        "host": (ours.server("host", "kafka.example"), "for another host: set BOOTSTRAP_SERVERS"),
    }[fault]

    found = refused(client_context(None if fault == "unknown" else ours.ca_file), server_context(shown))

    assert said in found.text
    assert found.lasts


@pytest.mark.filterwarnings("ignore:.*TLSv1_1:DeprecationWarning")
def test_tls_below_1_2_is_refused(ours: Authority) -> None:
    """Whatever the system's OpenSSL would allow."""
    old = server_context(ours.server("server"))
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    client = client_context(ours.ca_file)
    client.set_ciphers("ALL:@SECLEVEL=0")  # so that it is the version alone

    found = refused(client, old)

    assert (found.text, found.lasts) == ("it speaks no TLS of version 1.2 or later: enable that on it", True)


def test_a_server_without_tls_is_said_to_be_one(ours: Authority) -> None:
    """It is the wrong port, or the wrong protocol."""
    found = refused(client_context(ours.ca_file), None)

    assert "no TLS on that port" in found.text
    assert found.lasts


@pytest.mark.parametrize("password", [None, "of the key"])
def test_the_bridge_shows_its_certificate(ours: Authority, password: str | None) -> None:
    """Also with a key that is encrypted, and one in the same file."""
    mutual = server_context(ours.server("server"))
    mutual.load_verify_locations(ours.ca_file)
    mutual.verify_mode = ssl.CERT_REQUIRED
    cert, key = ours.client("bridge", password)
    both = cert.with_name("both.pem")
    both.write_bytes(cert.read_bytes() + key.read_bytes())

    for client in (
        client_context(ours.ca_file, cert, key, password),
        client_context(ours.ca_file, both, None, password),
    ):
        assert greeted(client, mutual) == b"hello"


@pytest.mark.parametrize("shown", ["none", "stranger", "expired"])
def test_a_server_that_does_not_take_the_bridge_s_certificate(ours: Authority, theirs: Authority, shown: str) -> None:
    """The variable to look at is named, and it is not tried again and again."""
    mutual = server_context(ours.server("server"))
    mutual.load_verify_locations(ours.ca_file)
    mutual.verify_mode = ssl.CERT_REQUIRED
    expired = ours.server("expired", expired=True)
    client = {
        "none": client_context(ours.ca_file),
        "stranger": client_context(ours.ca_file, *theirs.client("bridge")),
        "expired": client_context(ours.ca_file, expired),
    }[shown]

    found = refused(client, mutual)

    assert "CLIENT_CERT_FILE" in found.text
    assert found.lasts


def test_files_that_cannot_be_used_name_their_setting(ours: Authority, theirs: Authority, tmp_path: Path) -> None:
    """And never ask anybody for a password."""
    cert, key = ours.client("bridge", "right")
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    none = tmp_path / "none.pem"
    wrong: list[tuple[tuple[Path | None, Path | None, Path | None, str | None], str, str]] = [
        ((none, None, None, None), "ca_file", "cannot be read: No such file or directory"),
        ((nothing, None, None, None), "ca_file", "holds no PEM certificates"),
        ((tmp_path, None, None, None), "ca_file", "cannot be read: Is a directory"),
        ((None, none, None, None), "client_cert_file", "cannot be read: No such file or directory"),
        ((None, nothing, None, None), "client_cert_file", "with its key is not in the PEM format"),
        ((None, cert, none, None), "client_key_file", "cannot be read: No such file or directory"),
        ((None, cert, key, None), "client_key_password", "must be set, since the key is encrypted"),
        ((None, cert, key, "wrong"), "client_key_password", "does not decrypt the key"),
        ((None, cert, theirs.client("other")[1], None), "client_key_file", "is not the key of the certificate"),
    ]

    for files, field, said in wrong:
        with pytest.raises(UnusableFile, match=said) as caught:
            client_context(*files)
        assert caught.value.field == field


def test_what_may_pass_by_itself_does_not_last() -> None:
    """A server that goes away during a handshake is tried again as any other."""
    assert trouble(ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "URL").lasts is False
