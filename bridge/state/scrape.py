"""The metrics of the state topics, read when they are scraped, as those of `bridge.scrape` are."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from bridge.labels import DEAD_LETTER_REASONS, known
from bridge.scrape import PREFIX
from bridge.state.numbers import Numbers

__all__ = ["StateAtScrape"]


class StateAtScrape:
    """A collector; `connected` is asked by sink, `waiting` how many events the store has still to take.

    `held` is whether an operator must remove what keeps it from taking them.
    """

    def __init__(
        self,
        numbers: Numbers,
        connected: Mapping[str, Callable[[], bool]],
        waiting: Callable[[], int],
        held: Callable[[], bool],
    ) -> None:
        self._numbers = numbers
        self._connected = connected
        self._waiting = waiting
        self._held = held

    def collect(self) -> Iterator[Metric]:
        """Give every family, as prometheus-client asks a collector to."""
        yield from self._store()
        yield from self._sinks()

    def _store(self) -> Iterable[Metric]:
        numbers = self._numbers
        for name, text, value in (
            ("state_store_lag_events", "Events accepted and not yet in the state store.", self._waiting()),
            ("state_store_held", "1 when an operator must remove what keeps the store from taking them.", self._held()),
            ("state_store_bytes", "Bytes of the state store in use.", numbers.used_bytes),
            ("state_store_capacity_bytes", "Bytes that it may use.", numbers.max_bytes),
        ):
            yield GaugeMetricFamily(PREFIX + name, text, value=value)
        for name, text, value in (
            ("state_forgotten", "States that were forgotten for want of room.", numbers.forgotten),
            ("state_missed_events", "Events that no state shows, settled while it was off.", numbers.missed),
        ):
            yield CounterMetricFamily(PREFIX + name, text, value=value)

    def _sinks(self) -> Iterable[Metric]:
        connected = _gauge("state_connected", "1 when connected to the broker for states.")
        lag = _gauge("state_lag_changes", "Changes of states not yet published, before they are coalesced.")
        age = _gauge("state_lag_seconds", "Age of the oldest of them; 0 when there is none.")
        published = CounterMetricFamily(PREFIX + "state_published", "States that brokers confirmed.", labels=("sink",))
        rejected = CounterMetricFamily(
            PREFIX + "state_rejected", "States the sink will never take.", labels=("sink", "reason")
        )
        damaged = CounterMetricFamily(
            PREFIX + "state_damaged", "States left out, since the disk has spoilt them.", labels=("sink",)
        )
        now = time.time()
        for sink, found in self._numbers.publications.items():
            changes, seconds = self._numbers.lag(sink, now)
            connected.add_metric((sink,), self._connected[sink]())
            lag.add_metric((sink,), changes)
            age.add_metric((sink,), seconds)
            published.add_metric((sink,), found.published)
            damaged.add_metric((sink,), found.damaged)
            for reason, count in _by_reason(found.rejected).items():
                rejected.add_metric((sink, reason), count)
        return connected, lag, age, published, rejected, damaged


def _gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, labels=("sink",))


def _by_reason(found: Mapping[str, int]) -> Mapping[str, int]:
    counts = dict.fromkeys(DEAD_LETTER_REASONS, 0)
    for reason, count in found.items():
        counts[known(reason, DEAD_LETTER_REASONS)] += count
    return counts
