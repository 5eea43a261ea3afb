"""Latency under a load that lasts, at 70 % of a rate that everything together kept up with for seconds.

A burst is no measure of that: the hub is done with it long before the bridge, and what it took of the cores is free. So
a rate counts that the hub sent and the subscriber got, with nothing waiting in between. A burst's is the first that is
tried, then lower ones in steps of a tenth.
"""

from functools import partial

from tests.bench.contender import OURS, PEER, Contender, Place, running, usage
from tests.bench.ground import SINKS
from tests.bench.load import burst, watching
from tests.bench.measure import at_rate, throughput
from tests.bench.performance.session import Session
from tests.bench.report import percentile
from tests.bench.subscriber import Seen

__all__ = ["SHARE", "kept_up", "sustained"]

SHARE = 0.7
_EVENTS = 60_000
_ROUNDS, _PAIR = 3, 2
_TRY_SECONDS, _TRIES, _STEP = 4, 12, 0.9
_BEHIND_SECONDS, _REACHED = 0.1, 0.97


def sustained(session: Session) -> None:
    """Measure our maximum, then the latency at a share of it: ours and the .NET bridge's, each first in turn."""
    who = session.contenders()
    for turn in session.turns(_ROUNDS):
        for sink in SINKS:
            title, column = f"round {turn + 1}: {sink}", {OURS: sink, PEER: f"{sink}, {PEER}"}
            known = _rates(session, sink)
            session.take(f"{title}, maximum", sink, lambda s=sink: _maximum(session, who[0], s))
            for rate in _rates(session, sink)[len(known) :]:
                for each in who[:: -1 if turn % _PAIR else 1]:
                    run = partial(_latency, session, each, sink, rate)
                    session.take(f"{title}, {each.name}", column[each.name], run)


def _rates(session: Session, sink: str) -> list[float]:
    """Give the rates of the rounds whose maximum was found."""
    return [*session.figures.get("rate, messages/s", {}).get(sink, [])]


def kept_up(seen: Seen, events: int, rate: float) -> bool:
    """Say whether a rate was reached, and whether the last tenth came soon after it was sent, by the median."""
    if seen.count < events:
        raise AssertionError(f"{seen.count} of {events} messages arrived")
    reached = (events - 1) / max(seen.last_at - seen.first_at, 1e-9)
    late = percentile(seen.latencies[-max(events // 10, 1) :], 0.5)
    return reached >= _REACHED * rate and late <= _BEHIND_SECONDS


def _maximum(session: Session, who: Contender, sink: str) -> dict[str, float]:
    """Go down from a burst's rate until everything keeps up."""
    ground = session.ground
    thrown = throughput(who, ground.hub, ground.broker(sink), sink, session.burst(sink, _EVENTS))
    rates = [thrown[f"{sink}: messages/s"] * _STEP**step for step in range(_TRIES)]
    place = session.place(sink)
    with running(who, place):
        highest = next((rate for rate in rates if _tried(place, rate)), None)
    if highest is None:
        raise AssertionError(f"nobody keeps up with {rates[-1]:,.0f}/s")
    return {
        "maximum, messages/s": highest,
        "rate, messages/s": int(SHARE * highest),
        "burst before: missing": thrown[f"{sink}: missing"],
    }


def _tried(place: Place, rate: float) -> bool:
    events = int(rate * _TRY_SECONDS)
    with watching(place, 1, events, sampled=True) as watch:
        burst(place, events + 1, rate)
        return kept_up(watch.result(), events, rate)


def _latency(session: Session, who: Contender, sink: str, rate: float) -> dict[str, float]:
    place = session.place(sink)
    with running(who, place) as pid:
        found = at_rate(place, int(rate))
        resident = usage(pid).resident_mib
    return {"RSS, MiB": resident} | {figure.partition("/s ")[2]: value for figure, value in found.items()}
