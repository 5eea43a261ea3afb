"""What the Kafka sink would hand over for a message. Pure; asked by `portos-bridge explain`."""

from functools import partial

from bridge.errors import Rejected
from bridge.message import STRUCTURED_CONTENT_TYPE, Message, attributes
from bridge.ports import Explanation
from bridge.reference import without_body
from sinks.kafka.config import KafkaConfig
from sinks.kafka.fitting import fitted
from sinks.kafka.records import record_of

__all__ = ["explain"]


def explain(config: KafkaConfig, message: Message) -> Explanation:
    """Give topic, key, headers and value; raise `Rejected` for what is refused without asking a broker."""
    structured_mode = config.ce_mode == "structured"
    record, shed = fitted(message, partial(record_of, layout=config.layout, structured_mode=structured_mode), config)
    if isinstance(record, Rejected):
        raise record
    message = (shed and without_body(message)) or message
    if structured_mode:
        return Explanation(record.topic, record.value or b"", record.key, [("content-type", STRUCTURED_CONTENT_TYPE)])
    named = [(f"ce_{name}", text) for name, text in attributes(message, config.site)]
    return Explanation(record.topic, record.value or b"", record.key, [("content-type", "application/json"), *named])
