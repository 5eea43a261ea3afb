"""The settings of the RabbitMQ sink, and what a message becomes by them. Pure."""

from collections.abc import Iterator
from hashlib import sha256
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from bridge.errors import Rejected
from bridge.message import Message, attributes, percent_encoded
from bridge.ports import Explanation
from bridge.reference import without_body
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
    """The topic exchange to publish to; it has to be there, with a queue bound for every event."""
    max_bytes: int = Field(default=16_777_216, ge=1)
    """Larger notifications are not sent as they are; no more than the server's max_message_size."""

    def cautions(self) -> Iterator[tuple[str, str]]:
        """Yield that a password would be read on its way."""
        if self.url.startswith("amqp:") and not is_loopback(urlsplit(self.url).hostname or ""):
            yield "url", "the password and all events are sent in plaintext: take amqps://"


def routing_key(message: Message) -> str:
    """Name what a message is about; a resource is one word, and none reaches the place of events without one."""
    key = f"portos.events.{percent_encoded(message.event)}"
    if message.resource is not None:
        key = f"portos.resources.{percent_encoded(message.resource).replace('.', '%2E')}"
    return f"{key[:200]}~{sha256(key.encode()).hexdigest()[:16]}" if key[255:] else key  # AMQP 0-9-1: 255 bytes


def explain(config: RabbitConfig, message: Message) -> Explanation:
    """Give what is sent of a message: of one that is too large its reference, or it raises `Rejected`."""
    sent = message if len(message.body) <= config.max_bytes else without_body(message) if config.sheds else None
    if sent is None or len(sent.body) > config.max_bytes:
        raise Rejected(f"{len(message.body)} exceeds MAX_BYTES", reason="too_large", target=routing_key(message))
    headers = [(f"cloudEvents_{name}", text) for name, text in attributes(sent, config.site)]
    return Explanation(routing_key(sent), sent.body, headers=headers)
