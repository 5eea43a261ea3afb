"""What a message becomes on RabbitMQ: a routing key, and CloudEvents attributes as headers. Pure."""

from hashlib import sha256

from bridge.errors import Rejected
from bridge.message import Message, attributes, percent_encoded
from bridge.ports import Explanation
from bridge.reference import without_body
from portos_bridge_sink_rabbitmq.config import RabbitConfig

_LONGEST_KEY = 255  # a short string of AMQP 0-9-1


def routing_key(message: Message) -> str:
    """Name what a message is about; a resource is one word, and never reaches the place of an event without one."""
    key = f"portos.events.{percent_encoded(message.event)}"
    if message.resource is not None:
        key = f"portos.resources.{percent_encoded(message.resource).replace('.', '%2E')}"
    return key if len(key) <= _LONGEST_KEY else f"{key[:200]}~{sha256(key.encode()).hexdigest()[:16]}"


def explain(config: RabbitConfig, message: Message) -> Explanation:
    """Give what is sent of a message: of one that is too large its reference, or it raises `Rejected`."""
    key, limit = routing_key(message), config.max_bytes
    sent = message if len(message.body) <= limit else without_body(message) if config.sheds else None
    if sent is None or len(sent.body) > limit:
        raise Rejected(f"{len(message.body)} bytes; MAX_BYTES is {limit}", reason="too_large", target=key)
    headers = [(f"cloudEvents_{name}", text) for name, text in attributes(sent, config.site)]
    return Explanation(key, sent.body, headers=headers)
