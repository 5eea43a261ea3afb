"""Batches are what Kafka's protocol guide says, and what aiokafka asks of a batch; its own reader is the judge."""

import inspect

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder, MessageBatch
from aiokafka.record.util import calc_crc32c, decode_varint
from hypothesis import given
from hypothesis import strategies as st

from sinks.kafka.batch import Batch
from sinks.kafka.compression import COMPRESSIONS
from sinks.kafka.records import Record, varint
from tests.unit.sinks.kafka.reading import read

NO_HEADERS = b"\0"


def batch(*records: Record, max_bytes: int = 10**6, compression: str = "none") -> Batch:
    made = Batch(max_bytes, 1_764_000_000_123, calc_crc32c, COMPRESSIONS[compression])
    for each in records:
        assert made.add(each)
    return made


@given(st.integers(0, 2**31 - 1))
def test_a_varint_is_read_back_as_the_number_it_was(number: int) -> None:
    assert decode_varint(bytearray(varint(number)), 0) == (number, len(varint(number)))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@given(pairs=st.lists(st.tuples(st.binary(max_size=300), st.binary(max_size=9000)), min_size=1, max_size=30))
def test_records_are_read_back_as_they_were(pairs: list[tuple[bytes, bytes]], compression: str) -> None:
    """Keys, values, order and time survive, compressed or not, and the checksum is right."""
    made = batch(*(Record("t", key, value, NO_HEADERS) for key, value in pairs), compression=compression)

    reader = read(made)

    found = list(reader)
    assert [(each.key, each.value) for each in found] == pairs
    assert [each.offset for each in found] == list(range(len(pairs)))
    assert {each.timestamp for each in found} == {1_764_000_000_123}
    assert made.record_count() == len(pairs)


@pytest.mark.parametrize("compression", sorted(COMPRESSIONS.keys() - {"none"}))
def test_a_compressed_batch_is_smaller(compression: str) -> None:
    """By the name under which the brokers know it, which stands in the batch."""
    records = [Record("t", b"key", b'{"name": "value"}' * 50, NO_HEADERS) for _ in range(50)]

    compressed, plain = batch(*records, compression=compression), batch(*records)

    assert len(compressed._build()) < len(plain._build()) / 5
    assert read(compressed).compression_type == COMPRESSIONS[compression].number


def test_the_size_is_that_of_the_bytes() -> None:
    made = batch(*(Record("t", b"key", b"v" * size, NO_HEADERS) for size in (0, 63, 64, 5000)))

    assert made.size() == len(made._build())


def test_a_full_batch_takes_no_more_but_any_first_record() -> None:
    large = Record("t", b"k", b"x" * 5000, NO_HEADERS)
    made = batch(large, max_bytes=1000)

    assert not made.add(Record("t", b"k", b"small", NO_HEADERS))
    assert [each.value for each in read(made)] == [large.value]


def test_the_producer_stands_in_the_batch() -> None:
    """What an idempotent producer is recognised by is written when the producer says so, at the last moment."""
    made = batch(Record("t", b"k", b"v", NO_HEADERS))

    made._set_producer_state(7, 3, 41)

    reader = read(made)
    assert (reader.producer_id, reader.producer_epoch, reader.base_sequence) == (7, 3, 41)


def test_a_batch_has_everything_that_aiokafka_asks_of_one() -> None:
    """The methods that aiokafka calls on a builder are there; a new one shows up here first."""
    source = inspect.getsource(MessageBatch)
    called = {word for word in dir(BatchBuilder) if f"_builder.{word}(" in source}

    assert called == {"record_count", "closed", "append", "_set_producer_state", "_build"}
    assert all(callable(getattr(Batch, name)) for name in called - {"append"}), "append is for send(), never used here"
