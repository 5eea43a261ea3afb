"""The sink for Apache Kafka: one idempotent producer a connection, every event confirmed by all in-sync replicas."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial

from bridge.message import Message
from bridge.ports import Connect, Finding, Sink, SinkPlugin
from sinks.kafka.config import KafkaConfig
from sinks.kafka.description import describe
from sinks.kafka.explanation import explain
from sinks.kafka.records import letter_record

__all__ = ["KafkaConfig", "plugin"]

_LARGEST_REQUEST_BYTES = 104_857_600


@asynccontextmanager
async def _connect(config: KafkaConfig) -> AsyncIterator[Sink]:
    from sinks.kafka.sink import connect  # noqa: PLC0415 - who only reads the settings need not wait for the client library

    async with connect(config) as sink:
        yield sink


@asynccontextmanager
async def _connect_copies(config: KafkaConfig, topic: str) -> AsyncIterator[Sink]:
    from sinks.kafka.sink import connect  # noqa: PLC0415 - as above

    async with connect(config, lambda message: letter_record(message, topic, config.site)) as sink:
        yield sink


def _copies(config: KafkaConfig) -> Connect[Sink] | None:
    """Copy dead letters to a topic of their own, if there is to be one, past the limits that made them."""
    if config.dlq_topic is None:
        return None
    own = {"transactional_id": None, "max_request_bytes": _LARGEST_REQUEST_BYTES}
    return partial(_connect_copies, config.model_copy(update=own), config.dlq_topic)


async def _inspect(config: KafkaConfig, examples: Sequence[Message], *, create: bool) -> AsyncGenerator[Finding, None]:
    from sinks.kafka.inspection import inspect  # noqa: PLC0415 - as above

    async with aclosing(inspect(config, examples, create=create)) as findings:
        async for finding in findings:
            yield finding


plugin = SinkPlugin(
    config=KafkaConfig, connect=_connect, explain=explain, copies=_copies, inspect=_inspect, describe=describe
)
