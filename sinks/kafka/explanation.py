"""What the Kafka sink would hand over for a message. Pure; asked by `portos-bridge explain`."""

from bridge.errors import Rejected
from bridge.message import STRUCTURED_CONTENT_TYPE, Message, attributes
from bridge.ports import Explanation
from sinks.kafka.batch import Batch
from sinks.kafka.config import KafkaConfig
from sinks.kafka.records import record_of, too_large

__all__ = ["explain"]


def explain(config: KafkaConfig, message: Message) -> Explanation:
    """Give topic, key, headers and value; raise `Rejected` for what is refused without asking a broker."""
    structured_mode = config.ce_mode == "structured"
    record = record_of(message, config.layout, structured_mode=structured_mode)
    if isinstance(record, Rejected):
        raise record
    batch = Batch(config.batch_bytes, 0, lambda _: 0)  # only its size is asked for
    batch.add(record)
    if batch.size() > config.max_request_bytes:
        raise too_large(batch.size(), config.max_request_bytes, record.topic)
    if structured_mode:
        return Explanation(record.topic, record.value or b"", record.key, [("content-type", STRUCTURED_CONTENT_TYPE)])
    named = [(f"ce_{name}", text) for name, text in attributes(message, config.site)]
    return Explanation(record.topic, record.value or b"", record.key, [("content-type", "application/json"), *named])
