"""A histogram that is filled by the batch: one bisection a value instead of a call into the client library.

Used by `bridge.metrics`.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily

__all__ = ["Distribution"]


class Distribution:
    """Counts by upper bounds, in the unit of its metric, each included."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value as often as it occurred."""
        self._counts[bisect_left(self._bounds, value)] += times
        self._sum += value * times

    def observe_all(self, values: Iterable[float]) -> None:
        """Count each of some values."""
        bounds, counts, total = self._bounds, self._counts, 0.0
        for value in values:
            counts[bisect_left(bounds, value)] += 1
            total += value
        self._sum += total

    def observe_ages(self, moments: Iterable[float], now: float) -> None:
        """Count how long ago each of some moments was, in seconds."""
        self.observe_all([now - moment for moment in moments])

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Write the buckets, cumulated as the exposition format wants them, and the sum."""
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        family.add_metric(labels, list(zip(names, map(float, accumulate(self._counts)), strict=True)), self._sum)
