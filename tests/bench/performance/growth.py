"""How the rate changes with the work: the size of the body, the ids, the resources, the sinks."""

from collections.abc import Sequence

from tests.bench.contender import Contender, Place, ours
from tests.bench.ground import SINKS
from tests.bench.load import PLAIN, Load
from tests.bench.measure import flood
from tests.bench.performance.session import Session

__all__ = ["ids", "resources", "sinks", "sizes", "together"]

SIZES = {300: 60_000, 1_000: 60_000, 20_000: 10_000, 3_000_000: 100}
"""Events by bytes of their bodies; half of them for MQTT."""
IDS = (1, 1_000, 100_000)
RESOURCES = (1, 3, 20)
_EVENTS = 60_000
_ROUNDS, _FEW_ROUNDS = 3, 2
_LARGE = {"SINK__KAFKA__MAX_REQUEST_BYTES": "8388608"}
_WARM_SHARE, _WARM_MOST = 5, 5_000


def sizes(session: Session) -> None:
    """Measure bodies of 300 B to 3 MB into each sink alone."""
    for turn in session.turns(_FEW_ROUNDS):
        for sink in SINKS:
            for size, events in SIZES.items():
                further = _LARGE if sink == "kafka" else {}
                _one(session, turn, sink, f"{size}", events, Load(size=size), further=further)


def ids(session: Session) -> None:
    """Measure 1 to 100,000 ids into each sink alone, with enough events for each id to occur."""
    for turn in session.turns(_FEW_ROUNDS):
        for sink in SINKS:
            for number in IDS:
                _one(session, turn, sink, f"{number}", max(_EVENTS, 2 * number), Load(ids=number))


def resources(session: Session) -> None:
    """Measure 1 to 20 resources, each with a topic of its own, into each sink alone."""
    for turn in session.turns(_FEW_ROUNDS):
        for sink in SINKS:
            for number in RESOURCES:
                _one(session, turn, sink, f"{number}", _EVENTS, PLAIN, resources=number)


def sinks(session: Session) -> None:
    """Measure each sink alone, both at once, and both with the events on standard output as well."""
    events = session.events(_EVENTS // 2)
    for turn in session.turns(_ROUNDS):
        for names in (("kafka",), ("mqtt",), SINKS, (*SINKS, "stdout")):
            title = "+".join(names)
            session.take(f"round {turn + 1}: {title}", title, lambda n=names: together(session, n, events))


def together(session: Session, names: Sequence[str], events: int) -> dict[str, float]:
    """Measure one bridge with several sinks at each of their brokers; standard output ends in a file."""
    first = session.place(names[0])
    watched = [name for name in names if name in SINKS]
    places = [Place(first.hub, session.ground.broker(name), name, first.resources) for name in watched]
    settings = {"SINKS": ",".join(names)}
    for place in places:
        settings |= place.address
    found = flood(ours("+".join(names), settings), places, events)
    slowest = min(found[f"{name}: messages/s"] for name in watched)
    return found | {"all of them: messages/s": slowest}


def _one(
    session: Session,
    turn: int,
    sink: str,
    column: str,
    events: int,
    load: Load,
    *,
    resources: int = 1,
    further: dict[str, str] | None = None,
) -> None:
    count = session.burst(sink, events)
    title = f"round {turn + 1}: {sink}, {column}"
    session.take(title, column, lambda: _flooded(ours(title, further or {}), session, sink, count, load, resources))


def _flooded(who: Contender, session: Session, sink: str, events: int, load: Load, resources: int) -> dict[str, float]:
    warm = max(2, min(_WARM_MOST, events // _WARM_SHARE))
    return flood(who, [session.place(sink, resources)], events, load, warm)
