"""What a notice of the bridge becomes on MQTT: a topic below `{base}/bridge/` and a PUBLISH packet. Pure."""

from typing import Final

from bridge.ports import Notice
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.records import variable_byte_integer

__all__ = ["CONTENT_TYPE", "notice_packet", "notice_topic"]

CONTENT_TYPE: Final = "application/json"
_PUBLISH_QOS_1 = 0x32
_RETAINED = 0x01
_PROPERTIES = b"\x03" + len(CONTENT_TYPE).to_bytes(2, "big") + CONTENT_TYPE.encode()


def notice_topic(config: MqttConfig, name: str) -> str:
    """Give the topic of a notice."""
    return f"{config.base}/bridge/{name}"


def notice_packet(config: MqttConfig, notice: Notice, packet_id: int, *, retained: bool) -> bytes:
    """Write the PUBLISH packet of a notice (5.0 and 3.1.1, 3.3), with QoS 1."""
    topic = notice_topic(config, notice.name).encode()
    properties = variable_byte_integer(len(_PROPERTIES)) + _PROPERTIES if config.version == "5" else b""
    rest = b"".join((len(topic).to_bytes(2, "big"), topic, packet_id.to_bytes(2, "big"), properties, notice.body))
    first = _PUBLISH_QOS_1 | (_RETAINED if retained else 0)
    return bytes([first]) + variable_byte_integer(len(rest)) + rest
