"""The brokers that MQTT 5 is tried on, row by row: Mosquitto, and one of other people's making, HiveMQ CE."""

from tests.brokers.mqtt import MosquittoProgram, mosquitto
from tests.brokers.second_mqtt import HiveMq
from tests.support import unavailable

__all__ = ["MQTT_5", "Mqtt5Broker", "start_mqtt5"]

MQTT_5 = ("mosquitto", "hivemq")

Mqtt5Broker = MosquittoProgram | HiveMq


def start_mqtt5(name: str, settings: str = "") -> Mqtt5Broker:
    """Start one of the two as a process, with further settings as it writes them, or end the test for want of it."""
    if name == "hivemq":
        return HiveMq(settings)
    if mosquitto() is None:
        unavailable("mqtt", "needs the program mosquitto: install it")
    return MosquittoProgram(settings)
