"""A producer is closed to the end, whoever gives up waiting for that."""

import asyncio
from types import SimpleNamespace

import pytest

from sinks.kafka.ending import abandon
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
