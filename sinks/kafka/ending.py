"""How a producer ends, in whatever state it is: nothing of it waits, and nothing is left.

`AIOKafkaProducer.stop()` sends what is left and waits for its brokers, which may be gone for good. Private names of
aiokafka 0.14.0; `tests/unit/sinks/kafka/test_plugin.py` says if they change. Used by `sinks.kafka.sink`.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any

from aiokafka.errors import KafkaError, ProducerClosed

__all__ = ["abandon", "close_first_connection", "fail_all", "watched"]

_CLOSE_SECONDS = 2.0
_CLOSE_ATTEMPTS = 10
_endings: set[asyncio.Task[None]] = set()


def close_first_connection(cancelled: BaseException) -> None:
    """Close the connection that asks for the cluster's brokers: a cancelled start (0.14.0) forgets it."""
    trace = cancelled.__traceback__
    while trace is not None:
        connection = trace.tb_frame.f_locals.get("bootstrap_conn")
        if connection is not None:
            connection.close()
        trace = trace.tb_next


def fail_all(accumulator: Any, error: KafkaError) -> None:
    """Have everything fail that a producer has taken and not delivered.

    aiokafka puts the error in futures too that nobody waits for, and that would complain of it at their end.
    """
    accumulator.fail_all(error)
    for batch in (*chain.from_iterable(accumulator._batches.values()), *accumulator._pending_batches):  # noqa: SLF001 - see above
        if batch._drain_waiter.done():  # noqa: SLF001 - see above
            batch._drain_waiter.exception()  # noqa: SLF001 - see above


@contextmanager
def watched(sender: asyncio.Task[Any], accumulator: Any) -> Iterator[None]:
    """Have everything on its way fail as soon as the task that sends it has ended.

    aiokafka does that for a sender that failed; one that was cancelled just returns, and its answers never come.
    """

    def give_up(ended: asyncio.Task[Any]) -> None:
        if ended.cancelled() or ended.exception() is None:
            fail_all(accumulator, ProducerClosed("the task that sends has ended"))

    sender.add_done_callback(give_up)
    try:
        yield
    finally:
        sender.remove_done_callback(give_up)


async def abandon(producer: Any) -> None:
    """Close a producer without waiting for its brokers, whatever state it is in; to the end, also when cancelled.

    `AIOKafkaProducer.stop()` of an idempotent producer never returns when its brokers are gone (aiokafka#1101), and
    cancelling it leaves tasks. Nothing is lost by not flushing: what was not confirmed is handed over again anyway.
    """
    ending = asyncio.ensure_future(_end(producer))
    _endings.add(ending)  # else nothing but the loop would know it, which may forget it
    ending.add_done_callback(_endings.discard)
    await asyncio.shield(ending)


async def _end(producer: Any) -> None:
    producer._closed = True  # noqa: SLF001 - see above; else its finalizer complains
    for connection in producer.client._conns.values():  # noqa: SLF001 - see above
        if connection._writer is not None:  # noqa: SLF001 - see above
            connection._writer.transport.abort()  # noqa: SLF001 - a close would wait for a silent broker to read on
    for _ in range(_CLOSE_ATTEMPTS):
        tasks = _tasks_of(producer._sender)  # noqa: SLF001 - see above
        if not tasks:
            break
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_CLOSE_SECONDS / _CLOSE_ATTEMPTS)
    with suppress(TimeoutError):  # there is no more that could be done, and the sockets are gone already
        async with asyncio.timeout(_CLOSE_SECONDS):
            await producer.client.close()
    await asyncio.sleep(0)  # the connections' readers are cancelled and end now


def _tasks_of(sender: Any) -> list[asyncio.Task[Any]]:
    """Find the tasks that run a method of the sender; it keeps a reference to one of them only."""
    tasks = []
    for task in asyncio.all_tasks():
        frame = getattr(task.get_coro(), "cr_frame", None)
        if frame is not None and frame.f_locals.get("self") is sender:
            tasks.append(task)
    return tasks
