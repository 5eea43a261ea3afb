"""The settings by which the Kafka sink proves who it is: the protocol and the login.

Pure. Each field looks back on those before it, so that each is named and none hides another.
"""

from typing import Literal

from pydantic import SecretStr, ValidationInfo, field_validator

from bridge.settings import Part

__all__ = ["Security"]

_BY_PASSWORD = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class Security(Part):
    """How the connection is protected, and how the bridge logs in."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """What the brokers speak on that port: with TLS (`SSL`, `SASL_SSL`) or without, with a login (`SASL_...`) or
    without."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """How the bridge logs in, with the protocols `SASL_...`."""
    sasl_username: str | None = None
    """User name at the brokers."""
    sasl_password: SecretStr | None = None
    """Its password."""

    @property
    def encrypted(self) -> bool:
        """Whether the connection has TLS."""
        return self.security_protocol.endswith("SSL")

    @property
    def login(self) -> str:
        """The variables to look at when the brokers refuse who the bridge is."""
        return "SASL_USERNAME and SASL_PASSWORD" if self.sasl_mechanism else "CLIENT_CERT_FILE"

    @field_validator("sasl_mechanism")
    @classmethod
    def _for_a_login(cls, value: str | None, info: ValidationInfo) -> str | None:
        protocol = info.data.get("security_protocol")
        if protocol is None:
            return value
        if value is None and protocol.startswith("SASL"):
            raise ValueError(f"must be set, since SECURITY_PROTOCOL is {protocol}")
        if value is not None and not protocol.startswith("SASL"):
            raise ValueError(f"is of no use, since SECURITY_PROTOCOL is {protocol}: take SASL_SSL")
        return value

    @field_validator("sasl_username", "sasl_password")
    @classmethod
    def _for_a_password(cls, value: object, info: ValidationInfo) -> object:
        if "sasl_mechanism" not in info.data:
            return value
        mechanism = info.data["sasl_mechanism"]
        if not value and mechanism in _BY_PASSWORD:
            raise ValueError(f"must be set, since SASL_MECHANISM is {mechanism}")
        if value and mechanism not in _BY_PASSWORD:
            raise ValueError(f"is of no use, since SASL_MECHANISM is {mechanism or 'not set'}")
        if "\0" in (value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")):
            raise ValueError("should hold no NUL character")  # which ends the user name in the mechanism PLAIN
        return value
