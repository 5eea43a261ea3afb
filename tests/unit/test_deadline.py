"""Deadlines hold over libraries that behave, and over those that do not."""

import asyncio
import contextlib
import time

import pytest

from bridge import deadline as module
from bridge.deadline import Deadline
from bridge.errors import Unavailable


async def ignore_cancellation(seconds: float) -> None:
    """What a client library does that swallows every cancellation."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(until - time.monotonic())


async def test_what_is_in_time_is_left_alone() -> None:
    deadline = Deadline()

    async def work() -> int:
        with deadline.within(5, "working"):
            await asyncio.sleep(0)
            return 7

    task = asyncio.create_task(work())

    assert await deadline.supervise(task) == ""
    assert task.result() == 7


async def test_what_is_late_becomes_unavailable_and_the_task_goes_on() -> None:
    deadline = Deadline()

    async def work() -> str:
        try:
            with deadline.within(0.01, "asking"):
                await asyncio.sleep(60)
        except Unavailable as error:
            await asyncio.sleep(0)  # no cancellation is left over
            return f"{error.reason}: {error}"
        return "not late"

    task = asyncio.create_task(work())

    assert await deadline.supervise(task) == ""
    assert task.result() == "timeout: asking took longer than 0.01 s"


async def test_a_library_that_swallows_its_cancellation_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_INSIST_SECONDS", 0.02)
    deadline = Deadline()

    async def work() -> None:
        with deadline.within(0.01, "closing"):
            await ignore_cancellation(0.6)

    task = asyncio.create_task(work())
    started = time.monotonic()

    assert await deadline.supervise(task) == "closing"
    assert time.monotonic() - started < 0.4
    assert not task.done()
    with contextlib.suppress(asyncio.CancelledError, Unavailable):
        await task


async def test_a_task_that_comes_back_after_it_was_left_behind_does_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has a successor by then."""
    monkeypatch.setattr(module, "_INSIST_SECONDS", 0.02)
    deadline = Deadline()
    acted = False

    async def work() -> None:
        nonlocal acted
        with deadline.within(0.01, "delivering"):
            await ignore_cancellation(0.3)
        acted = True

    task = asyncio.create_task(work())
    assert await deadline.supervise(task) == "delivering"

    with pytest.raises(asyncio.CancelledError):
        await task
    assert not acted


async def test_a_cancellation_that_a_library_swallows_holds_all_the_same() -> None:
    deadline = Deadline()
    rounds = 0

    async def work() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            with deadline.within(5, "delivering"), contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    task = asyncio.create_task(work())
    supervisor = asyncio.create_task(deadline.supervise(task))
    await asyncio.sleep(0.01)

    supervisor.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(supervisor, 2)
    assert task.cancelled()
    assert rounds == 1


async def test_an_answer_that_came_late_leaves_no_cancellation_behind() -> None:
    """What a library confirms in spite of its cancellation is believed, and the next deadline starts afresh."""
    deadline = Deadline()

    async def work() -> str:
        with deadline.within(0.01, "delivering"), contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        try:
            with deadline.within(0.01, "delivering again"):
                await asyncio.sleep(60)
        except Unavailable as error:
            return str(error)
        return "in time"

    task = asyncio.create_task(work())

    assert await deadline.supervise(task) == ""
    assert task.result() == "delivering again took longer than 0.01 s"


async def test_a_cancellation_from_outside_is_no_lateness() -> None:
    deadline = Deadline()
    seen: list[str] = []

    async def work() -> None:
        try:
            with deadline.within(5, "asking"):
                await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = asyncio.create_task(work())
    supervisor = asyncio.create_task(deadline.supervise(task))
    await asyncio.sleep(0.01)

    supervisor.cancel()

    with pytest.raises(asyncio.CancelledError):
        await supervisor
    assert seen == ["cancelled"]
    assert task.cancelled()


async def test_stopping_does_not_wait_for_a_library_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_INSIST_SECONDS", 0.02)
    deadline = Deadline()
    task = asyncio.create_task(ignore_cancellation(0.6))
    supervisor = asyncio.create_task(deadline.supervise(task))
    await asyncio.sleep(0.01)
    started = time.monotonic()

    supervisor.cancel()

    with pytest.raises(asyncio.CancelledError):
        await supervisor
    assert time.monotonic() - started < 0.4
    await task


def test_the_program_ends_without_what_was_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an orderly stop the process is gone, whatever hangs."""
    monkeypatch.setattr(module, "_INSIST_SECONDS", 0.02)
    started = time.monotonic()

    async def program() -> None:
        deadline = Deadline()
        task = asyncio.create_task(ignore_cancellation(5))
        supervisor = asyncio.create_task(deadline.supervise(task))
        await asyncio.sleep(0.01)
        supervisor.cancel()
        await asyncio.wait([supervisor])

    asyncio.run(program())

    assert time.monotonic() - started < 2
