"""The settings by which the Kafka sink proves who it is: the protocol and the login.

Pure. Each field looks back on those before it, so that each is named and none hides another.
"""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationInfo, field_validator

from bridge.settings import Part
from sinks.kafka.grant import TOKEN_FORM

__all__ = ["Security"]

_BY_PASSWORD = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_NEEDED_BY_AN_ENDPOINT = ("oauth_client_id", "oauth_client_secret")


class Security(Part):
    """How the connection is protected, and how the bridge logs in."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """What the brokers speak on that port: with TLS (`SSL`, `SASL_SSL`) or without, with a login (`SASL_...`) or
    without."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    """How the bridge logs in, with the protocols `SASL_...`."""
    sasl_username: str | None = None
    """User name at the brokers."""
    sasl_password: SecretStr | None = None
    """Its password."""
    oauth_token: SecretStr | None = None
    """The token of the mechanism `OAUTHBEARER`, if it is not asked for; best as a file that something else renews."""
    oauth_token_url: str | None = None
    """Address of the endpoint that gives tokens for `OAUTHBEARER`: `https://login.example/oauth2/token`."""
    oauth_client_id: str | None = None
    """The bridge's client id there."""
    oauth_client_secret: SecretStr | None = None
    """The secret of that client."""
    oauth_scope: str | None = None
    """What to ask the endpoint for, if it wants to be told."""
    oauth_ca_file: Path | None = None
    """PEM file of the certificate authorities to trust for that endpoint instead of the system's."""

    @property
    def encrypted(self) -> bool:
        """Whether the connection has TLS."""
        return self.security_protocol.endswith("SSL")

    @property
    def login(self) -> str:
        """The variables to look at when the brokers refuse who the bridge is."""
        match self.sasl_mechanism:
            case None:
                return "CLIENT_CERT_FILE"
            case "OAUTHBEARER" if self.oauth_token is not None:
                return "OAUTH_TOKEN"
            case "OAUTHBEARER":
                return "OAUTH_TOKEN_URL, OAUTH_CLIENT_ID and OAUTH_SCOPE"
        return "SASL_USERNAME and SASL_PASSWORD"

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

    @field_validator(
        "oauth_token", "oauth_token_url", "oauth_client_id", "oauth_client_secret", "oauth_scope", "oauth_ca_file"
    )
    @classmethod
    def _for_a_token(cls, value: object, info: ValidationInfo) -> object:
        if "sasl_mechanism" not in info.data:
            return value
        mechanism = info.data["sasl_mechanism"]
        if value and mechanism != "OAUTHBEARER":
            raise ValueError(f"is of no use, since SASL_MECHANISM is {mechanism or 'not set'}")
        return value

    @field_validator("oauth_token")
    @classmethod
    def _one_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not TOKEN_FORM.fullmatch(value.get_secret_value()):
            raise ValueError("is no bearer token: letters, digits and -._~+/ only")
        return value

    @field_validator("oauth_token_url")
    @classmethod
    def _one_way_to_a_token(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("sasl_mechanism") != "OAUTHBEARER" or "oauth_token" not in info.data:
            return value
        if value is None and info.data["oauth_token"] is None:
            raise ValueError("must be set, or OAUTH_TOKEN, since SASL_MECHANISM is OAUTHBEARER")
        if value is not None and info.data["oauth_token"] is not None:
            raise ValueError("is of no use beside OAUTH_TOKEN; keep one")
        if value is not None:
            parts = urlsplit(value)
            _ = parts.port  # raises ValueError for a port that is none
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
                raise ValueError("should be https://host/path; client id and secret have variables of their own")
        return value

    @field_validator("oauth_client_id", "oauth_client_secret", "oauth_scope", "oauth_ca_file")
    @classmethod
    def _of_an_endpoint(cls, value: object, info: ValidationInfo) -> object:
        if info.data.get("sasl_mechanism") != "OAUTHBEARER" or "oauth_token_url" not in info.data:
            return value
        asked = info.data["oauth_token_url"] is not None
        if not value and asked and info.field_name in _NEEDED_BY_AN_ENDPOINT:
            raise ValueError("must be set, since OAUTH_TOKEN_URL is")
        if value and not asked:
            raise ValueError("is of no use without OAUTH_TOKEN_URL")
        return value
