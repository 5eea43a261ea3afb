"""One contender, one broker, one round: what it gives, as figures by name."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from uuid import uuid4

from confluent_kafka import KafkaException

from tests.bench.contender import Contender, Place, running, usage
from tests.bench.load import PLAIN, Load, burst, watching
from tests.bench.report import Figures, percentile
from tests.brokers import Hub, KafkaBroker, MqttBroker
from tests.support import wait_until

__all__ = [
    "RATES",
    "WARM_EVENTS",
    "Broker",
    "Run",
    "at_rate",
    "flood",
    "latency",
    "new_place",
    "noted",
    "throughput",
]

Broker = KafkaBroker | MqttBroker
Run = Callable[[Contender], dict[str, float]]

RATES = (100, 1000)
WARM_EVENTS = 5_000
_WARM_SECONDS = 60
_LATENCY_SECONDS = 10
_LATENCY_WARM_SECONDS = 1


def throughput(who: Contender, hub: Hub, broker: Broker, sink: str, events: int) -> dict[str, float]:
    """Send events as fast as the bridge takes them, after a warm-up; measure at the broker and in the kernel."""
    return flood(who, [new_place(hub, broker, sink)], events)


def flood(
    who: Contender, places: Sequence[Place], events: int, load: Load = PLAIN, warm: int = WARM_EVENTS
) -> dict[str, float]:
    """Do so with notifications of any kind, for a bridge with one sink or more; the CPU time is that of all of them."""
    with ExitStack() as stack:
        watches = [stack.enter_context(watching(place, warm, events, sampled=False)) for place in places]
        pid = stack.enter_context(running(who, places[0]))
        burst(places[0], warm, 0, load)
        for watch in watches:
            wait_until(watch.warm, _WARM_SECONDS, f"the warm-up of {who.name} has arrived")
        before = usage(pid).cpu_seconds
        burst(places[0], events, 0, load)
        seen = {place.sink: watch.result() for place, watch in zip(places, watches, strict=True)}
        used = usage(pid)
    figures: dict[str, float] = {}
    for sink, found in seen.items():
        if found.count < 2:
            raise AssertionError(f"{found.count} of {events} messages arrived")
        figures |= {
            f"{sink}: messages/s": (found.count - 1) / (found.last_at - found.first_at),
            f"{sink}: CPU us a message": (used.cpu_seconds - before) / found.count * 1e6,
            f"{sink}: peak RSS under full load, MiB": used.peak_mib,
            f"{sink}: missing": events - found.count,
        }
    return figures


def latency(who: Contender, hub: Hub, broker: Broker, sink: str) -> dict[str, float]:
    """Send at a few rates and take the time from the hub's stamp to a subscriber; memory at the highest of them."""
    figures: dict[str, float] = {}
    place = new_place(hub, broker, sink)
    with running(who, place) as pid:
        for rate in RATES:
            figures |= at_rate(place, rate)
        used = usage(pid)
    figures[f"{sink}: RSS at {RATES[-1]:,}/s, MiB"] = used.resident_mib
    figures[f"{sink}: peak RSS, MiB"] = used.peak_mib
    return figures


def at_rate(place: Place, rate: int) -> dict[str, float]:
    """Send at a rate and give the percentiles of the latency."""
    warm, events = rate * _LATENCY_WARM_SECONDS, rate * _LATENCY_SECONDS
    with watching(place, warm, events, sampled=True) as watch:
        burst(place, warm + events, rate)
        seen = watch.result()
    if not seen.latencies:
        raise AssertionError(f"none of {events} messages arrived")
    name = f"{place.sink}: {rate:,}/s"
    return {
        f"{name} p50, ms": percentile(seen.latencies, 0.5) * 1000,
        f"{name} p99, ms": percentile(seen.latencies, 0.99) * 1000,
        f"{name} max, ms": max(seen.latencies) * 1000,
        f"{name} missing": events - seen.count,
    }


def noted(title: str, who: Contender, run: Run, figures: Figures) -> bool:
    """Measure a contender once, print what it gave and add it to the figures; say whether it gave any."""
    try:
        values = run(who)
    except (AssertionError, KafkaException, OSError, ValueError) as error:
        print(f"{title}: no figures: {error!r}", flush=True)
        return False
    for name, value in values.items():
        figures.setdefault(name, {}).setdefault(who.name, []).append(value)
    print(
        f"{title}: " + ", ".join(f"{name.partition(': ')[2]} {value:,.1f}" for name, value in values.items()),
        flush=True,
    )
    return True


def new_place(hub: Hub, broker: Broker, sink: str, resources: int = 1) -> Place:
    """Take resources of its own for every round, and so topics of its own: the peers' names cannot be set."""
    return Place(hub, broker, sink, tuple(f"bench{uuid4().hex[:8]}" for _ in range(resources)))
