"""The window rule under every schedule of faults that hypothesis thinks of; rules that are wrong must be found out."""

import asyncio
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bridge import intake as intake_module
from bridge import pipeline
from bridge.blind import Sight
from bridge.portos import relay as relay_module
from bridge.portos import session as session_module
from bridge.portos.doubt import Doubt
from bridge.portos.memory import VersionMemory
from bridge.portos.proof import Proof
from bridge.portos.session import Session
from bridge.sieve import Sifted
from tests.unit.model.verdict import faults_of
from tests.unit.model.virtual import run
from tests.unit.model.world import WAY_SECONDS, Faults, ModelHub, World

NIGHTLY = bool(os.environ.get("TEST_NIGHTLY"))
EXAMPLES = 500 if NIGHTLY else 25
STEPS = 200 if NIGHTLY else 25

Step = tuple[str, float]

seconds = st.sampled_from([0.0, 0.003, 0.02, 0.3, 2.0, 7.0, 30.0])
FAULTS = (
    *("abort", "close", "vanish", "down", "cut", "kill", "restart"),
    *("forget", "forget and kill", "forget and restart", "forget and lose the second"),
    *("hold", "slow", "full", "refuse", "accept"),
)
steps = st.one_of(
    st.tuples(st.just("changes"), st.sampled_from([0.0, 0.004, 0.05, 1.0])),
    st.tuples(st.just("wait"), seconds),
    st.tuples(st.sampled_from(FAULTS), seconds),
)
schedules = st.lists(steps, min_size=1, max_size=STEPS)
parameters = st.builds(
    Faults,
    recycle_seconds=st.sampled_from([0.0, 0.0, 1.0, 3.0]),
    beside=st.sampled_from([True, True, True, False]),
    disk_seconds=st.sampled_from([0.0, 0.002, 0.4]),
)


async def play(parameters: Faults, schedule: list[Step]) -> World:
    """Run a schedule, then give the bridge the time to find everything out."""
    world = World(parameters)
    await asyncio.sleep(0.1)
    for name, amount in schedule:
        await act(world, name, amount)
    for _ in range(40):
        await asyncio.sleep(5)
        world.hub.change()
    await asyncio.sleep(5)
    await world.close()
    return world


async def act(world: World, name: str, amount: float) -> None:
    """Do one thing to the hub, the network or the bridge."""
    hub = world.hub
    match name:
        case "changes":
            await traffic(hub, 10, amount)
        case "wait":
            await asyncio.sleep(amount)
        case "kill":
            await world.kill(amount)
        case "restart":
            await world.restart(amount)
        case "forget" | "forget and kill" | "forget and restart" | "forget and lose the second":
            # With less traffic before, or less after, the silence may be the shop's: nothing can tell the two apart.
            await traffic(hub, 150, 0.5)
            alone = len(hub.wires) == 1
            hub.forget()
            if name == "forget and kill" and alone:
                await traffic(hub, 4, 0.5)
                await world.kill(amount)
            elif name == "forget and restart" and alone:
                await traffic(hub, 13, 0.5)  # two connections are being compared by now
                await world.restart(amount)
            elif name == "forget and lose the second" and alone:
                await traffic(hub, 10, 0.5)
                hub.wires[-1].end(lose=True)
                await traffic(hub, 150, 0.5)
            else:
                await traffic(hub, 50, 0.5)
        case _:
            disturb(world, name, asyncio.get_running_loop().time(), amount)


def disturb(world: World, name: str, now: float, seconds: float) -> None:
    """Do what takes no time."""
    hub = world.hub
    match name:
        case "down":
            hub.down_until = now + seconds
            hub.abort()
        case "hold":
            hub.held_until = now + min(seconds, 4.0)
        case "slow":
            hub.way_seconds = min(max(seconds, WAY_SECONDS), 0.9)  # beyond 1 s it might be the clocks
        case "full":
            world.disk.full_until = now + seconds
        case "refuse" | "accept":
            hub.refuses_second = name == "refuse"
        case _:
            {"abort": hub.abort, "close": hub.close, "vanish": hub.vanish, "cut": hub.cut}[name]()


async def traffic(hub: ModelHub, changes: int, apart_seconds: float) -> None:
    """Make changes at intervals."""
    for _ in range(changes):
        hub.change()
        await asyncio.sleep(apart_seconds)


