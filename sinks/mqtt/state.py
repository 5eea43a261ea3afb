"""What a resource's newest state is on MQTT: a retained message, and an empty one once the resource is deleted.

Pure. Beside the states a mark is retained, below the bridge's own topics: a broker that has lost it has lost states.
"""

from collections.abc import Callable

from bridge.message import OWN_EVENTS, Message, percent_encoded, structured
from bridge.template import filled
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.records import STRUCTURED_PROPERTIES, lasting_properties, publication, with_length
from sinks.mqtt.state_topic import state_topics

__all__ = ["mark_of", "mark_topic", "shown_state_topic", "state_packet_builder"]

_MARK = f"{OWN_EVENTS}state.mark"
_PLAIN_TEXT = b"\x01\x01"  # Payload Format Indicator: UTF-8 (5.0, 3.3.2.3.2)


def mark_topic(config: MqttConfig) -> str:
    """Name the topic of the mark."""
    return f"{config.base}/bridge/marker"


def mark_of(text: str) -> Message:
    """Make what `state_packet_builder` writes as the mark; it is no event and never leaves as one."""
    return Message("", _MARK, None, None, None, None, None, None, 0.0, text.encode())


def shown_state_topic(config: MqttConfig, message: Message) -> str:
    """Name the topic of a state, or of the mark, for the log, where no id belongs."""
    if message.event == _MARK:
        return mark_topic(config)
    names = {"base": config.base, "site": config.site, "resource": percent_encoded(message.resource or "")}
    return filled(config.state_topic_template or "", names | {"resource_id": "{resource_id}"})


def state_packet_builder(config: MqttConfig, max_packet_bytes: int) -> Callable[[Message, int, float], bytes]:
    """Give the function that turns a state, or the mark, into its PUBLISH packet, as `packet_builder` does for events.

    No state ever expires at the broker. A delete says in its properties what it is about, also in structured mode.
    """
    site, with_properties, in_one = config.site, config.version == "5", config.structured
    topic_of = state_topics(config.state_topic_template or "", config.base, site)
    mark = mark_topic(config).encode()

    def packet(message: Message, packet_id: int, _now: float) -> bytes:
        body = message.body
        if message.event == _MARK:
            topic, properties = mark, _PLAIN_TEXT
        else:
            topic = topic_of(message.resource or "", message.resource_id or "")
            properties = STRUCTURED_PROPERTIES if in_one and body else lasting_properties(message, site)
            body = structured(message, site) if in_one and body else body
        packed = with_length(properties) if with_properties else b""
        return publication(topic, packet_id, packed, body, max_packet_bytes, retained=True)

    return packet
