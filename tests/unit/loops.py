"""What the tests of the loops share: a link with short pauses, a link kept going beside a test, a metric's value."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.deadline import Deadline
from bridge.link import Gauges, Link, Times
from bridge.metrics import Catalogue
from bridge.pipeline import keep
from bridge.policy import Pauses

TIMES = Times(1.0, 0.2, 30.0, Pauses(0.001, 0.002, 0.01))


def link(name: str = "sink kafka", held: Callable[[bool], None] = lambda _: None) -> Link:
    return Link(name, TIMES, Gauges(lambda _: None, lambda _: None, lambda _: None, held))


@asynccontextmanager
async def kept(
    state: Link, connect: Callable[[], Any], use: Callable[[Any, Deadline], Awaitable[object]]
) -> AsyncIterator[Link]:
    """Keep a link going beside the test, and end it as the service does."""
    task = asyncio.create_task(keep(state, connect, use))
    try:
        yield state
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def value(catalogue: Catalogue, name: str, **labels: str) -> float:
    return catalogue.registry.get_sample_value(f"portos_bridge_{name}", labels) or 0.0
