"""The settings of the RabbitMQ sink."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from bridge.settings import SinkConfig, TlsFiles, is_loopback


class RabbitConfig(TlsFiles, SinkConfig):
    """Where the server is, and what it takes."""

    url: str = Field(pattern=r"^amqps?://[^@/?#]+(/[^/?#]*)?$")
    """Server and virtual host: amqp://host[:port][/vhost], or amqps:// for TLS."""
    username: str = "guest"
    """User name at the server; that user needs the right to write to the exchange, and no other."""
    password: SecretStr = SecretStr("guest")
    """Its password."""
    exchange: str = Field(default="amq.topic", min_length=1, max_length=127)
    """The topic exchange to publish to; it has to be there, and queues bound to it."""
    max_bytes: int = Field(default=16_777_216, ge=1)
    """Larger notifications are not sent as they are; no more than max_message_size of the server."""

    def cautions(self) -> Iterator[tuple[str, str]]:
        """See `SinkConfig`."""
        if self.url.startswith("amqp:") and not is_loopback(urlsplit(self.url).hostname or ""):
            yield "url", "password and events are sent in plaintext: take amqps://"
