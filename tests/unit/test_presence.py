"""What a broker is told of the bridge and when; nothing of it stops an event."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from bridge import presence as module
from bridge.deadline import Deadline
from bridge.errors import Rejected, Unavailable
from bridge.journal import Journal
from bridge.link import Link
from bridge.message import Message
from bridge.metrics import Catalogue
from bridge.pipeline import Delivery, keep
from bridge.ports import OFFLINE, Notice, Outcome, Sink
from bridge.presence import Presence, Report
from sinks.mqtt.meaning import disconnected, ended
from tests.support import until
from tests.unit.journal.conftest import messages
from tests.unit.loops import link

NOT_GRANTED = Rejected("0x87", reason="unauthorized")


@dataclass
class Bridge:
    """What is told, whether the bridge is being stopped, and how often its state was looked at."""

    state: str = "online"
    info: str = "info"
    stopping: bool = False
    looks: int = 0

    def report(self) -> Report:
        return Report(
            state=self._state,
            info=lambda: Notice("info", self.info.encode()),
            health=lambda: Notice("health", b"health", kept=False),
        )

    def _state(self) -> Notice:
        self.looks += 1
        return Notice("state", self.state.encode())


@dataclass
class Broker:
    """Takes events and notices into one list, by id and by body; `answer` says what becomes of a notice."""

    heard: list[str] = field(default_factory=list)
    connections: int = 0
    answer: Callable[[Notice], Rejected | None] = lambda _: None

    @asynccontextmanager
    async def connect(self, _config: object) -> AsyncIterator[Sink]:
        self.connections += 1
        yield self

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        self.heard += [message.id for message in batch]
        return [None] * len(batch)

    async def announce(self, notice: Notice) -> Rejected | None:
        self.heard.append(notice.body.decode())
        return self.answer(notice)

    @property
    def events(self) -> list[str]:
        return [word for word in self.heard if word.startswith("id-")]


class Deaf:
    """A sink that has no place for notices."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @asynccontextmanager
    async def connect(self, _config: object) -> AsyncIterator[Sink]:
        yield self

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        self.heard += [message.id for message in batch]
        return [None] * len(batch)


@asynccontextmanager
async def delivering(
    journal: Journal, catalogue: Catalogue, bridge: Bridge, broker: Broker | Deaf, state: Link | None = None
) -> AsyncIterator[None]:
    """Deliver beside the test, and stop in order at its end."""
    state = state or link()
    presence = Presence("kafka", bridge.report(), lambda: bridge.stopping)
    delivery = Delivery("kafka", journal, catalogue, state, 10, 0.3, presence=presence)
    task = asyncio.create_task(keep(state, lambda: presence.connect(broker.connect, None), delivery.run))
    try:
        yield
    finally:
        bridge.stopping = True
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.pipeline._IDLE_SECONDS", 0.02)
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)


async def test_a_connection_begins_with_state_and_info_and_then_come_the_events(
    journal: Journal, catalogue: Catalogue
) -> None:
    """z2m#4854: whoever watches the state must not see an event of a bridge that seems to be away."""
    broker = Broker()
    await journal.append(messages(1, 2))

    async with delivering(journal, catalogue, Bridge(), broker):
        await until(lambda: len(broker.events) == 2, 5, "delivered")

    assert broker.heard[:5] == ["online", "info", "health", "id-1", "id-2"]


async def test_a_new_connection_is_told_everything_again(journal: Journal, catalogue: Catalogue) -> None:
    """A broker that was started with an empty store knows nothing of what it was told before."""
    broker = Broker()

    async def lost(_batch: Sequence[Message]) -> Sequence[Outcome]:
        raise Unavailable("gone", reason="network")

    async with delivering(journal, catalogue, Bridge(), broker):
        await until(lambda: "health" in broker.heard, 5, "told")
        broker.deliver = lost  # type: ignore[method-assign]
        await until(lambda: broker.connections == 2, 5, "connected anew")
        del broker.deliver
        await until(lambda: broker.heard.count("info") >= 2, 5, "told again")

    assert broker.heard[:6] == ["online", "info", "health", "online", "info", "health"]


async def test_another_configuration_is_told_over_the_same_connection(journal: Journal, catalogue: Catalogue) -> None:
    """Settings can change while the bridge runs, and its hash is in the info."""
    bridge, broker = Bridge(), Broker()

    async with delivering(journal, catalogue, bridge, broker):
        await until(lambda: "health" in broker.heard, 5, "told")
        bridge.info = "another info"
        await until(lambda: "another info" in broker.heard, 5, "told anew")

    assert broker.connections == 1
    assert broker.heard.count("another info") == 1


