"""Certificates of a test's own: an authority, servers and clients signed by it, good ones and bad ones."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

__all__ = ["Authority", "server_context"]

HERE = ("localhost", "127.0.0.1")
LONG_AGO = datetime.now(UTC) - timedelta(days=1)


class Authority:
    """Signs certificates; whoever trusts `ca_file` trusts them. All files lie in one folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._ca = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca_file))

    def server(self, name: str, *hosts: str, expired: bool = False) -> Path:
        """Write the certificate of a server and its key into one file, as Kafka reads them (key in PKCS#8)."""
        found = self._ca.issue_cert(*(hosts or HERE), not_after=LONG_AGO if expired else None)
        key = _key(found, None)
        file = self._folder / f"{name}.pem"
        file.write_bytes(key + b"".join(blob.bytes() for blob in found.cert_chain_pems))
        return file

    def client(self, name: str, password: str | None = None) -> tuple[Path, Path]:
        """Write the certificate of a client and its key, encrypted with a password if one is given."""
        found = self._ca.issue_cert(f"{name}.clients", common_name=name)
        cert, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        cert.write_bytes(b"".join(blob.bytes() for blob in found.cert_chain_pems))
        key.write_bytes(_key(found, password))
        return cert, key


def server_context(certificate: Path, clients_of: Authority | None = None) -> ssl.SSLContext:
    """Make the context of a server; with `clients_of` it wants a certificate that this authority has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if clients_of is not None:
        context.load_verify_locations(clients_of.ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _key(found: trustme.LeafCert, password: str | None) -> bytes:
    key = load_pem_private_key(found.private_key_pem.bytes(), None)
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
