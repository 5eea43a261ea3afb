"""Before a part: hub and brokers do what they will be measured at, until their compilers have little to do.

Of a Kafka that was just started a message takes 67 us of CPU, and 25 after a quarter of a million; of the hub 45 and
13. That comes out of the cores that a bridge shares with them.
"""

from functools import partial

from tests.bench.measure import throughput
from tests.bench.performance.session import Session

__all__ = ["warm"]

_EVENTS = 60_000
_TURNS = {"kafka": 4, "mqtt": 1}


def warm(session: Session) -> None:
    """Flood each broker, Kafka through our bridge and the .NET bridge in turn, where that is there."""
    who = session.contenders()
    for sink, turns in _TURNS.items():
        hub, broker, events = session.ground.hub, session.ground.broker(sink), session.burst(sink, _EVENTS)
        floods = [partial(throughput, each, hub, broker, sink, events) for each in who]
        session.warm_up((f"{sink}, {turn + 1}", floods[turn % len(floods)]) for turn in range(turns))
