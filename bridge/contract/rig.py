"""What the checks need: a sink, the broker behind it, messages, and sessions that end whatever the sink does.

A session here is what the pipeline makes of it: enter, deliver, leave, each under a deadline, and after every
`Unavailable` a new session from the first unsettled message on.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar
from unittest import SkipTest

from bridge.contract.broker import LocalBroker
from bridge.errors import Rejected, Unavailable
from bridge.message import RESOURCES_CHANGED, Message, event_id
from bridge.ports import Explanation, Outcome, Shed, Sink, SinkPlugin
from bridge.settings import SinkConfig

__all__ = [
    "BrokenPromise",
    "Received",
    "Rig",
    "Session",
    "deliver_all",
    "eventually",
    "explained",
    "in_session",
    "sample",
]

T = TypeVar("T")

_GRACE_SECONDS = 1.0
_POLL_SECONDS = 0.02
_NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


class BrokenPromise(AssertionError):
    """A sink does not do what the contract says; the text says what, for whoever writes the sink."""


# A notification as the hub might write it: with spaces, and with letters both as they are and escaped.
_BODY = (
    b'{"e":"portos.resources.changed","p":{"n":%b,"i":{"i":%b,"v":%d}} , "text":"\xc5\xa0\xc3\xa1lka \\u010dierna%b"}'
)


@dataclass(frozen=True, slots=True)
class Received:
    """A record as the broker holds it: the CloudEvents attribute `id` and the notification's bytes.

    `topic` is where it lies, for a plugin that explains itself.
    """

    id: str
    body: bytes
    topic: str | None = None


class Rig(ABC):
    """A sink's plugin and settings, the broker they point to, and an independent reader of it.

    A `broker` is given where it is a process of the test, which can be frozen and killed. The seconds are the deadlines
    of the checks; a rig may lengthen them for a slow broker.
    """

    connect_seconds: float = 10
    answer_seconds: float = 10
    close_seconds: float = 5
    read_seconds: float = 10

    def __init__(self, plugin: SinkPlugin[Any], config: SinkConfig, broker: LocalBroker | None = None) -> None:
        self.plugin = plugin
        self.config = config
        self._local_broker = broker

    @abstractmethod
    async def received(self) -> Sequence[Received]:
        """Read everything that the broker holds (or has passed on) since this rig was made, oldest first.

        Order matters only among the messages of one resource and id. The checks call it again until they see what they
        expect or `read_seconds` are over, so it returns what there is and does not wait for more.
        """

    async def freeze(self) -> None:
        """Make the broker keep its connections and say nothing; the rig's own clean-up thaws it."""
        if self._local_broker is None:
            raise SkipTest("this rig cannot freeze its broker: give it a LocalBroker, or override Rig.freeze")
        self._local_broker.freeze()

    async def kill(self) -> None:
        """End the broker at once, without a word to its clients."""
        if self._local_broker is None:
            raise SkipTest("this rig cannot kill its broker: give it a LocalBroker, or override Rig.kill")
        self._local_broker.kill()

    def poison(self) -> Message:
        """Make a message that this broker does not take as it is, such as one that is too large."""
        raise SkipTest("this rig has no message that its broker refuses: override Rig.poison")

    async def reluctant(self) -> Message:
        """Make the broker refuse a message for now, not for good, such as one that its quota has no room for; give it.

        Better still if the broker goes on to take smaller messages meanwhile: then the check is as hard as it can be.
        """
        raise SkipTest("this rig has no message that its broker refuses for now: override Rig.reluctant")


def sample(
    number: int,
    *,
    resource: str | None = "tickets",
    resource_id: str | None = None,
    body: bytes = b"",
    padding: int = 0,
) -> Message:
    """Make the message with this number; by default seven resource ids take turns and the number is the version.

    `padding` makes the body about that many bytes larger.
    """
    identity = f"id-{number % 7}" if resource_id is None else resource_id
    return Message(
        id=event_id("contract", resource, identity, number, "updated"),
        event=RESOURCES_CHANGED,
        resource=resource,
        resource_id=identity,
        version=number,
        action="updated",
        created_at=_NOW + number / 1000,
        expires_at=None,
        received_at=_NOW + number / 1000 + 0.001,
        body=body or _BODY % (json.dumps(resource).encode(), json.dumps(identity).encode(), number, b"x" * padding),
    )


