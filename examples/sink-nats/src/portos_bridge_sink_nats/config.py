"""The settings of the NATS sink."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from bridge.settings import CommaList, SinkConfig, TlsFiles, is_loopback

__all__ = ["NatsConfig"]

_NAME = r"^[A-Za-z0-9_-]+$"
_NAMES = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"


class NatsConfig(TlsFiles, SinkConfig):
    """Where the servers are, who the bridge is there, and which stream takes the events."""

    servers: CommaList = Field(min_length=1)
    """Servers of one cluster, separated by commas: tls://host[:port], or nats://host[:port] without TLS."""
    server_seconds: int = Field(default=4, ge=1)
    """How long to wait for one server before the next is tried; DELIVERY__CONNECT_SECONDS is for all of them."""
    username: str | None = None
    """User name at the server."""
    password: SecretStr | None = None
    """Its password."""
    token: SecretStr | None = None
    """Token, in place of user and password."""
    creds: SecretStr | None = None
    """Contents of a .creds file (JWT and seed), in place of both; name the file in CREDS_FILE."""
    stream: str = Field(default="PORTOS", pattern=_NAME)
    """The JetStream stream, which must exist and take the subjects below PREFIX."""
    domain: str | None = Field(default=None, pattern=_NAME)
    """JetStream domain of the stream, where it is not the server's own."""
    prefix: str = Field(default="portos", pattern=_NAMES, max_length=100)
    """How all subjects begin."""
    inbox_prefix: str = Field(default="_INBOX", pattern=_NAMES)
    """How the subjects begin on which the answers come."""

    @field_validator("servers")
    @classmethod
    def _addresses(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        parts = [urlsplit(server) for server in servers]
        if any(p.scheme not in {"nats", "tls"} or not p.hostname or p.username or p.path or p.query for p in parts):
            raise ValueError("should be tls://host:port or nats://host:port, without a user or a password")
        if len({part.scheme for part in parts}) > 1:
            raise ValueError("should all begin with tls://, or all with nats://")
        return servers

    @field_validator("creds")
    @classmethod
    def _complete(cls, creds: SecretStr | None) -> SecretStr | None:
        text = creds.get_secret_value() if creds else ""
        if creds and not all(f"BEGIN {part}" in text for part in ("NATS USER JWT", "USER NKEY SEED")):
            raise ValueError("should hold a user JWT and a seed, as `nsc generate creds` writes them")
        return creds

    @model_validator(mode="after")
    def _one_identity(self) -> "NatsConfig":
        if (self.username is None) != (self.password is None):
            raise ValueError("USERNAME and PASSWORD need each other")
        if sum(each is not None for each in (self.username, self.token, self.creds)) > 1:
            raise ValueError("only one of USERNAME, TOKEN and CREDS can be set")
        if (self.ca_file or self.client_cert_file) and not self.tls_only:
            raise ValueError("SERVERS should begin with tls:// where CA_FILE or CLIENT_CERT_FILE is set")
        return self

    @property
    def tls_only(self) -> bool:
        """Say whether a server without TLS is refused."""
        return self.servers[0].startswith("tls://")

    def cautions(self) -> Iterator[tuple[str, str]]:
        """See `SinkConfig.cautions`."""
        hosts = [urlsplit(server).hostname or "" for server in self.servers]
        if not self.tls_only and not all(map(is_loopback, hosts)):
            yield "servers", "events and passwords leave in plaintext, unless the server asks for TLS: use tls://"
