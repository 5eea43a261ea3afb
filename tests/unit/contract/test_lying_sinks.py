"""The contract suite finds out every sink that lies, and lets an honest one pass."""

import asyncio
import inspect
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from unittest import SkipTest

import msgspec
import pytest

from bridge.contract import BrokenPromise, Received, Rig, SinkContract, check, deliver_all, sample
from bridge.errors import Rejected, TooLarge, Unavailable
from bridge.message import Message
from bridge.ports import Explanation, Outcome, Shed, Sink, SinkPlugin
from bridge.reference import without_body
from bridge.settings import SinkConfig

CHECKS = {name: getattr(check, name) for name in check.__all__}
POISON = b"poison" * 100
RELUCTANT = b"no room"


class HonestSink:
    """Keeps what it is given in a list, the broker of these tests, and says so."""

    def __init__(self, broker: "FakeBroker") -> None:
        self.broker = broker

    @staticmethod
    def explain(_: SinkConfig, message: Message) -> Explanation:
        return Explanation(f"t/{message.resource}", message.body)

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        for message in batch:
            if message.body == RELUCTANT:
                return [*outcomes, *[Unavailable("no room", reason="refused")] * (len(batch) - len(outcomes))]
            if self.broker.frozen:
                await asyncio.Event().wait()
            if self.broker.dead:
                raise Unavailable("gone", reason="network")
            await asyncio.sleep(0)
            if message.body == POISON:
                outcomes.append(Rejected("poison", reason="refused"))
            else:
                self.broker.records.append(Received(message.id, message.body, f"t/{message.resource}"))
                outcomes.append(None)
        return outcomes


class FakeBroker:
    """A broker that can be frozen and killed."""

    def __init__(self) -> None:
        self.records: list[Received] = []
        self.frozen = False
        self.dead = False


class FakeRig(Rig):
    """A rig on a fake broker, with short deadlines, for any kind of sink."""

    connect_seconds = 0.5
    answer_seconds = 2.0
    close_seconds = 0.3
    read_seconds = 0.3

    def __init__(self, kind: type[HonestSink]) -> None:
        self.broker = FakeBroker()

        @asynccontextmanager
        async def connect(_: SinkConfig) -> AsyncIterator[Sink]:
            sink = kind(self.broker)
            yield sink
            if isinstance(sink, NeverCloses):
                await asyncio.Event().wait()

        super().__init__(SinkPlugin(SinkConfig, connect, kind.explain), SinkConfig(window_events=30))

    async def received(self) -> Sequence[Received]:
        return list(self.broker.records)

    async def freeze(self) -> None:
        self.broker.frozen = True

    async def kill(self) -> None:
        self.broker.dead = True

    def poison(self) -> Message:
        return sample(-1, body=POISON)

    async def reluctant(self) -> Message:
        return sample(-2, body=RELUCTANT)


class SheddingSink(HonestSink):
    """Knows what is too large for its broker, and sends that without its body."""

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        outcomes = await super().deliver([self.fitted(message) for message in batch])
        return [
            Shed("too many bytes") if outcome is None and message.body == POISON else outcome
            for message, outcome in zip(batch, outcomes, strict=True)
        ]

    def fitted(self, message: Message) -> Message:
        return (message.body == POISON and without_body(message)) or message


class NarrowSink(HonestSink):
    """Learns from its broker's answer what is too large, and is of no more use behind it."""

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        poison = next((at for at, message in enumerate(batch) if message.body == POISON), None)
        if poison is None:
            return await super().deliver(batch)
        behind = batch[poison + 1 :]
        return [*await super().deliver(batch[:poison]), TooLarge("too many bytes"), *await self.go_on(behind)]

    async def go_on(self, behind: Sequence[Message]) -> Sequence[Outcome]:
        return [Unavailable("it goes again", reason="too_large")] * len(behind)


