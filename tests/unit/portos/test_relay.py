"""One connection takes over from another: nothing is missed between them, and what may be is said."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
from aiohttp import web

from bridge.errors import Unavailable
from bridge.portos import comparison as comparison_module
from bridge.portos import proof as proof_module
from bridge.portos import relay as relay_module
from bridge.portos.doubt import Doubt, Patience
from bridge.portos.relay import Rotation, relay
from bridge.portos.source import connect
from bridge.portos.web import http_session
from bridge.settings.core import Subscribe
from bridge.source import Batch, Source, SourceActivity
from tests.support import until
from tests.unit.portos.scripted_hub import FixedTokens, Peer, ScriptedHub, jwt, notification, scripted_hub, settings

NEVER = Patience(1000, 1000, 1000)


class ShortLived(FixedTokens):
    """Another token each time, good for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def token(self) -> str:
        self.asked += 1
        return jwt(self.seconds, self.asked)


@dataclass
class Crier:
    """A hub that tells everybody who is subscribed, and forgets whom it is told to forget."""

    hub: ScriptedHub
    subscribed: list[Peer] = field(default_factory=list)
    ever: list[Peer] = field(default_factory=list)
    most: int = 0
    tell_at_subscribing: int | None = None
    closes_after_seconds: float | None = None
    aborts: bool = False

    def __post_init__(self) -> None:
        self.hub.script = self.talk

    async def talk(self, peer: Peer) -> None:
        await peer.accept()
        self.subscribed.append(peer)
        self.ever.append(peer)
        self.most = max(self.most, self.hub.open)
        if self.tell_at_subscribing is not None:
            await self.tell(self.tell_at_subscribing)
        try:
            async with asyncio.timeout(self.closes_after_seconds):
                while True:
                    call = await peer.next()
                    if peer in self.subscribed:
                        self.subscribed.remove(peer)
                    if self.aborts:
                        peer.abort()
                    await peer.complete(call)
        except TimeoutError:
            await peer.send({"type": 7, "allowReconnect": True})
        finally:
            if peer in self.subscribed:
                self.subscribed.remove(peer)

    async def tell(self, *numbers: int) -> None:
        for number in numbers:
            for peer in list(self.subscribed):
                await peer.send(notification(number))


@dataclass
class Reading:
    """What is read of a relay: all batches, their versions, and how it ended."""

    batches: list[Batch] = field(default_factory=list)
    ended: Unavailable | None = None

    @property
    def versions(self) -> list[int | None]:
        return [message.version for batch in self.batches for message in batch.messages]

    @property
    def missed(self) -> list[Batch]:
        return [batch for batch in self.batches if batch.missed]

    async def read(self, source: Source) -> None:
        try:
            async for batch in source.batches():
                self.batches.append(batch)
        except Unavailable as error:
            self.ended = error


