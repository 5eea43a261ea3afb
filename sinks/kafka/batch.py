"""Records of one partition in the form in which brokers store them: record batch version 2.

Pure. It stands in for aiokafka's own batch builder, which takes every header as a pair of its own: with a dozen
headers a record that is half of the work of publishing. Here the headers of a record are bytes already. The layout is
that of Kafka's protocol guide, "Record Batch"; all records of a batch carry the moment at which it was begun.
"""

from collections.abc import Callable
from struct import Struct
from typing import cast

from sinks.kafka.compression import COMPRESSIONS, Compression
from sinks.kafka.records import Record, varint

__all__ = ["Batch"]

_UP_TO_CRC = Struct(">qiibI")  # base offset, length, leader epoch, magic, CRC
_AFTER_CRC = Struct(">hiqqqhii")  # attributes, last offset, two times, producer, number of records
_CRC_ENDS_AT = _UP_TO_CRC.size
_ROOM = bytes(_UP_TO_CRC.size + _AFTER_CRC.size)
_LENGTH_FROM = 12  # the length counts what comes behind it: base offset and length itself do not
_MAGIC = 2
_NULL = b"\x01"  # the length -1 of what is not there
_NO_PRODUCER = (-1, -1, -1)


class Batch:
    """A batch that takes records until it is full; `crc32c` is the checksum function.

    The methods below `add` are what aiokafka 0.14.0 asks of a batch; `tests/unit/sinks/kafka/test_batch.py` says if
    that changes.
    """

    def __init__(
        self,
        max_bytes: int,
        now_ms: int,
        crc32c: Callable[[bytes | bytearray], int],
        compression: Compression = COMPRESSIONS["none"],
    ) -> None:
        self._max_bytes = max_bytes
        self._now_ms = now_ms
        self._crc32c = crc32c
        self._compression = compression
        self._parts: list[bytes] = []
        self._count = 0
        self._size = len(_ROOM)
        self._producer = _NO_PRODUCER
        self._built: bytearray | None = None

    def add(self, record: Record) -> bool:
        """Add a record, unless that makes the batch larger than allowed; the first one always fits."""
        key, value, headers = record.key, record.value, record.headers
        offset, key_size = varint(self._count), varint(len(key))
        value_size = _NULL if value is None else varint(len(value))
        value = value or b""
        size = 2 + len(offset) + len(key_size) + len(key) + len(value_size) + len(value) + len(headers)
        length = varint(size)
        whole = len(length) + size
        if self._count and self._size + whole > self._max_bytes:
            return False
        self._parts += (length, b"\0\0", offset, key_size, key, value_size, value, headers)
        self._size += whole
        self._count += 1
        return True

    def size(self) -> int:
        """Tell the bytes of the batch, before compression."""
        return self._size

    def record_count(self) -> int:
        """Tell how many records it holds."""
        return self._count

    def closed(self) -> bool:
        """Tell that nothing is added any more, so that it need not linger."""
        return True

    def close(self) -> None:
        """Do nothing: a batch is handed over when it is complete."""

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytearray:
        if self._built is None:
            parts, self._parts = self._compression.squeezed(self._parts), []
            attributes = self._compression.number
            built = bytearray().join((_ROOM, *parts))  # the records are copied once, then the head is filled in
            fields = (attributes, self._count - 1, self._now_ms, self._now_ms, *self._producer, self._count)
            _AFTER_CRC.pack_into(built, _CRC_ENDS_AT, *fields)
            checked = memoryview(built)[_CRC_ENDS_AT:]
            crc = self._crc32c(cast("bytearray", checked))  # it takes any buffer
            _UP_TO_CRC.pack_into(built, 0, 0, len(built) - _LENGTH_FROM, -1, _MAGIC, crc)
            self._built = built
        return self._built
