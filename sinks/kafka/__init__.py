"""The sink for Apache Kafka: one idempotent producer a connection, every event confirmed by all in-sync replicas."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial

from bridge.message import Message
from bridge.ports import Connect, Finding, Sink, SinkActivity, SinkPlugin, StateConnection, StateTopics
from sinks.kafka.config import KafkaConfig
from sinks.kafka.description import describe
from sinks.kafka.explanation import explain
from sinks.kafka.observation import Observation
from sinks.kafka.records import Record, letter_record
from sinks.kafka.state import state_record

__all__ = ["KafkaConfig", "plugin"]

Observe = Callable[[], Observation]
_LARGEST_REQUEST_BYTES = 104_857_600


@asynccontextmanager
async def _connect(observe: Observe, config: KafkaConfig) -> AsyncIterator[Sink]:
    from sinks.kafka.sink import connect  # noqa: PLC0415 - who only reads the settings need not wait for the client library

    async with connect(config, observe()) as sink:
        yield sink


@asynccontextmanager
async def _connect_copies(observe: Observe, config: KafkaConfig, topic: str) -> AsyncIterator[Sink]:
    from sinks.kafka.sink import connect  # noqa: PLC0415 - as above

    layout = config.layout
    async with connect(config, observe(), lambda message: letter_record(message, topic, layout)) as sink:
        yield sink


def _copies(observe: Observe, config: KafkaConfig) -> Connect[Sink] | None:
    """Copy dead letters to a topic of their own, if there is to be one, past the limits that made them."""
    if config.dlq_topic is None:
        return None
    own = {"transactional_id": None, "max_request_bytes": _LARGEST_REQUEST_BYTES, "oversize": "dead_letter"}
    return partial(_connect_copies, observe, config.model_copy(update=own), config.dlq_topic)


async def _inspect(config: KafkaConfig, examples: Sequence[Message], *, create: bool) -> AsyncGenerator[Finding, None]:
    from sinks.kafka.inspection import inspect  # noqa: PLC0415 - as above

    async with aclosing(inspect(config, examples, create=create)) as findings:
        async for finding in findings:
            yield finding


@asynccontextmanager
async def _connect_states(
    observe: Observe, config: KafkaConfig, template: str, identity: str
) -> AsyncIterator[StateConnection]:
    from sinks.kafka.sink import connect  # noqa: PLC0415 - as above

    structured_mode, layout = config.ce_mode == "structured", config.layout

    def to_record(message: Message) -> Record:
        return state_record(message, template, layout, structured_mode=structured_mode)

    async with connect(config, observe(), to_record, identity) as sink:
        yield StateConnection(sink)


def _state(observe: Observe, config: KafkaConfig) -> StateTopics | None:
    """Publish states to topics of their own, if there are to be any, with a producer id that is not that of events."""
    if config.state_topic_template is None:
        return None
    own = {
        "transactional_id": config.state_fencing_id,
        "client_id": f"{config.client_id}-state",
        "oversize": "dead_letter",  # a reference is no state: what is there stays as it was
    }
    parts = (*config.bootstrap_servers, config.state_topic_template, config.key_template, config.site, config.ce_mode)
    target = f"{','.join(parts)},{config.max_request_bytes}"  # with another limit what was too large may no longer be
    identity = "TRANSACTIONAL_ID" if config.transactional_id else "CLIENT_ID and SITE"
    connect = partial(_connect_states, observe, config.model_copy(update=own), config.state_topic_template, identity)
    return StateTopics(target, connect)


def _observed(activity: SinkActivity) -> SinkPlugin[KafkaConfig]:
    observation = Observation(activity)
    return _plugin(lambda: observation)


def _plugin(observe: Observe) -> SinkPlugin[KafkaConfig]:
    """Give the sink; each of its connections asks what to note the brokers' doings in."""
    return SinkPlugin(
        config=KafkaConfig,
        connect=partial(_connect, observe),
        explain=explain,
        copies=partial(_copies, observe),
        inspect=_inspect,
        describe=describe,
        state=partial(_state, observe),
        observed=_observed,
    )


plugin = _plugin(lambda: Observation(SinkActivity()))