class Counts:
    """What a link would count."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self.losses: list[str] = []

    def rotation(self, **changes: Any) -> Rotation:
        made = Rotation(
            renews=True,
            changed=lambda: "",
            recycle_seconds=0,
            beside=True,
            connect_seconds=0.5,
            close_seconds=0.5,
            attempt=self.attempts.append,
            lost=self.losses.append,
        )
        return replace(made, **changes)


@asynccontextmanager
async def relayed(
    hub: ScriptedHub,
    rotation: Rotation,
    *,
    bounds: Patience = NEVER,
    tokens: FixedTokens | None = None,
    leaving: asyncio.Event | None = None,
) -> AsyncIterator[Reading]:
    """Read a relay beside the test."""
    parts = settings(hub)
    subscribe = Subscribe(resources=("tickets", "orders"))
    async with http_session(parts) as http:
        open_one = partial(connect, parts, subscribe, "default", tokens or FixedTokens(), SourceActivity(), http)
        async with relay(open_one, rotation, Doubt(bounds), leaving or asyncio.Event()) as source:
            reading = Reading()
            task = asyncio.create_task(reading.read(source))
            try:
                yield reading
            finally:
                task.cancel()
                await asyncio.wait((task,))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(comparison_module, "_GRACE_SECONDS", 0.2)
    monkeypatch.setattr(relay_module, "_SKEW_SECONDS", 0.05)


@pytest.fixture
async def crier() -> AsyncIterator[Crier]:
    async with scripted_hub() as hub:
        yield Crier(hub)


def taken_over(crier: Crier, times: int) -> Callable[[], bool]:
    return lambda: len(crier.ever) > times and crier.subscribed == [crier.ever[-1]]


async def test_a_successor_takes_over_and_nothing_is_missed(crier: Crier) -> None:
    """Every event is heard at every moment of many rotations; what two connections heard has the same id."""
    counts = Counts()
    async with relayed(crier.hub, counts.rotation(recycle_seconds=0.1)) as reading:
        number = 0
        while len(crier.ever) < 6:
            await crier.tell(number)
            number += 1
            await asyncio.sleep(0.001)
        await until(lambda: number - 1 in reading.versions, 5, "the last event")

    assert sorted(set(filter(None, reading.versions))) == list(range(1, number))
    assert reading.missed == []
    assert crier.most == 2
    assert counts.attempts[:4] == ["ok"] * 4
    assert set(counts.losses) == {"planned"}


async def test_the_first_is_read_to_its_end_before_the_second_is_read_at_all(crier: Crier) -> None:
    """Each stream is in order; so is what is left of the two when repeats are dropped."""
    async with relayed(crier.hub, Counts().rotation(recycle_seconds=0.2)) as reading:
        await until(lambda: len(crier.subscribed) == 1, 5, "subscribed")
        number = 0
        while not taken_over(crier, 1)():
            await crier.tell(number)
            number += 1
            await asyncio.sleep(0)
        await until(lambda: number - 1 in reading.versions, 5, "the last event")

    seen: list[int | None] = []
    for version in reading.versions:
        if version not in seen:
            seen.append(version)
    assert seen == list(range(number))


async def test_a_token_that_expires_is_a_reason(crier: Crier) -> None:
    async with relayed(crier.hub, Counts().rotation(), tokens=ShortLived(0.4)) as reading:
        await until(taken_over(crier, 2), 5, "two rotations")

    assert reading.ended is None
    assert reading.missed == []


async def test_a_token_that_expires_while_all_is_quiet_costs_nothing(crier: Crier) -> None:
    """The comparison of two silent connections ends before the hub closes the first, whose age began at its opening."""
    crier.closes_after_seconds = 1.5  # a hub cuts the fraction of a second off an expiry

    async with relayed(crier.hub, Counts().rotation(), tokens=ShortLived(2.0)) as reading:
        await until(taken_over(crier, 2), 10, "two rotations")

    assert reading.ended is None
    assert reading.missed == []


@pytest.mark.parametrize("changes", [{"renews": False}, {"beside": False}])
async def test_a_token_that_cannot_be_renewed_or_is_not_to_be_is_none(crier: Crier, changes: dict[str, bool]) -> None:
    """Then the connection stays for as long as the hub has it."""

    async with relayed(crier.hub, Counts().rotation(**changes), tokens=ShortLived(0.1)) as reading:
        await asyncio.sleep(0.4)
        await crier.tell(1)
        await until(lambda: reading.versions == [1], 5, "still heard")

    assert len(crier.ever) == 1


@pytest.fixture
def refusing(crier: Crier) -> Crier:
    """A hub that refuses every connection but the first."""

    let_in = crier.hub.negotiate

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return await let_in(request) if asked == 1 else web.Response(status=403)

    asked, crier.hub.negotiate = 0, answer
    return crier


async def test_a_hub_that_refuses_a_second_connection_is_left_and_connected_again(refusing: Crier) -> None:
    """Break, then make: at once, with all that was heard, and as a planned end."""
    counts = Counts()
    async with relayed(refusing.hub, counts.rotation(recycle_seconds=0.2)) as reading:
        await until(lambda: len(refusing.subscribed) == 1, 5, "subscribed")
        await refusing.tell(1)
        await until(lambda: reading.ended is not None, 5, "left")

    assert reading.ended is not None
    assert (reading.ended.reason, reading.ended.at_once) == ("planned", True)
    assert reading.versions == [1]
    assert counts.attempts == ["forbidden"]


async def test_a_refused_rotation_of_the_token_keeps_the_connection(refusing: Crier) -> None:
    """The hub may let it live on: what is heard is heard until it does not."""

    class Short(FixedTokens):
        async def token(self) -> str:
            return jwt(0.2)

    counts = Counts()
    async with relayed(refusing.hub, counts.rotation(), tokens=Short()) as reading:
        await until(lambda: len(refusing.subscribed) == 1, 5, "subscribed")
        await until(lambda: counts.attempts == ["forbidden"], 5, "refused")
        await refusing.tell(1)
        await until(lambda: reading.versions == [1], 5, "still heard")

    assert reading.ended is None


async def test_a_changed_file_is_a_reason(crier: Crier) -> None:
    """Until the successor is there; it has taken the change up."""
    rotation = Counts().rotation(changed=lambda: "CA_FILE" if len(crier.ever) < 2 else "")
    async with relayed(crier.hub, rotation) as reading:
        await until(lambda: len(crier.subscribed) == 2, 5, "a second connection")
        await crier.tell(1)
        await until(taken_over(crier, 1), 5, "taken over")

    assert len(crier.ever) == 2
    assert reading.missed == []


async def test_a_changed_file_that_is_refused_keeps_the_connection(refusing: Crier) -> None:
    """A wrong password is no reason to leave a connection that was let in with the right one."""
    counts = Counts()
    async with relayed(refusing.hub, counts.rotation(changed=lambda: "PASSWORD")) as reading:
        await until(lambda: len(refusing.subscribed) == 1, 5, "subscribed")
        await until(lambda: "forbidden" in counts.attempts, 5, "refused")
        await refusing.tell(1)
        await until(lambda: reading.versions == [1], 5, "still heard")

    assert reading.ended is None


async def test_a_second_connection_that_hangs_is_given_up(crier: Crier) -> None:
    counts = Counts()
    async with relayed(crier.hub, counts.rotation(recycle_seconds=0.1, connect_seconds=0.2)) as reading:
        await until(lambda: len(crier.subscribed) == 1, 5, "subscribed")

        async def hang(_: web.Request) -> web.StreamResponse:
            await asyncio.sleep(30)
            return web.Response()

        crier.hub.negotiate = hang
        await until(lambda: "timeout" in counts.attempts, 5, "given up")
        await crier.tell(1)
        await until(lambda: reading.versions == [1], 5, "still heard")


@pytest.mark.parametrize(
    ("recycle_seconds", "bounds", "noted"),
    [(0.1, NEVER, ["timeout"]), (0, Patience(0.1, 0.1, 0.1), [])],
    ids=["recycling", "doubt"],
)
async def test_what_comes_to_nothing_is_noted_unless_it_was_for_a_doubt(
    crier: Crier, recycle_seconds: float, bounds: Patience, noted: list[str]
) -> None:
    """A doubt may be over before another connection is opened, so that nothing would take the note away."""
    counts, notes = Counts(), list[str]()
    rotation = counts.rotation(recycle_seconds=recycle_seconds, connect_seconds=0.2)
    rotation = replace(rotation, noted=lambda error: notes.append(error.reason))
    async with relayed(crier.hub, rotation, bounds=bounds):
        await until(lambda: len(crier.subscribed) == 1, 5, "subscribed")

        async def hang(_: web.Request) -> web.StreamResponse:
            await asyncio.sleep(30)
            return web.Response()

        crier.hub.negotiate = hang
        await until(lambda: counts.attempts == ["timeout"], 5, "given up")

    assert notes == noted


async def test_a_deaf_connection_is_found_by_its_successor(crier: Crier) -> None:
    """The window begins with the last event that the first one heard, and is told before what the second one heard."""
    async with relayed(crier.hub, Counts().rotation(), bounds=Patience(0.2, 0.5, 5)) as reading:
        await until(lambda: len(crier.subscribed) == 1, 5, "subscribed")
        await crier.tell(1)
        await until(lambda: reading.versions == [1], 5, "heard")
        heard_at = reading.batches[-1].messages[0].received_at
        crier.subscribed.clear()
        await crier.tell(2)
        await until(lambda: len(crier.subscribed) == 1, 5, "a second connection")
        await crier.tell(3, 4)
        await until(lambda: reading.versions == [1, 3, 4], 5, "heard again")

    (first,) = reading.missed
    assert first.missed is not None
    assert first.missed.cause == "deaf"
    assert first.missed.since == pytest.approx(heard_at, abs=1.01)  # the way of a hub of 2025 counts as a second
    assert first.messages == ()
    assert crier.most == 2


async def test_a_doubt_is_right_where_the_successor_ends_after_it_alone_has_heard_something(crier: Crier) -> None:
    """A loss that is found out is not forgotten because the next fault comes before it is certain."""
    async with relayed(crier.hub, Counts().rotation(), bounds=Patience(0.2, 0.5, 5)) as reading:
        await until(lambda: len(crier.subscribed) == 1, 5, "subscribed")
        crier.subscribed.clear()
        await until(lambda: len(crier.subscribed) == 1, 5, "a second connection")
        await crier.tell(1)
        await asyncio.sleep(0.05)
        crier.ever[1].abort()
        await until(lambda: reading.ended is not None, 5, "both have ended")

    (first,) = reading.missed
    assert first.missed is not None
    assert first.missed.cause == "deaf"
    assert reading.versions == [1]


async def test_a_planned_end_finds_out_that_the_first_one_is_deaf(crier: Crier) -> None:
    """Whatever the reason of a take-over is, an event that only the successor hears tells that there is a window."""
    async with relayed(crier.hub, Counts().rotation(recycle_seconds=0.3)) as reading:
        await until(lambda: len(crier.subscribed) == 1, 5, "subscribed")
        crier.subscribed.clear()
        await until(lambda: len(crier.subscribed) == 1, 5, "a second connection")
        await crier.tell(1)
        await until(lambda: reading.versions == [1], 5, "heard again")

    (first,) = reading.missed
    assert first.missed is not None
    assert first.missed.cause == "deaf"


async def test_a_deaf_connection_is_told_once(crier: Crier) -> None:
    """Its successor is not deaf for it, whoever succeeds that."""
    async with relayed(crier.hub, Counts().rotation(recycle_seconds=0.3)) as reading:
        await until(lambda: len(crier.subscribed) == 1, 5, "subscribed")
        crier.subscribed.clear()
        await until(lambda: len(crier.subscribed) == 1, 5, "a second connection")
        await crier.tell(0)
        await until(taken_over(crier, 1), 5, "the second takes over")
        number = 0
        while len(crier.ever) < 4:
            number += 1
            await crier.tell(number)
            await asyncio.sleep(0.005)
        await until(lambda: number in reading.versions, 5, "the last event")

    assert len(reading.missed) == 1


async def test_an_end_without_an_answer_costs_nothing_where_both_heard_the_same_event(
    crier: Crier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first one heard after the second was subscribed proves that nothing is between them."""
    monkeypatch.setattr(proof_module, "_LONGEST_WAY_SECONDS", 0)
    crier.aborts = True
    async with relayed(crier.hub, Counts().rotation(recycle_seconds=0.3)) as reading:
        await until(lambda: len(crier.subscribed) == 2, 5, "a second connection")
        await asyncio.sleep(0.05)  # the bridge knows that it is subscribed
        await crier.tell(1)
        await until(taken_over(crier, 1), 5, "the second takes over")
        await crier.tell(2)
        await until(lambda: 2 in reading.versions, 5, "heard")

    heard = next(index for index, batch in enumerate(reading.batches) if batch.messages)
    proofs = [batch.proved_at or 0.0 for batch in reading.batches[heard:]]
    assert reading.missed == []
    assert min(proofs) == proofs[0]  # and the successor, which was subscribed before that, takes nothing of it back


