"""Two brokers that do what brokers do: refuse, hang, answer late or not at all, and take a part of what they are given.

One follows Kafka's rules: each partition takes its part of a batch in order up to the first that it does not take, and
may take more of it after the connection is given up. The other follows MQTT's: one line, each message with an answer
of its own. What they hold is the truth that the bridge is judged by.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from random import Random

from bridge.errors import Rejected, Unavailable
from bridge.message import Message
from bridge.ports import Outcome

__all__ = ["Broker", "KafkaLike", "MqttLike"]

TRIES = 3
"""How often a message is handed over that its broker refuses without saying why."""


class Broker:
    """See the module. `trouble` is how probable it is that a connection or a batch goes wrong."""

    def __init__(self, name: str, dice: Random, answer_seconds: float) -> None:
        self.name = name
        self.dice = dice
        self.log: list[Message] = []
        self.connections = 0
        self.trouble = 0.0
        self.down_until = 0.0
        self.life = 0
        self._answer_seconds = answer_seconds
        self._loop = asyncio.get_running_loop()

    def killed(self) -> None:
        """Hear no more of the life of the bridge that has ended; what it sent may still arrive."""
        self.life += 1

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["Connection"]:
        """Be the plugin's `connect`."""
        await asyncio.sleep(0.005)
        if self._loop.time() < self.down_until:
            raise Unavailable("nobody listens", reason="refused")
        if self._hit(2):
            await self._mischief(self.dice.choice(("refuse", "hang", "hold", "bug")))
        self.connections += 1
        connection = Connection(self, self.life)
        try:
            yield connection
        finally:
            if self._hit(4) and connection.life == self.life:
                await self._mischief(self.dice.choice(("hang", "bug")))

    async def _mischief(self, kind: str) -> None:
        match kind:
            case "refuse":
                raise Unavailable("go away", reason="refused")
            case "hold":
                raise Unavailable("no right", reason="unauthorized", hold=True)
            case "bug":
                raise AssertionError("a library's bug")
            case "hang":
                await asyncio.sleep(3 * self._answer_seconds)

    def _hit(self, share: int = 1) -> bool:
        return self.dice.random() * share < self.trouble

    def lanes(self, batch: Sequence[Message]) -> list[list[int]]:
        """Sort the places of a batch by what is kept in order."""
        raise NotImplementedError

    async def deliver(self, connection: "Connection", batch: Sequence[Message]) -> Sequence[Outcome]:
        """Take what is to be taken, and answer what is to be answered."""
        await asyncio.sleep(self.dice.uniform(0.0005, 0.01))
        if connection.life != self.life or self._loop.time() < self.down_until:
            raise Unavailable("the connection is gone", reason="network")
        if not batch:
            if self._hit():
                raise Unavailable("the connection was gone", reason="network")
            return []
        outcomes: list[Outcome] = [Unavailable("not confirmed", reason="timeout")] * len(batch)
        trouble = self._hit()
        for lane in self.lanes(batch):
            self._take(batch, lane, trouble, outcomes)
        if trouble:
            return await self._answer_badly(outcomes)
        return outcomes

    def _take(self, batch: Sequence[Message], lane: list[int], trouble: bool, outcomes: list[Outcome]) -> None:  # noqa: FBT001
        """Take a part of a lane, and answer a part of that."""
        taken = self.dice.randint(0, len(lane)) if trouble else len(lane)
        answered = self.dice.randint(0, taken) if trouble else taken
        for count, place in enumerate(lane[:taken]):
            refusal = self.refusal(batch[place])
            if refusal is None:
                self.log.append(batch[place])
            if count < answered:
                outcomes[place] = refusal
            if refusal is not None and self.ends_with(refusal):
                return
        self.lost([batch[place] for place in lane[taken:] if self.refusal(batch[place]) is None])

    def lost(self, untaken: Sequence[Message]) -> None:
        """Hear what the connection has sent and the broker has not taken."""

    def refusal(self, message: Message) -> Rejected | Unavailable | None:
        """Say what is wrong with a message for this broker: nothing mostly."""
        if self.name.encode() not in message.body:
            return None
        if b"poison" in message.body:
            return Rejected("too large", reason="too_large")
        return Unavailable("0x80", reason="refused", bury_after=TRIES)

    def ends_with(self, refusal: Rejected | Unavailable) -> bool:
        """Whether a connection takes nothing more in a lane after it has refused something."""
        raise NotImplementedError

    async def _answer_badly(self, outcomes: list[Outcome]) -> Sequence[Outcome]:
        match self.dice.choice(("partial", "partial", "partial", "raise", "hang", "late", "bug", "few", "stubborn")):
            case "raise":
                raise Unavailable("broken pipe", reason="network")
            case "hang":
                await asyncio.sleep(10 * self._answer_seconds)
            case "late":
                await asyncio.sleep(self.dice.uniform(0, 2 * self._answer_seconds))
            case "bug":
                raise AssertionError("a library's bug")
            case "few":
                return outcomes[:-1]
            case "stubborn":  # cancelled or not, it comes back when it likes
                until = self._loop.time() + self.dice.uniform(0, 6 * self._answer_seconds)
                while (left := until - self._loop.time()) > 0:
                    with suppress(asyncio.CancelledError):
                        await asyncio.sleep(left)
        return outcomes


class Connection:
    """One connection, in one life of the bridge: the sink."""

    def __init__(self, broker: Broker, life: int) -> None:
        self._broker = broker
        self.life = life

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Be the sink."""
        return await self._broker.deliver(self, batch)


class KafkaLike(Broker):
    """See the module."""

    def lanes(self, batch: Sequence[Message]) -> list[list[int]]:
        """Keep each key in order."""
        lanes: dict[int, list[int]] = {}
        for place, message in enumerate(batch):
            lanes.setdefault(sum((message.resource_id or "").encode()) % 3, []).append(place)
        return list(lanes.values())

    def ends_with(self, refusal: Rejected | Unavailable) -> bool:
        """A producer that met an error is of no more use, but for what it rejects itself."""
        return isinstance(refusal, Unavailable) or self.dice.random() < 0.5

    def lost(self, untaken: Sequence[Message]) -> None:
        """Take some of what a lost connection has sent, later."""
        if self.dice.random() < 0.3:
            late = untaken[: self.dice.randint(0, len(untaken))]
            self._loop.call_later(self.dice.uniform(0, 3), self.log.extend, late)


class MqttLike(Broker):
    """See the module."""

    def lanes(self, batch: Sequence[Message]) -> list[list[int]]:
        """Keep all in order."""
        return [list(range(len(batch)))]

    def ends_with(self, _: Rejected | Unavailable) -> bool:
        """Each message has an answer of its own, and those behind it are taken all the same."""
        return False
