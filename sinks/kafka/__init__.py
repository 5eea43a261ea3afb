"""The sink for Apache Kafka: one idempotent producer a connection, every event confirmed by all in-sync replicas."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.ports import Sink, SinkPlugin
from sinks.kafka.config import KafkaConfig
from sinks.kafka.explanation import explain

__all__ = ["KafkaConfig", "plugin"]


@asynccontextmanager
async def _connect(config: KafkaConfig) -> AsyncIterator[Sink]:
    from sinks.kafka.sink import connect  # noqa: PLC0415 - who only reads the settings need not wait for the client library

    async with connect(config) as sink:
        yield sink


plugin = SinkPlugin(config=KafkaConfig, connect=_connect, explain=explain)