async def test_a_doubt_opens_one_connection_a_minute(crier: Crier) -> None:
    async with relayed(crier.hub, Counts().rotation(), bounds=Patience(0.1, 0.1, 0.1)):
        await until(taken_over(crier, 1), 5, "a second connection")
        await asyncio.sleep(0.6)

    assert len(crier.ever) == 2


async def test_a_doubt_that_was_right_does_not_hold_up_the_next_one(crier: Crier) -> None:
    async with relayed(crier.hub, Counts().rotation(), bounds=Patience(0.2, 0.2, 0.2)) as reading:
        for number in (1, 2):
            await until(lambda: len(crier.subscribed) == 1, 5, "subscribed")
            crier.subscribed.clear()
            await until(lambda: len(crier.subscribed) == 1, 5, "another connection")
            await crier.tell(number)
            await until(lambda: number in reading.versions, 5, "heard again")  # noqa: B023 - awaited here

    assert [batch.missed.cause for batch in reading.missed if batch.missed] == ["deaf", "deaf"]


async def test_a_refusal_is_not_asked_for_again_at_once(refusing: Crier) -> None:
    class Short(FixedTokens):
        async def token(self) -> str:
            return jwt(0.2)

    counts = Counts()
    async with relayed(refusing.hub, counts.rotation(), tokens=Short()):
        await until(lambda: len(refusing.subscribed) == 1, 5, "subscribed")
        await until(lambda: counts.attempts == ["forbidden"], 5, "refused")
        await asyncio.sleep(0.3)

    assert counts.attempts == ["forbidden"]