async def test_a_change_of_the_state_is_told_once_and_soon_with_the_health(
    journal: Journal, catalogue: Catalogue
) -> None:
    """Also while no event comes."""
    bridge, broker = Bridge(), Broker()

    async with delivering(journal, catalogue, bridge, broker):
        await until(lambda: "health" in broker.heard, 5, "told")
        bridge.state = "degraded"
        await until(lambda: "degraded" in broker.heard, 5, "told of the change")
        looks = bridge.looks
        await until(lambda: bridge.looks >= looks + 3, 5, "looked again")
        heard = list(broker.heard)

    assert heard == ["online", "info", "health", "degraded", "health"]


async def test_the_health_is_told_again_and_again(
    journal: Journal, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not kept by the broker, and whoever listens gets the next one soon."""
    monkeypatch.setattr(module, "_HEALTH_SECONDS", 0.05)
    broker = Broker()

    async with delivering(journal, catalogue, Bridge(), broker):
        await until(lambda: broker.heard.count("health") >= 4, 5, "told four times")

    assert broker.heard.count("online") == broker.heard.count("info") == 1


async def test_a_stop_in_order_is_the_last_that_a_broker_hears(journal: Journal, catalogue: Catalogue) -> None:
    """Told on the connection that is still there, before it is closed."""
    broker = Broker()

    async with delivering(journal, catalogue, Bridge(), broker):
        await until(lambda: "health" in broker.heard, 5, "told")

    assert broker.heard[-1] == OFFLINE.body.decode()


async def test_an_end_that_is_no_stop_in_order_tells_nothing(journal: Journal, catalogue: Catalogue) -> None:
    """A failed journal ends the bridge: its broker says so for it."""
    broker, bridge = Broker(), Bridge()
    presence = Presence("kafka", bridge.report(), lambda: False)

    with pytest.raises(asyncio.CancelledError):
        async with presence.connect(broker.connect, None):
            raise asyncio.CancelledError

    assert OFFLINE.body.decode() not in broker.heard


async def test_what_a_broker_refuses_is_warned_of_once_and_not_told_again(
    journal: Journal, catalogue: Catalogue, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bridge with rights for resources alone delivers as before, over the connection it has."""
    monkeypatch.setattr(module, "_HEALTH_SECONDS", 0.02)
    broker = Broker(answer=lambda notice: None if notice.name == "health" else NOT_GRANTED)
    await journal.append(messages(1, 30))

    with caplog.at_level(logging.WARNING, "bridge.presence"):
        async with delivering(journal, catalogue, Bridge(), broker):
            await until(lambda: len(broker.events) == 30, 5, "delivered")
            await until(lambda: broker.heard.count("health") >= 4, 5, "told four times")

    refused = [record.getMessage() for record in caplog.records if "does not take" in record.getMessage()]
    assert len(refused) == 2
    assert broker.connections == broker.heard.count("online") == broker.heard.count("info") == 1


@pytest.mark.parametrize("how", ["with a reason", "without a word"])
async def test_a_broker_that_ends_connections_over_a_notice_gets_the_next_without_it(
    journal: Journal, catalogue: Catalogue, how: str
) -> None:
    """HiveMQ says why it ends the connection, Mosquitto 2.0.11 refuses and just closes: events wait for neither."""
    broker = Broker()
    refused_on = 0

    def answer(notice: Notice) -> Rejected | None:
        nonlocal refused_on
        if notice.name == "info":
            if how == "with a reason":
                raise Unavailable("not granted", reason="unauthorized", hold=True)
            refused_on = broker.connections
            return NOT_GRANTED
        if refused_on == broker.connections:
            raise Unavailable("closed", reason="server_close", hold_after=1)
        return None

    broker.answer = answer
    await journal.append(messages(1, 3))

    async with delivering(journal, catalogue, Bridge(), broker):
        await until(lambda: len(broker.events) == 3, 5, "delivered")

    assert broker.connections == 2
    assert broker.heard[-6:] == ["online", "health", "id-1", "id-2", "id-3", OFFLINE.body.decode()]


async def test_the_connection_after_a_refusal_is_not_waited_for() -> None:
    """A missing right is held in a delivery; for a notice nobody has to act before events can go on."""

    def answer(_notice: Notice) -> None:
        raise Unavailable("not granted", reason="unauthorized", hold=True)

    presence = Presence("kafka", Bridge().report(), lambda: False)
    with pytest.raises(Unavailable) as raised:
        async with presence.connect(Broker(answer=answer).connect, None):
            pytest.fail("connected")

    assert (raised.value.at_once, raised.value.hold) == (True, False)


@pytest.mark.parametrize("how", ["with a reason", "without a word"])
async def test_the_connection_after_a_later_refusal_is_not_waited_for(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes after a refusal a healthy connection ends over the next one: HiveMQ asks for a hold, nobody has to.

    Mosquitto 2.0.11 refuses and closes behind it, so that the notice after the refused one meets the end.
    """
    monkeypatch.setattr(module, "_REFUSED_SECONDS", 0.0)
    monkeypatch.setattr(module, "_HEALTH_SECONDS", 0.0)
    bridge, broker = Bridge(), Broker()
    presence = Presence("kafka", bridge.report(), lambda: False)

    def answer(notice: Notice) -> Rejected | None:
        if how == "with a reason":
            raise Unavailable("not granted", reason="unauthorized", hold=True)
        if notice.name == "state":
            return NOT_GRANTED
        raise Unavailable("closed", reason="server_close", hold_after=1)

    async with presence.connect(broker.connect, None):
        broker.answer = answer
        bridge.state = "degraded"
        with pytest.raises(Unavailable) as raised:
            await presence.look()

    assert (raised.value.at_once, raised.value.hold, raised.value.hold_after) == (True, False, None)


async def test_a_connection_that_is_lost_while_something_is_told_keeps_its_reason() -> None:
    """What no refusal explains is for the link to judge: it may be a second client of the same name."""
    bridge, broker = Bridge(), Broker()
    presence = Presence("kafka", bridge.report(), lambda: False)

    def answer(_notice: Notice) -> None:
        raise Unavailable("closed", reason="server_close", hold_after=1)

    async with presence.connect(broker.connect, None):
        broker.answer = answer
        bridge.state = "degraded"
        with pytest.raises(Unavailable) as raised:
            await presence.look()

    assert (raised.value.at_once, raised.value.hold_after) == (False, 1)


CLOSED = ended(None, answered=True)
TAKEN_OVER = disconnected(0x8E, "Session taken over", alone=False)


def closing(_notice: Notice) -> Rejected | None:
    raise CLOSED


async def test_after_three_connections_that_ended_over_a_notice_they_go_without(
    journal: Journal, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    """Over 3.1.1 a broker that refuses just closes, which looks like a second client: no notice ever holds an event.

    Nor does the next connection that is lost begin with notices again.
    """
    broker = Broker(answer=closing)
    await journal.append(messages(1, 3))

    async def lost(_batch: Sequence[Message]) -> Sequence[Outcome]:
        del broker.deliver
        raise CLOSED

    with caplog.at_level(logging.WARNING):
        async with delivering(journal, catalogue, Bridge(), broker):
            await until(lambda: len(broker.events) == 3, 5, "delivered")
            broker.deliver = lost  # type: ignore[method-assign]
            await until(lambda: broker.connections == 5, 5, "connected anew")

    said = [record.getMessage() for record in caplog.records]
    assert broker.heard == ["online"] * 3 + ["id-1", "id-2", "id-3"]
    assert len([text for text in said if "they go without" in text]) == 1
    assert not [text for text in said if "connection in a row" in text]


class Clock:
    """Stands for the module `time`."""

    def __init__(self) -> None:
        self.now = 1.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


async def given_up(presence: Presence, broker: Broker) -> None:
    """Have a broker end three connections over their first notice."""
    for _ in range(3):
        with pytest.raises(Unavailable):
            async with presence.connect(broker.connect, None):
                pytest.fail("connected")


async def test_a_broker_that_went_without_is_told_again_after_ten_minutes(clock: Clock) -> None:
    """Over the connection that it has, which may last for months."""
    broker = Broker(answer=closing)
    presence = Presence("kafka", Bridge().report(), lambda: False)
    await given_up(presence, broker)
    broker.heard.clear()
    heard = []

    async with presence.connect(broker.connect, None):
        broker.answer = lambda _: None
        for seconds in (599, 2, 2):
            clock.now += seconds
            await presence.look()
            heard.append(list(broker.heard))

    assert heard == [[], ["online", "info", "health"], ["online", "info", "health"]]


async def test_after_ten_minutes_without_one_more_failure_is_enough(clock: Clock) -> None:
    """A broker that never takes a notice costs one connection in ten minutes."""
    broker = Broker(answer=closing)
    presence = Presence("kafka", Bridge().report(), lambda: False)
    await given_up(presence, broker)

    async with presence.connect(broker.connect, None):
        clock.now += 601
        with pytest.raises(Unavailable) as raised:
            await presence.look()
    async with presence.connect(broker.connect, None):
        await presence.look()

    assert (raised.value.hold, raised.value.hold_after) == (False, None)
    assert broker.heard == ["online"] * 4


async def test_what_was_refused_is_told_after_ten_minutes(clock: Clock) -> None:
    """The right may have been granted: state and info are what the broker keeps, and nothing else tells them."""
    granted = False
    broker = Broker(answer=lambda notice: None if granted or notice.name == "health" else NOT_GRANTED)
    presence = Presence("kafka", Bridge().report(), lambda: False)
    heard = []

    async with presence.connect(broker.connect, None):
        granted = True
        for seconds in (1, 599, 1, 1):
            broker.heard.clear()
            clock.now += seconds
            await presence.look()
            heard.append(list(broker.heard))

    assert heard == [[], ["online", "info", "health"], [], []]


async def test_a_change_that_is_refused_is_told_after_ten_minutes(clock: Clock) -> None:
    """As it is then; meanwhile the health goes on in its own time."""
    bridge, broker = Bridge(), Broker()
    presence = Presence("kafka", bridge.report(), lambda: False)

    async with presence.connect(broker.connect, None):
        broker.answer = lambda notice: NOT_GRANTED if notice.name == "state" else None
        bridge.state = "degraded"
        await presence.look()
        broker.answer = lambda _: None
        broker.heard.clear()
        for seconds in (1, 1, 30, 568):
            clock.now += seconds
            await presence.look()

    assert broker.heard == ["health", "degraded", "health"]


async def test_a_connection_without_notices_ends_without_one(clock: Clock) -> None:
    """Else the stop would wait for an answer that does not come."""
    broker = Broker(answer=closing)
    presence = Presence("kafka", Bridge().report(), lambda: True)
    await given_up(presence, broker)

    with pytest.raises(asyncio.CancelledError):
        async with presence.connect(broker.connect, None):
            raise asyncio.CancelledError

    assert broker.heard == ["online"] * 3


@pytest.mark.parametrize(("end", "connections"), [(TAKEN_OVER, 2), (CLOSED, 5)], ids=["said", "without a word"])
async def test_a_second_client_of_the_same_name_is_noticed_while_notices_are_told(
    journal: Journal, catalogue: Catalogue, end: Unavailable, connections: int
) -> None:
    """It may be quicker than the first answer, every time; where the broker says nothing, it shows without notices."""
    held: list[int] = []

    def note(now: bool) -> None:  # noqa: FBT001 - the signature of a gauge
        if now:
            held.append(broker.connections)

    def over(_notice: Notice) -> Rejected | None:
        raise end

    async def over_events(_batch: Sequence[Message]) -> Sequence[Outcome]:
        raise end

    broker = Broker(answer=over)
    broker.deliver = over_events  # type: ignore[method-assign]
    state = link(held=note)

    async with delivering(journal, catalogue, Bridge(), broker, state):
        await until(lambda: held, 5, "held")

    assert held[0] == connections
    assert "CLIENT_ID" in state.last_error


async def test_a_sink_without_a_place_for_notices_is_left_alone(journal: Journal, catalogue: Catalogue) -> None:
    """Nothing is asked of it but to deliver."""
    broker = Deaf()
    await journal.append(messages(1, 2))

    async with delivering(journal, catalogue, Bridge(), broker):
        await until(lambda: len(broker.heard) == 2, 5, "delivered")

    assert broker.heard == ["id-1", "id-2"]


async def test_a_broker_that_does_not_answer_a_notice_costs_a_connection_and_not_the_loop(
    journal: Journal, catalogue: Catalogue
) -> None:
    """Telling has a deadline like every other call."""
    bridge, broker, never = Bridge(), Broker(), asyncio.Event()
    presence = Presence("kafka", bridge.report(), lambda: False)
    delivery = Delivery("kafka", journal, catalogue, link(), 10, 0.05, presence=presence)

    async def hang(_notice: Notice) -> None:
        await never.wait()

    async with presence.connect(broker.connect, None) as sink:
        broker.announce = hang  # type: ignore[method-assign]
        deadline = Deadline()
        task = asyncio.create_task(delivery.run(sink, deadline))
        bridge.state = "degraded"
        await deadline.supervise(task)

    with pytest.raises(Unavailable, match="announcing took longer"):
        task.result()
