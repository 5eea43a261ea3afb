"""When a connection gets a successor, and what a relay does about it: with fakes, on a clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Any, cast

import pytest

from bridge.errors import Unavailable
from bridge.portos import relay as relay_module
from bridge.portos.comparison import Verdict
from bridge.portos.doubt import Doubt, Patience
from bridge.portos.held import Held
from bridge.portos.proof import Proof
from bridge.portos.relay import Rotation, _HandOver, _Relay
from bridge.portos.session import Session
from bridge.source import Batch, SourceActivity
from tests.support import until

BOUNDS = Patience(first=5, longest=5, closed=900)
GONE = Unavailable("gone", reason="network")


class Ear:
    """A connection that hears what the test says; it is subscribed at the moment 40."""

    def __init__(self, batches: Sequence[Batch] = ()) -> None:
        self.proof = Proof(SourceActivity(), 10, 40.0)
        self.opened_clock = 0.0
        self.event_clock: float | None = None
        self.token_seconds = inf
        self.left_in_order = False
        self.listening = True
        self.ended: Unavailable | None = None
        self._batches = batches

    def doubt(self, *, doubted: bool) -> None:
        self.proof.doubted = doubted

    async def batches(self) -> AsyncIterator[Batch]:
        for batch in self._batches:
            yield batch
        raise GONE


@dataclass
class Line:
    """Opens one connection after another, or refuses; `may_close` holds up the closing."""

    ears: list[Ear | Unavailable]
    may_close: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    open: int = 0

    @asynccontextmanager
    async def connect(self, _: asyncio.Event) -> AsyncIterator[Session]:
        self.asked += 1
        ear = self.ears.pop(0) if self.ears else GONE
        if isinstance(ear, Unavailable):
            raise ear
        self.open += 1
        try:
            yield cast("Session", ear)
            await self.may_close.wait()
        finally:
            self.open -= 1


@dataclass
class Stand:
    """A relay whose first connection is open, its parts, and the results of its attempts."""

    relay: _Relay
    line: Line
    doubt: Doubt
    attempts: list[tuple[float, str]]
    lost: list[str]
    now: float = 0.0

    @property
    def ear(self) -> Ear:
        return cast("Ear", self.relay._current.session)

    def looks_at(self, moments: Sequence[float]) -> None:
        """Let the relay look at these moments."""

        async def looks() -> AsyncIterator[float]:
            for self.now in moments:
                yield self.now

        self.relay._looks = looks  # type: ignore[method-assign]  # the clock of the test


@asynccontextmanager
async def stand(*ears: Ear | Unavailable, recycle_seconds: float = 0) -> AsyncIterator[Stand]:
    """Open the first; what is open at the end is closed."""
    line, doubt, attempts, lost = Line(list(ears)), Doubt(BOUNDS), list[tuple[float, str]](), list[str]()
    rotation = Rotation(
        renews=True,
        changed=lambda: "",
        recycle_seconds=recycle_seconds,
        beside=True,
        connect_seconds=5,
        close_seconds=5,
        attempt=lambda result: attempts.append((made.now, result)),
        lost=lost.append,
    )
    made = Stand(_Relay(line.connect, rotation, doubt), line, doubt, attempts, lost)
    made.relay._clock = lambda: made.now
    await made.relay.open()
    try:
        yield made
    finally:
        line.may_close.set()
        await made.relay.close()


async def handed_over(relay: _Relay, line: Line, verdict: Verdict = "hears") -> None:
    """Put the next connection beside the first one, which was compared with it."""
    held = Held(line.connect)
    await held.opened()
    relay._next = _HandOver(held)
    relay._next.verdict = verdict


async def test_a_third_connection_waits_until_the_first_is_closed() -> None:
    """There are never more than two."""
    async with stand(Ear(), Ear(), Ear()) as made:
        relay, line = made.relay, made.line
        await handed_over(relay, line)
        assert relay._next is not None
        relay._take_over(relay._next, GONE)

        third = asyncio.create_task(relay._opened_beside())
        for _ in range(50):
            await asyncio.sleep(0)
        asked_while_two_are_open = line.asked
        line.may_close.set()
        held = await asyncio.wait_for(third, 5)
        open_at_the_end = line.open
        await held.close(5)

    assert (asked_while_two_are_open, line.asked, open_at_the_end) == (2, 3, 2)


async def test_each_attempt_that_fails_waits_twice_as_long_as_the_last() -> None:
    """Up to half a minute, however long the hub has no second connection."""
    async with stand(Ear(), recycle_seconds=1) as made:
        made.looks_at([number / 2 for number in range(2, 250)])
        await made.relay.rotate()

    moments = [at for at, _ in made.attempts]
    assert [later - at for at, later in pairwise(moments)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert {result for _, result in made.attempts} == {"network"}


async def test_a_doubt_whose_second_connection_is_refused_makes_the_next_one_rarer() -> None:
    """Each of them costs a window: the hub is left for it."""
    refused = Unavailable("one is enough", reason="refused")
    async with stand(Ear(), refused) as made:
        assert await made.relay._succeed("the silence is doubtful")

        assert made.doubt.seconds == 2 * BOUNDS.first
        assert made.relay._current.leaving.is_set()


@pytest.mark.parametrize(("why", "seconds"), [("the silence is doubtful", 10), ("recycling is due", 5)])
async def test_a_doubt_that_finds_nothing_makes_the_next_one_rarer(why: str, seconds: float) -> None:
    """A silence that is not doubted yet, and only seen while another connection is opened, does not."""
    async with stand(Ear()) as made:
        made.looks_at(range(1, 40))

        verdict = await made.relay._compared(cast("Session", made.ear), cast("Session", Ear()), why)

        assert verdict == "silence"
        assert made.doubt.seconds == seconds


@pytest.mark.parametrize(("heard", "left"), [(False, False), (True, True)])
async def test_a_successor_that_ends_first_takes_over_only_what_it_has_heard(*, heard: bool, left: bool) -> None:
    """The connection that is read goes on: whoever leaves it for one that has ended is blind.

    What is not taken over is closed and counted as lost.
    """
    successor = Ear()
    successor.ended = GONE
    if heard:
        successor.event_clock, successor.proof.last_event_at = 2.0, 42.0
    async with stand(Ear(), successor) as made:
        made.looks_at([1.0, 2.0])
        made.line.may_close.set()
        leaving = asyncio.create_task(made.relay._succeed("recycling is due"))
        await until(lambda: leaving.done() or made.relay._current.leaving.is_set(), 5, "decided")

        assert made.relay._current.leaving.is_set() is left
        assert (made.relay._next is None) is not left
        assert leaving.done() is not left
        assert (made.lost, made.line.open) == ((["network"], 1) if not left else ([], 2))
        assert left or not leaving.result()
        leaving.cancel()


async def test_a_doubt_whose_successor_ends_first_leaves_the_connection() -> None:
    """It may be deaf for as long as every second connection ends early."""
    successor = Ear()
    successor.ended = GONE
    async with stand(Ear(), successor) as made:
        made.looks_at([1.0, 2.0])
        made.line.may_close.set()

        assert await asyncio.wait_for(made.relay._succeed("the silence is doubtful"), 5)

        assert made.relay._next is None
        assert made.relay._current.leaving.is_set()
        assert made.relay._reason(100.0) is None


async def test_a_successor_that_is_opened_while_the_bridge_stops_is_closed() -> None:
    async with stand(Ear(), Ear()) as made:
        made.line.may_close.set()
        made.relay._stopping = True

        assert await asyncio.wait_for(made.relay._succeed("recycling is due"), 5)

        assert made.attempts == [(0.0, "ok")]
        assert made.line.open == 1


async def test_while_the_bridge_does_not_listen_no_silence_is_the_hubs() -> None:
    """No second connection is opened then, and the silence is counted anew afterwards."""
    async with stand(Ear()) as made:
        made.ear.listening = False
        assert made.relay._reason(100.0) is None

        made.ear.listening = True
        assert made.relay._reason(104.0) is None
        assert made.relay._reason(106.0) == "the silence is doubtful"


async def test_the_time_in_which_the_process_stood_still_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came meanwhile is read before anything is concluded from it."""
    monkeypatch.setattr(relay_module, "_LOOK_SECONDS", 0.0)

    def clock() -> Iterator[float]:
        yield from (0.0, 60.0, 60.5)

    async with stand(Ear()) as made:
        moments = clock()
        made.relay._clock = lambda: next(moments)

        looks: Any = made.relay._looks()
        looked_at = await anext(looks)
        await looks.aclose()

        assert looked_at == 60.5
        assert not made.doubt.ask(looked_at, None)


