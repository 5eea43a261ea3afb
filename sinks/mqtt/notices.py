"""What a notice of the bridge becomes on MQTT: a topic below `{base}/bridge/` and a PUBLISH packet. Pure."""

from typing import Final

from bridge.ports import Notice
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.records import publication, with_length

__all__ = ["CONTENT_TYPE", "notice_packet", "notice_topic"]

CONTENT_TYPE: Final = "application/json"
_PROPERTIES = with_length(b"\x03" + len(CONTENT_TYPE).to_bytes(2, "big") + CONTENT_TYPE.encode())


def notice_topic(config: MqttConfig, name: str) -> str:
    """Give the topic of a notice."""
    return f"{config.base}/bridge/{name}"


def notice_packet(
    config: MqttConfig, notice: Notice, max_packet_bytes: int, packet_id: int, *, retained: bool
) -> bytes:
    """Write the PUBLISH packet of a notice, with QoS 1; raise `Rejected` for one that the broker would not take."""
    topic, properties = notice_topic(config, notice.name).encode(), _PROPERTIES if config.version == "5" else b""
    return publication(topic, packet_id, properties, notice.body, max_packet_bytes, retained=retained)
