"""What was promised, and whether it is kept: the targets by their figures.

Pure. A figure counts by the median of its rounds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from tests.bench.performance.record import Measured

__all__ = ["TARGETS", "Records", "Target", "judged"]

Records = Mapping[str, Measured]
Value = Callable[[Records], float | None]
_SINKS = {"kafka": "Kafka", "mqtt": "MQTT"}


@dataclass(frozen=True, slots=True)
class Target:
    """A promise: `value` is to be at least or at most `bound`; `aim` is what would be better still."""

    text: str
    value: Value
    bound: float
    at_least: bool = False
    aim: float | None = None

    def wanted(self) -> str:
        """Write what is wanted."""
        aim = "" if self.aim is None else f", aim {self.aim:g}"
        return f"{'>=' if self.at_least else '<='} {self.bound:g}{aim}"

    def kept(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound


def judged(records: Records, target: Target) -> tuple[str, str]:
    """Give the figure and the verdict, as they are written."""
    value = target.value(records)
    if value is None:
        return "-", "not measured"
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}", "met" if target.kept(value) else "**missed**"


def _of(part: str, figure: str, column: str) -> Value:
    def value(records: Records) -> float | None:
        rounds = records[part].figures.get(figure, {}).get(column) if part in records else None
        return median(rounds) if rounds else None

    return value


def _ratio(above: Value, *below: Value) -> Value:
    """Give the first as a multiple of the smallest of the others."""

    def value(records: Records) -> float | None:
        first, others = above(records), [each(records) for each in below]
        known = [other for other in others if other]
        return None if first is None or len(known) < len(others) else first / min(known)

    return value


def _side_by_side() -> Iterator[Target]:
    for sink, least, most in (("kafka", 0.7, 30), ("mqtt", 0.6, 60)):
        rate, cpu = f"{sink}: messages/s", f"{sink}: CPU us a message"
        beside = _ratio(_of("peers", rate, "ours"), _of("peers", rate, "dotnet"))
        yield Target(f"{_SINKS[sink]}: rate, as a multiple of the .NET bridge's", beside, least, at_least=True, aim=1)
        yield Target(f"{_SINKS[sink]}: CPU a message, us", _of("peers", cpu, "ours"), most)
    rate = "all of them: messages/s"
    alone = [_of("sinks", rate, sink) for sink in _SINKS]
    both = _ratio(_of("sinks", rate, "kafka+mqtt"), *alone)
    yield Target("both sinks at once: rate, as a multiple of the slower one's alone", both, 0.8, at_least=True)


def _latencies() -> Iterator[Target]:
    for rate in ("100/s", "1,000/s"):
        yield Target(f"MQTT: p50 at {rate}, ms", _of("peers", f"mqtt: {rate} p50, ms", "ours"), 3)
        yield Target(f"MQTT: p99 at {rate}, ms", _of("peers", f"mqtt: {rate} p99, ms", "ours"), 15)
        yield Target(f"Kafka: p99 at {rate}, ms", _of("peers", f"kafka: {rate} p99, ms", "ours"), 20)
    for sink, name in _SINKS.items():
        yield Target(f"{name}: p99 at 70 % of the sustained maximum, ms", _of("sustained", "p99, ms", sink), 50)


def _lasting() -> Iterator[Target]:
    for sink, name in _SINKS.items():
        yield Target(f"{name}: RSS at 1,000/s, MiB", _of("peers", f"{sink}: RSS at 1,000/s, MiB", "ours"), 128)
        peak = _of("peers", f"{sink}: peak RSS under full load, MiB", "ours")
        yield Target(f"{name}: peak RSS under full load, MiB", peak, 160)
        yield Target(f"{name}: start to subscribed, s", _of("start", "from start to subscribed, s", sink), 2)
    grown = _of("endurance", "RSS at the end less RSS when settled, MiB", "all")
    yield Target("a million messages and a thousand reconnects: growth of RSS, MiB", grown, 20)
    for sink, name in _SINKS.items():
        for rate, most in (("1,000/s", {"kafka": 15, "mqtt": 20}[sink]), ("half", 50)):
            column = f"{sink} stops, {rate}"
            live = "half of what both sinks take" if rate == "half" else rate
            drained = _of("drain", "drained : live", column)
            yield Target(f"{name} was away, {live}: drain, as a multiple of the live rate", drained, 1.5, at_least=True)
            other = _of("drain", "p99 of the other while it drained, ms", column)
            yield Target(f"{name} was away, {live}: p99 of the other sink meanwhile, ms", other, most)


def _growing() -> Iterator[Target]:
    for sink, name in _SINKS.items():
        figure = f"{sink}: rows delivered/s"
        value = _ratio(_of("backlog", figure, "1000000"), _of("backlog", figure, "1000"))
        yield Target(
            f"{name}: rate of a backlog of a million rows, as a multiple of a thousand's", value, 0.9, at_least=True
        )


TARGETS = (*_side_by_side(), *_latencies(), *_lasting(), *_growing())
