"""A producer is closed to the end, whoever gives up waiting for that."""

import asyncio
import gc
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from sinks.kafka.ending import abandon, fail_all
from tests.support import until


async def test_a_producer_is_closed_to_the_end_though_nobody_waits_for_it() -> None:
    """A deadline that passes while it closes left its client's task and connection behind."""
    closed: list[str] = []

    async def close() -> None:
        await asyncio.sleep(0.05)
        closed.append("client")

    producer = SimpleNamespace(client=SimpleNamespace(_conns={}, close=close), _sender=object())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await abandon(producer)
    assert closed == []

    await until(lambda: closed == ["client"], 5, "closed")


async def test_what_fails_leaves_no_error_that_nobody_has_seen() -> None:
    """aiokafka puts it in futures, too, for which nobody waits; they would fill the log when they go."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    producer: Any = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1")
    producer._closed = True
    accumulator, batch = producer._message_accumulator, producer.create_batch()
    batch.append(key=None, value=b"x", timestamp=None)
    answer = await accumulator.add_batch(batch, TopicPartition("t", 0), 1)

    fail_all(accumulator, KafkaConnectionError("gone"))

    with pytest.raises(KafkaConnectionError):
        await answer
    del producer, accumulator, answer
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
