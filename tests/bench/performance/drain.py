"""An outage of one broker under live load: how fast its backlog drains, and what the other broker's latency does.

The broker is frozen, which no connection survives for long and no client can tell from a slow one. The load goes on.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from tests.bench.contender import Place, ours, running
from tests.bench.ground import SINKS
from tests.bench.load import KafkaWatch, burst, watching
from tests.bench.performance.arrivals import Curve, caught_up, since
from tests.bench.performance.growth import together
from tests.bench.performance.session import Session
from tests.bench.report import percentile
from tests.bench.subscriber import Seen

__all__ = ["drain"]

_ROUNDS = 3
_WARM_SECONDS, _BEFORE_SECONDS, _OUTAGE_SECONDS, _AFTER_SECONDS = 2, 4, 6, 14
_SLACK_SECONDS = 0.2
_LOW_RATE, _SHARE = 1_000, 0.5
_LEAST_SECONDS = 1.0  # of a tenth of a second at 1,000/s, p99 would be the slowest but one


def drain(session: Session) -> None:
    """Measure an outage of each broker, at a low rate and at half of what both sinks take at once."""
    try:
        both = together(session, SINKS, session.events(30_000))["all of them: messages/s"]
    except (AssertionError, OSError) as error:
        session.failed.append(f"both at once: {error}")
        return
    half = int(_SHARE * both / 100) * 100
    session.notes["half of what both take"] = f"{half:,}/s"
    for turn in session.turns(_ROUNDS):
        for stopped in SINKS:
            for name, a_second in ((f"{_LOW_RATE:,}/s", _LOW_RATE), ("half", half)):
                column = f"{stopped} stops, {name}"
                title = f"round {turn + 1}: {column}"
                session.take(title, column, lambda s=stopped, r=a_second: _once(session, s, r))


def _once(session: Session, stopped: str, a_second: int) -> dict[str, float]:
    other = next(name for name in SINKS if name != stopped)
    here = session.place(stopped)
    there = Place(here.hub, session.ground.broker(other), other, here.resources)
    who = ours("both", {"SINKS": ",".join(SINKS)} | dict(there.address))
    warm = a_second * _WARM_SECONDS
    events = a_second * (_BEFORE_SECONDS + _OUTAGE_SECONDS + _AFTER_SECONDS)
    with (
        watching(here, warm, events, sampled=False, stamped=True) as gone,
        watching(there, warm, events, sampled=True) as live,
        running(who, here),
        ThreadPoolExecutor(1) as beside,
    ):
        watched = beside.submit(live.result)
        burst(here, warm + events, a_second)
        time.sleep(_WARM_SECONDS + _BEFORE_SECONDS)
        resumed = _frozen(here)
        seen = watched.result()
        arrived = gone.result()
        curve = gone.arrivals(60) if isinstance(gone, KafkaWatch) else arrived.curve
    if seen.count < events or arrived.count < events:
        raise AssertionError(f"{seen.count} and {arrived.count} of {events} messages arrived")
    return _figures(seen, curve, resumed, a_second)


def _figures(seen: Seen, curve: Curve, resumed: float, a_second: int) -> dict[str, float]:
    """Take apart what came to the broker that was away, and the latency at the other one by what went on meanwhile."""
    began = seen.first_at
    there = max((count for moment, count in curve if moment < resumed), default=0)
    ends = began + _BEFORE_SECONDS + _OUTAGE_SECONDS + _AFTER_SECONDS
    loaded = [point for point in since(curve, resumed) if point[0] <= ends]
    even = caught_up(loaded, began, a_second, _SLACK_SECONDS)
    end, count = even or loaded[-1]
    drained = (count - there) / (end - resumed)
    steps = [0.0, _BEFORE_SECONDS, resumed - began, max(end, resumed + _LEAST_SECONDS) - began]
    parts = [seen.latencies[int(a_second * start) : int(a_second * end) + 1] for start, end in pairwise(steps)]
    before, outage, during = (percentile(part, 0.99) * 1000 for part in parts)
    back = {"back until nothing waited, s": end - resumed} if even else {}
    return back | {
        "live, messages/s": a_second,
        "waiting when it came back": a_second * (resumed - began) - there,
        "drained, messages/s": drained,
        "drained : live": drained / a_second,
        "p99 of the other before, ms": before,
        "p99 of the other during the outage, ms": outage,
        "p99 of the other while it drained, ms": during,
        "slowest of the other while it drained, ms": max(parts[-1]) * 1000,
    }


def _frozen(place: Place) -> float:
    """Freeze a broker for a while; give when it went on."""
    place.broker.pause()
    try:
        time.sleep(_OUTAGE_SECONDS)
    finally:
        place.broker.resume()
    return time.time()
