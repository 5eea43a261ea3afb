"""What the MQTT sink would hand over for a message. Pure; asked by `portos-bridge explain`."""

from bridge.message import STRUCTURED_CONTENT_TYPE, Message, attributes, structured
from bridge.ports import Explanation
from bridge.reference import without_body
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.records import LARGEST_PACKET_BYTES, expiry_seconds, fitted, packet_builder

__all__ = ["explain"]


def explain(config: MqttConfig, message: Message) -> Explanation:
    """Give topic, properties and payload as of when it was received; raise `Rejected` for what no broker is asked for.

    A broker may ask for smaller packets than the settings do.
    """
    packet = packet_builder(config, config.max_packet_bytes or LARGEST_PACKET_BYTES)
    _, shed = fitted(packet, message, 1, message.received_at, sheds=config.sheds)
    message = (shed and without_body(message)) or message
    topic = config.topics.of(message).decode()
    payload = structured(message, config.site) if config.structured else message.body
    if config.version != "5":
        return Explanation(topic, payload)
    properties = [("Content Type", STRUCTURED_CONTENT_TYPE if config.structured else "application/json")]
    if message.expires_at is not None:
        seconds = expiry_seconds(message.expires_at, message.received_at)
        properties.append(("Message Expiry Interval", str(seconds)))
    named = [] if config.structured else attributes(message, config.site)
    return Explanation(topic, payload, headers=[*properties, *named])
