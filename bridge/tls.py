"""The TLS of every connection that the bridge opens: whom it trusts, who it is, and what a failed handshake means.

TLS is 1.2 at least and the name in a certificate is verified; neither is a setting. Reads files; used by the settings,
the source and the sinks.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["Trouble", "UnusableFile", "client_context", "trouble"]


class UnusableFile(Exception):
    """A file of keys or certificates is of no use; `field` is the setting that names it, or that should open it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def client_context(
    ca_file: Path | None, cert_file: Path | None = None, key_file: Path | None = None, key_password: str | None = None
) -> ssl.SSLContext:
    """Read the files and make the context of a client.

    Without `ca_file` the system's authorities are trusted, with it those of the file alone. The key may stand in
    `cert_file`. Raises `UnusableFile`. Blocks while it reads and decrypts.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # of which the errors of TLS are a kind
        raise UnusableFile("ca_file", _why(error, "holds no PEM certificates")) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert_file is not None:
        _identify(context, cert_file, key_file, key_password)
    return context


def _identify(context: ssl.SSLContext, cert_file: Path, key_file: Path | None, key_password: str | None) -> None:
    asked = False

    def password() -> str:  # without one, OpenSSL would ask on the terminal
        nonlocal asked
        asked = True
        return key_password or ""

    for field, file in (("client_cert_file", cert_file), ("client_key_file", key_file)):
        try:
            if file is not None:
                file.open("rb").close()
        except OSError as error:
            raise UnusableFile(field, _why(error, "")) from error
    try:
        context.load_cert_chain(cert_file, key_file, password)
    except OSError as error:
        if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
            raise UnusableFile("client_key_file", "is not the key of the certificate in CLIENT_CERT_FILE") from error
        if asked and key_password:
            raise UnusableFile("client_key_password", "does not decrypt the key") from error
        if asked:
            raise UnusableFile("client_key_password", "must be set, since the key is encrypted") from error
        raise UnusableFile("client_cert_file", "with its key is not in the PEM format") from error


def _why(error: OSError, otherwise: str) -> str:
    return otherwise if isinstance(error, ssl.SSLError) else f"cannot be read: {error.strerror}"


class Trouble(NamedTuple):
    """Why a handshake failed; `lasts` says that it will fail again until somebody acts."""

    text: str
    lasts: bool


_UNTRUSTED = "its certificate is signed by nobody who is trusted: name the authority's file in {ca_file}"
_OTHER_HOST = "its certificate is for another host: set {address} to a name in it, or have a certificate for this one"
_CERTIFICATES: Mapping[int, str] = {
    9: "its certificate is not valid yet: set the clocks right, or replace the certificate",
    10: "its certificate has expired: replace it",
    18: _UNTRUSTED,  # self-signed
    19: _UNTRUSTED,  # self-signed, further up
    20: _UNTRUSTED,
    21: _UNTRUSTED,
    23: "its certificate is revoked: replace it",
    26: "its certificate is not made for a server: replace it",
    62: _OTHER_HOST,
    64: _OTHER_HOST,  # an IP address
}
"""By the result of the verification (OpenSSL 3.0, X509_STORE_CTX_get_error)."""

_TOO_OLD = "it speaks no TLS of version 1.2 or later: enable that on it"
_NO_TLS = "it speaks no TLS on that port: check {address}, or do not ask for TLS"
_NOT_TAKEN = "it does not take the certificate of the bridge, or gets none: set {cert_file} to one that it trusts"
_NONE_GIVEN = "it asks for a certificate of the bridge: set {cert_file}"
_REASONS: Mapping[str, str] = {
    "UNSUPPORTED_PROTOCOL": _TOO_OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _TOO_OLD,
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "no cipher or certificate is right for both: check {cert_file}",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _NONE_GIVEN,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": _NONE_GIVEN,
    "SSLV3_ALERT_BAD_CERTIFICATE": _NOT_TAKEN,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _NOT_TAKEN,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _NOT_TAKEN,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "the certificate of the bridge is revoked: replace that in {cert_file}",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the certificate of the bridge has expired: replace that in {cert_file}",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not trust who signed the certificate of the bridge: check {cert_file}",
    "TLSV1_ALERT_ACCESS_DENIED": _NOT_TAKEN,
}
"""By OpenSSL's name of the reason."""


def trouble(
    error: ssl.SSLError, address: str, ca_file: str = "CA_FILE", cert_file: str = "CLIENT_CERT_FILE"
) -> Trouble:
    """Say what a failed handshake means; `address` names the setting with the server, the others those of `TlsFiles`.

    What is not known here may pass by itself, as a server that goes away during a handshake does.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        why = _CERTIFICATES.get(error.verify_code, "its certificate is refused")
        return Trouble(why.format(address=address, ca_file=ca_file), lasts=True)
    reason = getattr(error, "reason", None) or type(error).__name__
    if reason in _REASONS:
        return Trouble(_REASONS[reason].format(address=address, cert_file=cert_file), lasts=True)
    return Trouble(f"the handshake failed: {reason}", lasts=False)