@pytest.fixture(autouse=True)
def model_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the modules that ask for the time of day ask the model's loop."""
    clock = SimpleNamespace(
        time=lambda: asyncio.get_running_loop().time(), monotonic=lambda: asyncio.get_running_loop().time()
    )
    monkeypatch.setattr(pipeline, "random", SimpleNamespace(random=lambda: 0.5))
    monkeypatch.setattr(session_module, "time", clock)
    monkeypatch.setattr(intake_module, "time", clock)


# Where rules usually break; every rule is tried on these first, whatever else is thought of.
_TRAFFIC: list[Step] = [("changes", 0.05), ("changes", 0.05)]
CLASSIC: list[tuple[Faults, list[Step]]] = [
    (Faults(), [*_TRAFFIC, ("cut", 0.0), ("changes", 0.3), ("changes", 0.3), ("changes", 0.3)]),
    (Faults(), [*_TRAFFIC, ("abort", 0.0), ("changes", 0.004), ("changes", 0.004), ("changes", 0.004)]),
    (Faults(disk_seconds=0.4), [*_TRAFFIC, ("kill", 2.0), ("changes", 0.05)]),
    (Faults(), [*_TRAFFIC, ("wait", 2.0), ("kill", 0.3), *_TRAFFIC, ("kill", 0.0), *_TRAFFIC]),
    (Faults(), [*_TRAFFIC, ("hold", 2.0), ("changes", 0.1), ("wait", 0.6), ("abort", 0.0), *_TRAFFIC]),
    (Faults(), [*_TRAFFIC, ("slow", 2.0), *[("changes", 0.3)] * 2, ("abort", 0.0), ("slow", 0.0), *_TRAFFIC]),
    (Faults(), [*_TRAFFIC, ("forget", 0.0), *[("changes", 0.3)] * 6]),
    (Faults(recycle_seconds=1.0), [("changes", 0.05)] * 8),
    (Faults(recycle_seconds=1.0, disk_seconds=0.4), [("changes", 0.01)] * 20),
    (Faults(recycle_seconds=1.0), [*_TRAFFIC, ("refuse", 0.0), *_TRAFFIC * 3, ("accept", 0.0), *_TRAFFIC * 2]),
    (Faults(recycle_seconds=3.0), [("changes", 0.3)] * 4 + [("forget", 0.0)] + [("changes", 0.3)] * 6),
    (Faults(), [("forget and kill", 0.0), *_TRAFFIC]),
    (Faults(), [("forget and restart", 0.3), *_TRAFFIC]),
    (Faults(), [("forget and lose the second", 0.0), *_TRAFFIC]),
    (Faults(beside=False), [*_TRAFFIC, ("slow", 0.3), ("forget", 0.0), *_TRAFFIC]),
    (Faults(), [*_TRAFFIC, ("hold", 4.0), ("wait", 2.0), ("changes", 0.05), ("vanish", 0.0), *[("changes", 0.2)] * 2]),
    (Faults(), [*_TRAFFIC, ("full", 2.0), *_TRAFFIC * 3]),
    (Faults(), [*_TRAFFIC, ("restart", 2.0), *_TRAFFIC]),
    (Faults(), [("slow", 0.9), *_TRAFFIC, ("abort", 0.0), ("wait", 30.0), ("wait", 0.92), ("close", 0.0), *_TRAFFIC]),
]


