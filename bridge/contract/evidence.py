"""What the checks ask of outcomes, of what the broker holds, and of what a sink leaves behind."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from bridge.contract.rig import BrokenPromise, Received, Rig, eventually
from bridge.message import Message
from bridge.ports import Outcome, Shed
from bridge.reference import reference

__all__ = [
    "all_confirmed",
    "bodiless",
    "confirmed_arrived",
    "holding",
    "is_confirmed",
    "no_task_left",
    "nothing_missing",
    "ordered",
]


async def no_task_left(before: set[asyncio.Task[Any]]) -> None:
    """Wait a little until every task that was not there before is gone."""
    ours = asyncio.current_task()
    for _ in range(20):
        left = {task for task in asyncio.all_tasks() if task not in before and task is not ours}
        if not left:
            return
        await asyncio.sleep(0.02)
    names = sorted(task.get_name() + " " + getattr(task.get_coro(), "__qualname__", "") for task in left)
    raise BrokenPromise(f"tasks are left after closing: {', '.join(names)}")


async def confirmed_arrived(rig: Rig, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> Sequence[Received]:
    """Check that what was confirmed is at the broker, and give what the broker holds."""
    confirmed = [message for message, outcome in zip(messages, outcomes, strict=True) if is_confirmed(outcome)]
    records = await eventually(rig, holding(confirmed))
    nothing_missing(confirmed, records)
    return records


def is_confirmed(outcome: Outcome) -> bool:
    """Say whether the broker has a message, whole or without its body."""
    return outcome is None or isinstance(outcome, Shed)


def all_confirmed(outcomes: Sequence[Outcome]) -> None:
    """Check that no outcome is anything but a confirmation of the whole message."""
    for at, outcome in enumerate(outcomes):
        if outcome is not None:
            raise BrokenPromise(f"message {at} of {len(outcomes)} is not confirmed: {outcome!r}")


def bodiless(message: Message, records: Sequence[Received]) -> None:
    """Check that a message is at the broker as `bridge.reference` has it, each time it is there."""
    for record in records:
        if record.id == message.id and record.body != reference(message):
            raise BrokenPromise(f"the message that was Shed is at the broker as {record.body[:200]!r}")


def holding(messages: Sequence[Message]) -> Callable[[Sequence[Received]], bool]:
    """Give the condition that all these messages are at the broker."""
    wanted = {message.id for message in messages}
    return lambda records: wanted <= {record.id for record in records}


def nothing_missing(messages: Sequence[Message], records: Sequence[Received]) -> None:
    """Check that all these messages are at the broker."""
    held = {record.id for record in records}
    missing = [message.id for message in messages if message.id not in held]
    if missing:
        raise BrokenPromise(
            f"{len(missing)} of {len(messages)} confirmed messages are not at the broker: {missing[:3]}"
        )


def ordered(messages: Sequence[Message], records: Sequence[Received]) -> None:
    """Check that first arrivals keep the given order in each resource and id; repeats may come behind."""
    place = {message.id: (message.resource, message.resource_id, at) for at, message in enumerate(messages)}
    seen: set[str] = set()
    last: dict[tuple[str | None, str | None], int] = {}
    for record in records:
        if record.id not in place or record.id in seen:
            continue
        seen.add(record.id)
        resource, resource_id, at = place[record.id]
        if at < last.get((resource, resource_id), -1):
            raise BrokenPromise(f"message {at} of {resource!r} {resource_id!r} arrived after a later one")
        last[resource, resource_id] = at