class Session:
    """One connection of the sink: `deliver` under its deadline, and checked to be one outcome a message."""

    def __init__(self, rig: Rig, sink: Sink) -> None:
        self._rig = rig
        self._sink = sink

    async def deliver(self, batch: Sequence[Message]) -> list[Outcome]:
        """Hand a batch over; a raised `Unavailable` stands for every message, as in the pipeline."""
        try:
            async with asyncio.timeout(self._rig.answer_seconds):
                outcomes = await self._sink.deliver(batch)
        except Unavailable as error:
            return [error] * len(batch)
        except TimeoutError:
            raise BrokenPromise(f"deliver() did not return within {self._rig.answer_seconds} s") from None
        if len(outcomes) != len(batch):
            raise BrokenPromise(f"deliver() returned {len(outcomes)} outcomes for {len(batch)} messages")
        for outcome in outcomes:
            if not (outcome is None or isinstance(outcome, Rejected | Unavailable | Shed)):
                raise BrokenPromise(f"{outcome!r} is no outcome: give None, Shed, Rejected or Unavailable")
        return list(outcomes)

    async def abandon(self, batch: Sequence[Message], seconds: float) -> list[Outcome]:
        """Hand a batch over and give it up after some seconds, as the pipeline does when its own deadline is over."""
        try:
            async with asyncio.timeout(seconds):
                return list(await self._sink.deliver(batch))
        except TimeoutError:
            raise Unavailable(f"given up after {seconds} s", reason="timeout") from None


async def _within(seconds: float, what: str, work: Coroutine[Any, Any, T]) -> T:
    """Run some work in a task of its own and give up on it after some seconds, even if it ignores being cancelled."""
    task = asyncio.create_task(work, name=f"contract: {what}")
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=_GRACE_SECONDS)
        raise BrokenPromise(f"{what} did not end within {seconds} s")
    return task.result()


async def in_session(rig: Rig, body: Callable[[Session], Awaitable[T]]) -> T | None:
    """Open a connection, use it and close it in one task, as the pipeline does, each step under its deadline.

    An `Unavailable` of the body passes through the connection and ends here; the result is None then.
    """

    async def session() -> T | None:
        try:
            async with _connection(rig) as sink:
                return await body(Session(rig, sink))
        except Unavailable:
            return None

    longest = rig.connect_seconds + rig.close_seconds + 4 * rig.answer_seconds
    return await _within(longest, "a session (connect, deliver, close)", session())


@asynccontextmanager
async def _connection(rig: Rig) -> AsyncIterator[Sink]:
    """Enter and leave a connection, each under its deadline; what the body raises reaches the connection's exit."""
    connection = AsyncExitStack()
    try:
        async with asyncio.timeout(rig.connect_seconds):
            sink = await connection.enter_async_context(rig.plugin.connect(rig.config))
    except TimeoutError:
        raise BrokenPromise(f"connect() was not ready within {rig.connect_seconds} s") from None
    except Unavailable as error:
        raise BrokenPromise(f"connect() did not reach the rig's broker: {error}") from error

    async def leave(
        kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            async with asyncio.timeout(rig.close_seconds):
                return await connection.__aexit__(kind, error, trace)
        except TimeoutError:
            raise BrokenPromise(f"closing did not end within {rig.close_seconds} s") from None

    async with AsyncExitStack() as guarded:
        guarded.push_async_exit(leave)
        yield sink


async def deliver_all(rig: Rig, messages: Sequence[Message], *, sessions: int = 40) -> list[Outcome]:
    """Do what the pipeline does: batches up to the window, and a new session at the first unsettled message.

    Gives the final outcome of each message, None, `Shed` or `Rejected`.
    """
    settled: list[Outcome] = []

    async def until_unavailable(session: Session) -> None:
        while len(settled) < len(messages):
            batch = messages[len(settled) : len(settled) + rig.config.window_events]
            outcomes = await session.deliver(batch)
            prefix = next((at for at, each in enumerate(outcomes) if isinstance(each, Unavailable)), len(outcomes))
            settled.extend(outcomes[:prefix])
            if prefix < len(outcomes):
                return

    for _ in range(sessions):
        if len(settled) == len(messages):
            return settled
        await in_session(rig, until_unavailable)
    if len(settled) < len(messages):
        raise BrokenPromise(f"{len(settled)} of {len(messages)} messages are settled after {sessions} sessions")
    return settled


def explained(rig: Rig, message: Message) -> Explanation | Rejected:
    """Ask the plugin what it makes of a message; twice, since that has to be pure."""
    if rig.plugin.explain is None:
        raise SkipTest("this plugin does not explain itself: give SinkPlugin an `explain`")
    said: list[Explanation | Rejected] = []
    for _ in range(2):
        try:
            said.append(rig.plugin.explain(rig.config, message))
        except Rejected as refusal:
            said.append(refusal)
    first, second = said
    if type(first) is not type(second) or (isinstance(first, Explanation) and first != second):
        raise BrokenPromise(f"explain() is not pure: it said {first!r}, then {second!r}")
    return first


async def eventually(rig: Rig, holds: Callable[[Sequence[Received]], bool]) -> Sequence[Received]:
    """Read the broker until a condition holds or the rig's reading time is over; give what was read last."""
    deadline = asyncio.get_running_loop().time() + rig.read_seconds
    while True:
        records = await _within(rig.read_seconds, "reading the broker", rig.received())
        if holds(records) or asyncio.get_running_loop().time() > deadline:
            return records
        await asyncio.sleep(_POLL_SECONDS)