def check(examples: int) -> None:
    """Try the classic schedules and so many others; raises for the first one that shows a fault."""

    @settings(
        max_examples=max(examples, 1),
        deadline=None,
        database=None,
        derandomize=not NIGHTLY,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(parameters, schedules)
    def holds(faults: Faults, schedule: list[Step]) -> None:
        assert faults_of(run(play(faults, schedule))) == [], (faults, schedule)

    for faults, schedule in CLASSIC:
        assert faults_of(run(play(faults, schedule))) == [], (faults, schedule)
    if examples:
        holds()


def test_nothing_is_hidden_whatever_happens() -> None:
    """What the stream does not have lies in a window; none is told twice or too wide, nothing repeats or overtakes."""
    check(EXAMPLES)


Mutant = Callable[[pytest.MonkeyPatch], None]


def window_from_the_close_callback(patch: pytest.MonkeyPatch) -> None:
    """It begins when the loss is noticed."""
    whole = Sight.lost

    def lost(self: Sight, cause: str, since: float | None = None) -> None:
        if self.cause is None and self.proved_at is not None:
            self.proved_at = asyncio.get_running_loop().time()
        whole(self, cause, since)

    patch.setattr(Sight, "lost", lost)


def window_to_the_connection(patch: pytest.MonkeyPatch) -> None:
    """It ends before the subscription is confirmed."""
    whole = Session.subscribe

    async def subscribe(self: Session, wanted: Any) -> None:
        began_at = asyncio.get_running_loop().time()
        await whole(self, wanted)
        self.proof.subscribed_at = began_at

    patch.setattr(Session, "subscribe", subscribe)


def proof_not_durable(patch: pytest.MonkeyPatch) -> None:
    """After a kill the bridge takes the moment of its start for the last that was proved."""
    whole = Sight.__init__

    def init(self: Sight, proved_at: float | None, cause: str) -> None:
        whole(self, proved_at and asyncio.get_running_loop().time(), cause)

    patch.setattr(Sight, "__init__", init)


def pings_are_proof_for_ever(patch: pytest.MonkeyPatch) -> None:
    """A forgotten subscription is never doubted."""
    patch.setattr(Doubt, "ask", lambda *_: False)


def what_is_heard_was_just_sent(patch: pytest.MonkeyPatch) -> None:
    """What was heard was sent just then, however long the network held it."""
    patch.setattr(Proof, "_time", lambda _: None)


def repeats_are_stored(patch: pytest.MonkeyPatch) -> None:
    """Two connections hear the same, and both are stored."""
    patch.setattr(VersionMemory, "sift", lambda _, messages: Sifted(list(messages)))


def the_first_is_dropped_unread(patch: pytest.MonkeyPatch) -> None:
    """A successor takes over while the first still has something to give."""
    whole = relay_module._Relay._missed

    def missed(self: Any, session: Session, hand_over: Any, error: Any) -> Any:
        hand_over.held.session._backlog.clear()
        return whole(self, session, hand_over, error)

    patch.setattr(relay_module._Relay, "_missed", missed)


def deafness_is_not_told(patch: pytest.MonkeyPatch) -> None:
    """The successor is believed to have missed no more than the first."""
    patch.setattr(relay_module._Relay, "_missed", lambda *_: None)


def a_late_ping_was_just_sent(patch: pytest.MonkeyPatch) -> None:
    """An event shows that the network has held it, and not that it has held the pings before."""
    whole = Proof._time

    def timed(self: Proof) -> None:
        pinged = self._untimed_until
        whole(self)
        self._untimed_until = pinged

    patch.setattr(Proof, "_time", timed)


def what_is_heard_while_leaving_is_proof(patch: pytest.MonkeyPatch) -> None:
    """Whoever has asked to be unsubscribed still believes to hear everything, and no longer doubts it."""
    whole = relay_module._Relay._reason

    def reason(self: Any, now: float) -> str | None:
        self._breaking, breaking = False, self._breaking
        try:
            return whole(self, now)
        finally:
            self._breaking = breaking

    patch.setattr(relay_module._Relay, "_reason", reason)
    patch.setattr(Proof, "freeze", lambda _: None)


def an_undecided_comparison_is_believed(patch: pytest.MonkeyPatch) -> None:
    """Of two connections that were still being compared the first one is taken to have heard everything."""
    whole = relay_module._Relay._missed

    def missed(self: Any, session: Session, hand_over: Any, error: Any) -> Any:
        hand_over.verdict = "hears" if hand_over.verdict == "undecided" else hand_over.verdict
        return whole(self, session, hand_over, error)

    patch.setattr(relay_module._Relay, "_missed", missed)


@pytest.mark.parametrize(
    "mutant",
    [
        window_from_the_close_callback,
        window_to_the_connection,
        proof_not_durable,
        pings_are_proof_for_ever,
        what_is_heard_was_just_sent,
        repeats_are_stored,
        the_first_is_dropped_unread,
        deafness_is_not_told,
        a_late_ping_was_just_sent,
        what_is_heard_while_leaving_is_proof,
        an_undecided_comparison_is_believed,
    ],
)
def test_a_wrong_rule_is_found_out(monkeypatch: pytest.MonkeyPatch, mutant: Mutant) -> None:
    mutant(monkeypatch)

    with pytest.raises(AssertionError):
        check(0)
