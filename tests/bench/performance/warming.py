"""Before a part: the hub and the brokers do what they will be measured at until their compilers have nothing to do.

A Kafka that was just started takes 67 us of CPU a message, and 25 after half a million; the hub 45 and 13. That comes
out of the cores that a bridge shares with them.
"""

from functools import partial

from tests.bench.contender import ours
from tests.bench.measure import throughput
from tests.bench.performance.session import Session

__all__ = ["warm"]

_EVENTS = 60_000
_TURNS = {"kafka": 4, "mqtt": 1}


def warm(session: Session) -> None:
    """Flood each broker through our bridge."""
    hub = session.ground.hub
    for sink, turns in _TURNS.items():
        broker = session.ground.broker(sink)
        run = partial(throughput, ours("warm", {}), hub, broker, sink, session.burst(sink, _EVENTS))
        session.warm_up((f"{sink}, {turn + 1}", run) for turn in range(turns))
