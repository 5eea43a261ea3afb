"""The settings of a client's TLS, the same for every connection that can have one.

A part of the settings of whoever connects: a model that inherits these has their names, `CA_FILE` and so on.
"""

import ssl
from pathlib import Path

from pydantic import SecretStr, ValidationInfo, field_validator

from bridge.settings.base import Part
from bridge.tls import client_context

__all__ = ["TlsFiles"]


class TlsFiles(Part):
    """Whom to trust, and the bridge's own certificate."""

    ca_file: Path | None = None
    """PEM file of the certificate authorities to trust instead of the system's."""
    client_cert_file: Path | None = None
    """PEM file of the bridge's own certificate, and those between it and its authority."""
    client_key_file: Path | None = None
    """PEM file of the key of that certificate, if it is not in the same file."""
    client_key_password: SecretStr | None = None
    """The password of that key, if it is encrypted."""

    def tls_context(self) -> ssl.SSLContext:
        """Read the files as they are now; raises `bridge.tls.UnusableFile`, and blocks."""
        password = self.client_key_password.get_secret_value() if self.client_key_password else None
        return client_context(self.ca_file, self.client_cert_file, self.client_key_file, password)

    def try_files(self) -> None:
        """Raise `bridge.tls.UnusableFile` for the first file that cannot be used."""
        if self.ca_file or self.client_cert_file:
            self.tls_context()

    @field_validator("client_key_file", "client_key_password")
    @classmethod
    def _of_a_certificate(cls, value: object, info: ValidationInfo) -> object:
        if value and info.data.get("client_cert_file", value) is None:
            raise ValueError("is of no use without CLIENT_CERT_FILE")
        return value
