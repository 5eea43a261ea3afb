"""Latency under a load that lasts: at 70 % of the rate that the same round has just reached."""

from tests.bench.contender import ours, running, usage
from tests.bench.ground import SINKS
from tests.bench.measure import at_rate, throughput
from tests.bench.performance.session import Session

__all__ = ["SHARE", "sustained"]

SHARE = 0.7
_EVENTS = 60_000
_ROUNDS = 3


def sustained(session: Session) -> None:
    """Measure the maximum, then the latency at a share of it, for each sink."""
    for turn in session.turns(_ROUNDS):
        for sink in SINKS:
            session.take(f"round {turn + 1}: {sink}", sink, lambda s=sink: _round(session, s))


def _round(session: Session, sink: str) -> dict[str, float]:
    who = ours("ours", {})
    events = session.burst(sink, _EVENTS)
    highest = throughput(who, session.ground.hub, session.ground.broker(sink), sink, events)
    rate = int(SHARE * highest[f"{sink}: messages/s"])
    place = session.place(sink)
    with running(who, place) as pid:
        found = at_rate(place, rate)
        resident = usage(pid).resident_mib
    named = {name.partition("/s ")[2]: value for name, value in found.items()}
    return {
        "maximum, messages/s": highest[f"{sink}: messages/s"],
        "rate, messages/s": rate,
        "RSS, MiB": resident,
    } | named
