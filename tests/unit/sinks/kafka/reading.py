"""Reads batches back with aiokafka's own reader, which shares no line with what wrote them."""

from typing import Any

from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from sinks.kafka.batch import Batch
from sinks.kafka.records import Record


def read(batch: Batch) -> Any:
    """Read a batch, its checksum included."""
    reader: Any = MemoryRecords(bytes(batch._build())).next_batch()
    assert reader is not None
    assert reader.validate_crc()
    return reader


def values_of(batch: Batch) -> list[bytes]:
    """Give the values of a batch's records."""
    return [each.value for each in read(batch)]


def headers_of(record: Record) -> list[tuple[str, bytes]]:
    """Give the headers of a record as a consumer gets them."""
    batch = Batch(65_536, 1, calc_crc32c)
    batch.add(record)
    return next(iter(read(batch))).headers
