"""The MQTT sink keeps the promises of every sink, on a real broker that is frozen and killed."""

from collections.abc import Iterator, Sequence

import pytest

from bridge.contract import Received, Rig, SinkContract, sample
from bridge.message import Message
from sinks.mqtt import plugin
from sinks.mqtt.config import MqttConfig
from tests.brokers import MqttBroker, start_mqtt
from tests.brokers.secured_mqtt import SecuredMosquitto
from tests.oracle.mqtt import MqttReader
from tests.oracle.published import ANYTHING

pytestmark = pytest.mark.mqtt

_LIMIT_BYTES = 100_000


class MqttRig(Rig):
    """The sink, the broker behind it, and an independent subscriber."""

    def __init__(self, config: MqttConfig, broker: MqttBroker, reader: MqttReader) -> None:
        super().__init__(plugin, config)
        self._broker, self._reader = broker, reader

    async def received(self) -> Sequence[Received]:
        return [Received(record.attributes["id"], record.value, record.topic) for record in self._reader.read()]

    async def freeze(self) -> None:
        self._broker.pause()

    async def kill(self) -> None:
        self._broker.kill()

    def poison(self) -> Message:
        return sample(1000, padding=_LIMIT_BYTES)


class TestMqtt(SinkContract):
    @pytest.fixture
    def rig(self) -> Iterator[MqttRig]:
        broker = start_mqtt(own=True, settings=f"max_packet_size {_LIMIT_BYTES}")
        try:
            with MqttReader(broker.host, broker.port, contents=ANYTHING) as reader:
                yield MqttRig(MqttConfig(url=broker.url, window_events=20), broker, reader)
        finally:
            broker.close()


def secured(listener: str) -> Iterator[MqttRig]:
    """Give a rig for a listener of a secured broker."""
    broker = SecuredMosquitto(f"max_packet_size {_LIMIT_BYTES}")
    url = broker.address(listener)
    ca_file = broker.authority.ca_file if url.startswith("mqtts") else None
    try:
        with MqttReader(broker.host, broker.port, contents=ANYTHING) as reader:
            yield MqttRig(MqttConfig(url=url, ca_file=ca_file, window_events=20), broker, reader)
    finally:
        broker.close()


class TestMqttOverTls(SinkContract):
    @pytest.fixture
    def rig(self) -> Iterator[MqttRig]:
        yield from secured("mqtts")


class TestMqttOverAWebSocket(SinkContract):
    @pytest.fixture
    def rig(self) -> Iterator[MqttRig]:
        yield from secured("ws")
