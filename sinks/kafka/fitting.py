"""Making records that are no larger than `MAX_REQUEST_BYTES`: without its body an event nearly always is.

Pure. Used by `sinks.kafka.sink` and `sinks.kafka.explanation`. Topics and brokers have limits of their own, which show
in their answers only.
"""

from collections.abc import Callable

from bridge.errors import Rejected
from bridge.message import Message
from bridge.ports import Shed
from bridge.reference import without_body
from sinks.kafka.batch import Batch
from sinks.kafka.config import KafkaConfig
from sinks.kafka.records import Record

__all__ = ["fitted"]

_MOST_AROUND_BYTES = 128  # of a batch with one record: its head takes 61, and the lengths in a record at most 23


def fitted(
    message: Message, to_record: Callable[[Message], Record | Rejected], config: KafkaConfig
) -> tuple[Record | Rejected, Shed | None]:
    """Make the record of a message, or that of its reference, and say so; reject what is too large either way."""
    record = to_record(message)
    if isinstance(record, Rejected) or (size := _size(record, config)) <= config.max_request_bytes:
        return record, None
    text = f"the record has {size} bytes and MAX_REQUEST_BYTES is {config.max_request_bytes}"
    reference = without_body(message) if config.sheds else None
    shorter = record if reference is None else to_record(reference)
    if isinstance(shorter, Rejected) or _size(shorter, config) > config.max_request_bytes:
        return Rejected(text, reason="too_large", target=record.topic), None
    return shorter, Shed(text)


def _size(record: Record, config: KafkaConfig) -> int:
    """Tell how large a batch of this record is, before compression; 0 where that is certain to be small enough."""
    value = record.value or b""
    if len(record.key) + len(value) + len(record.headers) + _MOST_AROUND_BYTES <= config.max_request_bytes:
        return 0
    batch = Batch(config.largest_batch_bytes, 0, lambda _: 0)
    batch.add(record)
    return batch.size()
