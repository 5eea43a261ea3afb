"""Reads PUBLISH packets back with paho-mqtt's own reader, which shares no line with what wrote them."""

from typing import Any

from paho.mqtt._packet import decode_publish
from paho.mqtt.enums import MQTTProtocolVersion


def read(packet: bytes, version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5) -> Any:
    """Read a packet with all of its properties."""
    header = 1
    while packet[header] & 0x80:
        header += 1
    return decode_publish(packet[0], packet[header + 1 :], version)
