"""What a message becomes on NATS: its body, with the CloudEvents attributes as headers, on a subject. Pure."""

from urllib.parse import quote

from bridge.errors import Rejected
from bridge.message import Message, attributes, percent_encoded
from bridge.ports import Explanation
from portos_bridge_sink_nats.config import NatsConfig

__all__ = ["explain", "headers", "refusal", "subject"]

_PLAIN = (
    "!#$&'()*+,/:;<=>?@[\\]^`{|}"  # printable and neither space, quote nor percent: NATS binding 1.0.3-wip, 3.1.3.2
)
_LONGEST_SUBJECT = 1000  # a server takes 4096 bytes for all of a line, of which the inbox is another part


def subject(config: NatsConfig, message: Message) -> str:
    """Name the subject: a token for the resource, or those of the event's name."""
    if message.resource is None:
        return ".".join([config.prefix, "events", *map(_token, message.event.split("."))])
    return f"{config.prefix}.resources.{_token(message.resource)}"


def _token(name: str) -> str:
    return percent_encoded(name).replace(".", "%2E")


def headers(config: NatsConfig, message: Message) -> dict[str, str]:
    """Give the headers: what JetStream needs to know, and the attributes as the NATS binding has them."""
    own = {"Nats-Msg-Id": message.id, "Nats-Expected-Stream": config.stream, "ce-datacontenttype": "application/json"}
    return own | {f"ce-{name}": quote(text, safe=_PLAIN) for name, text in attributes(message, config.site)}


def refusal(config: NatsConfig, message: Message, max_payload_bytes: int | None = None) -> Rejected | None:
    """Say why a message will never be sent, if so; without a connection the largest payload is not known."""
    target = subject(config, message)
    if len(target) > _LONGEST_SUBJECT:
        return Rejected(f"a subject of {len(target)} bytes", reason="invalid")
    header_bytes = sum(len(name) + len(text) + 4 for name, text in headers(config, message).items()) + 12
    if max_payload_bytes is None or header_bytes + len(message.body) <= max_payload_bytes:
        return None
    text = f"{header_bytes + len(message.body)} bytes with headers; max_payload of the server is {max_payload_bytes}"
    return Rejected(text, reason="too_large", target=target)


def explain(config: NatsConfig, message: Message) -> Explanation:
    """Say what would be sent, for `portos-bridge explain`."""
    if reason := refusal(config, message):
        raise reason
    return Explanation(subject(config, message), message.body, headers=list(headers(config, message).items()))