async def test_what_a_deaf_connection_took_for_proof_is_none_of_its_successors() -> None:
    """Pings prove nothing where the subscription is gone: a window that follows begins before them."""
    deaf, successor = Ear(), Ear([Batch((), proved_at=40.0), Batch((), proved_at=45.0)])
    deaf.proof.ping(60.0)
    async with stand(deaf, successor) as made:
        await handed_over(made.relay, made.line, "deaf")
        batches = made.relay.batches()
        read = [await anext(batches), await anext(batches)]
        with pytest.raises(Unavailable, match="gone"):
            await anext(batches)

    assert deaf.proof.heard_until > 45.0
    assert [batch.proved_at for batch in read] == [40.0, 45.0]
    assert [batch.missed and batch.missed.cause for batch in read] == ["deaf", None]


@pytest.mark.parametrize(("reason", "cause"), [("planned", "silence"), ("network", "network")])
async def test_a_hub_that_does_not_answer_while_the_first_is_left_is_a_window(reason: str, cause: str) -> None:
    """Nobody planned that: an operator is to look at the hub."""
    first, successor = Ear(), Ear()
    successor.proof.subscribed_at = 50.0
    async with stand(first, successor) as made:
        await handed_over(made.relay, made.line)
        assert made.relay._next is not None
        ended = Unavailable("it is left", reason=reason)

        missed = made.relay._missed(cast("Session", first), made.relay._next, ended)
        first.left_in_order = True

        assert missed is not None
        assert missed.cause == cause
        assert made.relay._missed(cast("Session", first), made.relay._next, ended) is None