class ConfirmsNothing(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        await super().deliver(batch)
        return [Unavailable("who knows", reason="network")] * len(batch)


class ConfirmsTooMuch(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        await super().deliver(batch[:-1])
        return [None] * len(batch)


class ConfirmsBeforeTheBroker(HonestSink):
    """Hands over in the background and confirms at once."""

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        if not (self.broker.frozen or self.broker.dead):
            return await super().deliver(batch)
        return [None] * len(batch)


class NeverReturns(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        await asyncio.Event().wait()
        return await super().deliver(batch)


class NeverCloses(HonestSink):
    pass


class TooFewOutcomes(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        return [None for outcome in await super().deliver(batch)][:-1]


class TooManyOutcomes(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        return [*await super().deliver(batch), None]


class TrueForDone(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        return [True] * len(await super().deliver(batch))  # type: ignore[list-item]


class SwapsOutcomes(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        return list(reversed(await super().deliver(batch)))


class Reorders(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        return await super().deliver(list(reversed(batch)))


class Repeats(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        await super().deliver(batch)
        return await super().deliver(batch)


class Invents(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        self.broker.records.append(Received("hello", b"{}"))
        return await super().deliver(batch)


class TidiesBodies(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        outcomes = await super().deliver(batch)
        self.broker.records[:] = [Received(each.id, each.body.strip()) for each in self.broker.records]
        return outcomes


class DropsTheBatchForOne(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        if any(message.body == POISON for message in batch):
            return [Rejected("poison", reason="refused")] * len(batch)
        return await super().deliver(batch)


class ShedsAllOfIt(SheddingSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        await HonestSink.deliver(self, [message for message in batch if message.body != POISON])
        return [Shed("too many bytes") if message.body == POISON else None for message in batch]


class ShedsButSendsItWhole(SheddingSink):
    def fitted(self, message: Message) -> Message:
        return message if message.body != POISON else msgspec.structs.replace(message, body=POISON[:-1])


class GoesOnBehindWhatIsTooLarge(NarrowSink):
    async def go_on(self, behind: Sequence[Message]) -> Sequence[Outcome]:
        return await self.deliver(behind)


class RejectsHostileNeighbours(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        if any(message.resource == "#" for message in batch):
            return [Rejected("wildcard", reason="name")] * len(batch)
        return await super().deliver(batch)


class DeliversWhatItRejects(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        outcomes = await super().deliver(batch)
        return [
            Rejected("wildcard", reason="name") if message.resource == "#" else outcome
            for message, outcome in zip(batch, outcomes, strict=True)
        ]


class GoesOnBehindARefusal(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        return [outcome for message in batch for outcome in await super(GoesOnBehindARefusal, self).deliver([message])]


class BuriesWhatIsRefusedForNow(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        outcomes = await super().deliver(batch)
        return [Rejected("no room", reason="refused") if isinstance(each, Unavailable) else each for each in outcomes]


class ChokesOnNothing(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        return [*await super().deliver(batch), *([None] if not batch else [])]


class LeavesATask(HonestSink):
    def __init__(self, broker: FakeBroker) -> None:
        super().__init__(broker)
        self.task = asyncio.create_task(asyncio.sleep(5))


class ForgetsOnReconnect(HonestSink):
    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        if self.broker.records and self.broker.records[-1].id == sample(29).id:
            return [None] * len(batch)
        return await super().deliver(batch)


class ExplainsAnotherPlace(HonestSink):
    @staticmethod
    def explain(_: SinkConfig, message: Message) -> Explanation:
        return Explanation(f"t/{message.resource}".replace("#", "+"), message.body)


class ExplainsARefusal(HonestSink):
    @staticmethod
    def explain(config: SinkConfig, message: Message) -> Explanation:
        if message.resource == "#":
            raise Rejected("wildcard", reason="name")
        return HonestSink.explain(config, message)


class ExplainsByChance(HonestSink):
    calls = itertools.count()

    @staticmethod
    def explain(_: SinkConfig, message: Message) -> Explanation:
        return Explanation(f"t/{message.resource}", str(next(ExplainsByChance.calls)).encode())


LIARS: list[tuple[type[HonestSink], str]] = [
    (ConfirmsNothing, "one_outcome_a_message"),
    (ConfirmsTooMuch, "everything_confirmed_is_at_the_broker"),
    (ConfirmsBeforeTheBroker, "closing_on_a_frozen_broker_ends"),
    (ConfirmsBeforeTheBroker, "closing_on_a_dead_broker_ends"),
    (NeverReturns, "one_outcome_a_message"),
    (NeverCloses, "being_cancelled_leaves_a_sink_that_closes"),
    (TooFewOutcomes, "one_outcome_a_message"),
    (TooManyOutcomes, "one_outcome_a_message"),
    (TrueForDone, "one_outcome_a_message"),
    (SwapsOutcomes, "a_poison_message_costs_no_neighbour"),
    (Reorders, "the_order_within_a_resource_is_kept"),
    (Repeats, "everything_confirmed_is_at_the_broker"),
    (Invents, "everything_confirmed_is_at_the_broker"),
    (TidiesBodies, "bodies_arrive_byte_for_byte"),
    (DropsTheBatchForOne, "a_poison_message_costs_no_neighbour"),
    (ShedsAllOfIt, "a_poison_message_costs_no_neighbour"),
    (ShedsButSendsItWhole, "a_poison_message_costs_no_neighbour"),
    (GoesOnBehindWhatIsTooLarge, "nothing_is_confirmed_behind_what_is_too_large"),
    (RejectsHostileNeighbours, "hostile_names_cost_no_neighbour"),
    (DeliversWhatItRejects, "nothing_rejected_is_at_the_broker"),
    (GoesOnBehindARefusal, "nothing_overtakes_what_is_refused_for_now"),
    (BuriesWhatIsRefusedForNow, "nothing_overtakes_what_is_refused_for_now"),
    (ChokesOnNothing, "an_empty_batch_is_nothing"),
    (ForgetsOnReconnect, "a_second_session_continues"),
    (ExplainsAnotherPlace, "an_explanation_agrees_with_the_delivery"),
    (ExplainsARefusal, "an_explanation_agrees_with_the_delivery"),
    (ExplainsByChance, "an_explanation_agrees_with_the_delivery"),
    (LeavesATask, "being_cancelled_leaves_a_sink_that_closes"),
]


class TestHonestSink(SinkContract):
    """An honest sink passes the whole suite."""

    @pytest.fixture
    def rig(self) -> FakeRig:
        return FakeRig(HonestSink)


class TestSheddingSink(SinkContract):
    """So does one that sends what is too large without its body."""

    @pytest.fixture
    def rig(self) -> FakeRig:
        return FakeRig(SheddingSink)


class TestNarrowSink(SinkContract):
    """And one that leaves it to the bridge to shorten that."""

    @pytest.fixture
    def rig(self) -> FakeRig:
        return FakeRig(NarrowSink)


@pytest.mark.parametrize(("liar", "promise"), LIARS, ids=lambda value: getattr(value, "__name__", value))
async def test_a_lie_is_found_out(liar: type[HonestSink], promise: str) -> None:
    """Each lie breaks the promise that it concerns."""
    rig = FakeRig(liar)
    rig.answer_seconds = 0.3

    with pytest.raises(BrokenPromise):
        await CHECKS[promise](rig)

    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


@pytest.mark.parametrize("promise", CHECKS)
async def test_no_check_passes_a_sink_that_never_returns(promise: str) -> None:
    """A sink that hangs for ever fails every check, and no check hangs with it."""
    rig = FakeRig(NeverReturns)
    rig.answer_seconds = 0.2

    with pytest.raises(BrokenPromise):
        async with asyncio.timeout(20):
            await CHECKS[promise](rig)


async def test_a_sink_that_ignores_being_cancelled_is_found_out() -> None:
    """The checks end even if a sink swallows its cancellation."""

    class Deaf(HonestSink):
        async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
            while not self.broker.dead:
                try:
                    await asyncio.sleep(0.05)
                except asyncio.CancelledError:
                    continue
            return [None] * len(batch)

    rig = FakeRig(Deaf)
    rig.answer_seconds = 0.1
    rig.connect_seconds = 0.1

    with pytest.raises(BrokenPromise, match="did not end"):
        await check.one_outcome_a_message(rig)

    await rig.kill()  # lets the deaf sink go
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=5)


async def test_a_rig_without_a_fault_skips_it() -> None:
    """What a rig cannot do is a skip that says what to override."""

    class Plain(FakeRig):
        freeze = Rig.freeze

    with pytest.raises(SkipTest, match=r"Rig\.freeze"):
        await check.closing_on_a_frozen_broker_ends(Plain(HonestSink))


async def test_a_plugin_need_not_explain_itself() -> None:
    """That it does not is a skip which says what to give."""
    rig = FakeRig(HonestSink)
    rig.plugin = SinkPlugin(rig.plugin.config, rig.plugin.connect)

    with pytest.raises(SkipTest, match="explain"):
        await check.an_explanation_agrees_with_the_delivery(rig)


async def test_messages_behind_an_unavailable_are_handed_over_again() -> None:
    """The suite goes on in a new session at the first unsettled message, as the pipeline does."""

    class FailsOnce(HonestSink):
        sessions = 0

        def __init__(self, broker: FakeBroker) -> None:
            super().__init__(broker)
            FailsOnce.sessions += 1

        async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
            if FailsOnce.sessions > 1:
                return await super().deliver(batch)
            await super().deliver(batch[:3])
            return [*[None] * 3, *[Unavailable("cut", reason="network")] * (len(batch) - 3)]

    rig = FakeRig(FailsOnce)
    messages = [sample(number) for number in range(10)]

    assert await deliver_all(rig, messages) == [None] * 10
    assert [record.id for record in rig.broker.records] == [message.id for message in messages]


def test_the_suite_has_a_test_for_every_promise() -> None:
    """No check is forgotten in the pytest class."""
    source = inspect.getsource(SinkContract)

    assert [name for name in CHECKS if f"check.{name}(" not in source] == []
