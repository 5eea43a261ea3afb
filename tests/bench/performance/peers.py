"""The main table, recorded: throughput, latency and memory, beside the .NET bridge where it is there."""

from functools import partial

from tests.bench.contender import Contender
from tests.bench.ground import SINKS
from tests.bench.measure import latency, throughput
from tests.bench.performance.session import Session

__all__ = ["peers"]

_EVENTS = 60_000
_ROUNDS, _LATENCY_ROUNDS = 5, 3
_PAIR = 2


def peers(session: Session) -> None:
    """Measure round after round, latencies first, each contender's turn being first in turn."""
    who = session.contenders()
    hub = session.ground.hub
    runs = {sink: partial(latency, hub=hub, broker=session.ground.broker(sink), sink=sink) for sink in SINKS}
    for turn in session.turns(_LATENCY_ROUNDS):
        for sink, run in runs.items():
            for each in who[:: -1 if turn % _PAIR else 1]:
                session.take(f"round {turn + 1}: {sink} latency, {each.name}", each.name, lambda w=each, r=run: r(w))
    for turn in session.turns(_ROUNDS):
        for sink in SINKS:
            for each in who[:: -1 if turn % _PAIR else 1]:
                title = f"round {turn + 1}: {sink} throughput, {each.name}"
                session.take(title, each.name, lambda w=each, s=sink: _thrown(session, w, s))


def _thrown(session: Session, who: Contender, sink: str) -> dict[str, float]:
    events = session.burst(sink, _EVENTS)
    return throughput(who, session.ground.hub, session.ground.broker(sink), sink, events)
