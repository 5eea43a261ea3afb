"""Latency under a load that lasts, at 70 % of the highest rate that the bridge keeps up with for seconds.

A burst is no measure of that: the hub is done with it long before the bridge, and what it took of the cores is free.
"""

from tests.bench.contender import PEER, Contender, contender, ours, running, usage
from tests.bench.ground import SINKS
from tests.bench.load import burst, watching
from tests.bench.measure import at_rate, new_place, throughput
from tests.bench.performance.session import Session
from tests.bench.report import percentile

__all__ = ["SHARE", "sustained"]

SHARE = 0.7
_EVENTS = 60_000
_ROUNDS = 3
_TRY_SECONDS, _TRIES, _STEP = 4, 12, 0.9
_BEHIND_SECONDS = 0.1
"""Who keeps up is not that late with the last tenth of a try."""


def sustained(session: Session) -> None:
    """Measure the maximum, then the latency at a share of it, for each sink; the .NET bridge has the same rate."""
    peer = contender(PEER)
    if isinstance(peer, str):
        session.notes[f"without {PEER}"] = peer
    for turn in session.turns(_ROUNDS):
        for sink in SINKS:
            title = f"round {turn + 1}: {sink}"
            rates: list[int] = []
            session.take(title, sink, lambda s=sink, r=rates: _round(session, s, r))
            if rates and not isinstance(peer, str):
                name = f"{sink}, {PEER}"
                session.take(f"{title}, {PEER}", name, lambda s=sink, r=rates[0]: _latency(session, peer, s, r))


def _round(session: Session, sink: str, rates: list[int]) -> dict[str, float]:
    who, ground = ours("ours", {}), session.ground
    thrown = throughput(who, ground.hub, ground.broker(sink), sink, session.burst(sink, _EVENTS))
    highest = _highest(session, who, sink, thrown[f"{sink}: messages/s"])
    rates.append(int(SHARE * highest))
    return {"maximum, messages/s": highest, "rate, messages/s": rates[0]} | _latency(session, who, sink, rates[0])


def _highest(session: Session, who: Contender, sink: str, rate: float) -> int:
    """Go down from a rate until the bridge keeps up."""
    place = session.place(sink)
    with running(who, place):
        for _ in range(_TRIES):
            events = int(rate * _TRY_SECONDS)
            with watching(place, 1, events - 1, sampled=True) as watch:
                burst(place, events, rate)
                seen = watch.result()
            late = seen.latencies[-events // 10 :]
            if seen.count == events - 1 and percentile(late, 0.5) <= _BEHIND_SECONDS:
                return int(rate)
            rate *= _STEP
    raise AssertionError(f"it does not keep up with {rate:,.0f}/s")


def _latency(session: Session, who: Contender, sink: str, rate: int) -> dict[str, float]:
    place = new_place(session.ground.hub, session.ground.broker(sink), sink)
    with running(who, place) as pid:
        found = at_rate(place, rate)
        resident = usage(pid).resident_mib
    return {"RSS, MiB": resident} | {figure.partition("/s ")[2]: value for figure, value in found.items()}
