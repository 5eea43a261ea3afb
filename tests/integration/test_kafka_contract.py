"""The Kafka sink keeps the promises of every sink, on a real broker that is frozen and killed."""

import asyncio
from collections.abc import Sequence

import pytest

from bridge.contract import Received, Rig, SinkContract, sample
from bridge.message import Message
from sinks.kafka import plugin
from tests.brokers import KafkaBroker
from tests.oracle.kafka import KafkaReader
from tests.oracle.published import ANYTHING

pytestmark = pytest.mark.kafka


class KafkaRig(Rig):
    """The sink with a window of 50 and topics of its own, and an independent consumer of them."""

    read_seconds = 20

    def __init__(self, broker: KafkaBroker, prefix: str) -> None:
        config = plugin.config(
            bootstrap_servers=(broker.bootstrap,), topic_template=f"{prefix}.{{resource}}", window_events=50
        )
        super().__init__(plugin, config)
        self._broker, self._reader = broker, KafkaReader(broker.bootstrap, prefix, contents=ANYTHING)

    async def received(self) -> Sequence[Received]:
        records = await asyncio.to_thread(self._reader.read)
        return [Received(record.attributes["id"], record.value, record.topic) for record in records]

    async def freeze(self) -> None:
        self._broker.pause()

    async def kill(self) -> None:
        self._broker.kill()

    def poison(self) -> Message:
        return sample(1000, padding=2_000_000)


class TestKafka(SinkContract):
    @pytest.fixture
    def rig(self, request: pytest.FixtureRequest) -> KafkaRig:
        own = "frozen" in request.node.name or "dead" in request.node.name
        broker: KafkaBroker = request.getfixturevalue("own_kafka_broker" if own else "kafka_broker")
        return KafkaRig(broker, f"c{id(request.node):x}")