async def test_an_event_that_both_hear_while_the_second_subscribes_is_no_deafness(crier: Crier) -> None:
    """The first may hear it before the second knows that it is subscribed, and then nothing for long."""
    crier.tell_at_subscribing = 1
    async with relayed(crier.hub, Counts().rotation(recycle_seconds=0.3)) as reading:
        await until(lambda: len(crier.ever) == 2, 5, "a second connection")
        await until(taken_over(crier, 1), 5, "the second takes over")

    assert 1 in reading.versions
    assert reading.missed == []


async def test_a_silence_of_the_shop_is_no_deafness(crier: Crier) -> None:
    """Both connections hear nothing, or both hear the next event: nothing is told."""
    async with relayed(crier.hub, Counts().rotation(), bounds=Patience(0.1, 0.1, 0.4)) as reading:
        await until(lambda: len(crier.subscribed) == 2, 5, "a second connection")
        await crier.tell(1)
        await until(taken_over(crier, 1), 5, "the second takes over")
        await crier.tell(2)
        await until(lambda: 2 in reading.versions, 5, "heard")
        relay_module_ends = len(crier.ever)

    assert reading.missed == []
    assert relay_module_ends == 2


async def test_doubt_takes_back_what_only_pings_have_proved(refusing: Crier) -> None:
    """If the connection ends while it is doubted, the window begins with the last event."""
    async with relayed(refusing.hub, Counts().rotation(), bounds=Patience(2, 2, 5)) as reading:
        await until(lambda: len(refusing.subscribed) == 1, 5, "subscribed")
        first = refusing.ever[0]
        for _ in range(6):
            await asyncio.sleep(0.25)  # a ping proves nothing of the last second
            await first.send({"type": 6})
        await until(lambda: len(reading.batches) > 6, 5, "the pings are heard")
        pinged = reading.batches[-1].proved_at
        await until(lambda: reading.ended is not None, 5, "left")

    subscribed_at, last = reading.batches[0].proved_at, reading.batches[-1].proved_at
    assert pinged is not None
    assert subscribed_at is not None
    assert pinged > subscribed_at
    assert last == subscribed_at


async def test_a_connection_that_dies_beside_its_successor_leaves_only_the_time_between_them(crier: Crier) -> None:
    async with relayed(crier.hub, Counts().rotation(), bounds=Patience(0.2, 0.2, 5)) as reading:
        await until(lambda: len(crier.subscribed) == 2, 5, "a second connection")
        crier.ever[0].abort()
        await until(lambda: len(crier.subscribed) == 1, 5, "the first is gone")
        await crier.tell(1)
        await until(lambda: reading.versions == [1], 5, "heard by the second")

    (first,) = reading.missed
    assert first.missed is not None
    assert first.missed.cause in ("network", "server_close")
    assert reading.ended is None


async def test_a_stop_in_the_middle_of_a_rotation_gives_all_that_was_heard(crier: Crier) -> None:
    leaving = asyncio.Event()
    bounds = Patience(0.2, 0.2, 5)
    async with relayed(crier.hub, Counts().rotation(), bounds=bounds, leaving=leaving) as reading:
        await until(lambda: len(crier.subscribed) == 2, 5, "a second connection")
        await crier.tell(1, 2)
        leaving.set()
        await until(lambda: reading.ended is not None, 5, "left")
        assert crier.subscribed == []

    assert set(reading.versions) == {1, 2}
    assert reading.ended is not None
    assert reading.ended.reason == "planned"


async def test_an_end_that_nobody_planned_is_the_end(crier: Crier) -> None:
    async with relayed(crier.hub, Counts().rotation()) as reading:
        await until(lambda: len(crier.subscribed) == 1, 5, "subscribed")
        await crier.tell(1)
        await until(lambda: reading.versions == [1], 5, "heard")
        crier.ever[0].abort()
        await until(lambda: reading.ended is not None, 5, "ended")

    assert reading.ended is not None
    assert reading.ended.reason == "network"


async def test_leaving_closes_both_connections(crier: Crier) -> None:
    async with relayed(crier.hub, Counts().rotation(), bounds=Patience(0.1, 0.1, 5)):
        await until(lambda: len(crier.subscribed) == 2, 5, "a second connection")

    await until(lambda: crier.hub.open == 0, 2, "both closed")
