"""The catalogue of metrics: every name and label that the bridge exports stands here, and only here.

Names and labels are a public interface. `bridge.pipeline` and the journal count; sinks and the source know nothing of
it. Every known label set starts at 0, since `increase()` misses what appears at 1. Queue ages and sizes are read at
scrape time, so that they neither freeze when idle nor lie after a restart.
"""

import platform
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, product

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from bridge import __version__
from bridge.blind import CAUSES
from bridge.ledger import INTAKE
from bridge.ports import SourceActivity
from bridge.sieve import GAP_CAUSES, Sifted

__all__ = ["CONNECT_RESULTS", "SINK_DISCONNECTS", "SOURCE_DISCONNECTS", "Catalogue", "Distribution", "known"]

_PREFIX = "portos_bridge_"
_LATENCY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)

# Closed sets: what an adapter reports beyond them counts as `other`.
CONNECT_RESULTS = ("ok", "unauthorized", "forbidden", "refused", "timeout", "tls", "protocol", "network", "other")
SOURCE_DISCONNECTS = (
    *(
        "server_close",
        "silence",
        "network",
        "unauthorized",
        "protocol",
        "oversize",
        "planned",
        "shed",
        "timeout",
        "other",
    ),
)
SINK_DISCONNECTS = (
    *("server_close", "silence", "network", "unauthorized", "refused", "protocol", "timeout", "taken_over"),
    *("session", "poison_batch", "contract", "other"),
)
DEAD_LETTER_REASONS = ("too_large", "reserved_topic", "invalid", "refused", "other")
FILTER_REASONS = ("resource", "action", "id", "sender")
INVALID_REASONS = ("json", "encoding", "shape", "other")
FRAME_TYPES = ("invocation", "completion", "ping", "close", "ack", "sequence", "other")
ATTEMPT_RESULTS = ("ok", "unavailable", "held", "rejected", "timeout")
DROP_REASONS = ("journal_full", "memory_full")
TOKEN_RESULTS = tuple(result for result in CONNECT_RESULTS if result != "other")


def known(word: str, words: Collection[str]) -> str:
    """Turn a word of an adapter into a label of a closed set."""
    return word if word in words else "other"


class Distribution:
    """A histogram that is filled by the batch: one bisection a value instead of a call into the client library."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value, in seconds, as often as it occurred."""
        self._counts[bisect_left(self._bounds, value)] += times
        self._sum += value * times

    def observe_ages(self, moments: Iterable[float], now: float) -> None:
        """Count how long ago each of some moments was."""
        bounds, counts, total = self._bounds, self._counts, 0.0
        for moment in moments:
            age = now - moment
            counts[bisect_left(bounds, age)] += 1
            total += age
        self._sum += total

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Write the buckets, cumulated as the exposition format wants them, and the sum."""
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        family.add_metric(labels, list(zip(names, map(float, accumulate(self._counts)), strict=True)), self._sum)


LagReading = tuple[int, int, float]
"""Lag of one sink when the metrics are scraped: events, bytes, seconds of the oldest."""

Readings = Callable[[], Mapping[str, float]]
"""The journal's numbers when the metrics are scraped: `events`, `bytes`, `capacity_bytes`, `corrupt_records`."""


class Catalogue:
    """All metrics of one bridge, on a registry of its own."""

    def __init__(self, site: str, sinks: Sequence[str], resources: Sequence[str], max_resources: int) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.site = site
        self._resources = frozenset(sorted(resources)[:max_resources])
        self._sinks = tuple(sinks)
        self._declare_source()
        self._declare_events()
        self._declare_sinks()
        self.commit = Distribution(_COMMIT_SECONDS)
        self.publish = {sink: Distribution(_LATENCY_SECONDS) for sink in sinks}
        self.delivery = {sink: Distribution(_LATENCY_SECONDS) for sink in sinks}
        self.end_to_end = {sink: Distribution(_LATENCY_SECONDS) for sink in sinks}
        self._start_at_zero()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(_PREFIX + name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(_PREFIX + name, text, labels, registry=self.registry)

    def _declare_source(self) -> None:
        info = self._gauge("build_info", "Version of the bridge; constant 1.", "version", "python")
        info.labels(__version__, platform.python_version()).set(1)
        self.loop_lag = self._gauge("event_loop_lag_seconds", "Worst lateness of the heartbeat in the last 30 seconds.")
        self.source_connected = self._gauge(
            "source_connected", "1 when subscribed and heard from the hub within the silence limit.", "site"
        ).labels(self.site)
        self.source_connects = self._counter(
            "source_connects", "Attempts to connect and subscribe, by result.", "site", "result"
        )
        self.source_disconnects = self._counter("source_disconnects", "Connections lost, by reason.", "site", "reason")
        self.blind_seconds = self._counter(
            "source_blind_seconds", "Time of all told windows in which events may be missed.", "site"
        ).labels(self.site)
        self.blind_windows = self._counter(
            "source_blind_windows", "Windows in which events may be missed, told to the sinks.", "site", "cause"
        )

    def _declare_events(self) -> None:
        self.received = self._counter("events_received", "Notifications from the hub.", "site", "resource", "action")
        self.generated = self._counter("events_generated", "Events of the bridge's own.", "site", "type")
        self.filtered = self._counter("events_filtered", "Notifications left out by configuration.", "site", "reason")
        self.duplicate = self._counter("events_duplicate", "Notifications repeated by the hub.", "site", "kind")
        self.invalid = self._counter("events_invalid", "Unreadable records, kept as dead letters.", "site", "reason")
        self.dropped = self._counter("events_dropped", "Notifications lost at the intake.", "site", "reason")
        self.imbalance = self._gauge(
            "ledger_imbalance_events", "Events that the ledger misses, by stage; 0 is right.", "stage"
        )
        self.gaps = self._counter("gaps", "Gaps among versions, told to the sinks.", "site", "cause")
        self.gap_missing = self._counter("gap_missing_events", "Versions that they lacked.", "site", "resource")
        self.gaps_open = self._gauge("gaps_open", "Gaps that have not been filled late.", "site").labels(self.site)
        self.accepted = self._counter("events_accepted", "Events stored in the journal.", "site").labels(self.site)

    def _declare_sinks(self) -> None:
        self.sink_connected = self._gauge("sink_connected", "1 when connected to the broker.", "sink")
        self.sink_held = self._gauge("sink_held", "1 when an operator must remove the cause of a failure.", "sink")
        self.sink_connects = self._counter("sink_connects", "Attempts to connect, by result.", "sink", "result")
        self.sink_disconnects = self._counter("sink_disconnects", "Connections given up, by reason.", "sink", "reason")
        self.attempts = self._counter("sink_attempts", "Events handed to the broker, by result.", "sink", "result")
        self.delivered = self._counter("sink_delivered_events", "Events the broker has confirmed.", "sink")
        self.delivered_bytes = self._counter("sink_delivered_bytes", "Bytes of them.", "sink")
        self.last_delivered = self._gauge(
            "sink_last_delivered_timestamp_seconds", "When the broker last confirmed an event.", "sink"
        )
        self.dead_lettered = self._counter(
            "sink_dead_lettered_events", "Events the sink will never take.", "sink", "reason"
        )

    def _start_at_zero(self) -> None:
        site, sinks = (self.site,), self._sinks
        actions = ("created", "updated", "deleted", "unknown")
        for family, labels in (
            (self.source_connects, product(site, CONNECT_RESULTS)),
            (self.source_disconnects, product(site, SOURCE_DISCONNECTS)),
            (self.received, product(site, (*self._resources, "other"), actions)),
            (self.blind_windows, product(site, CAUSES)),
            (self.generated, product(site, ("resync_required", "gap_detected", "gap_closed"))),
            (self.filtered, product(site, FILTER_REASONS)),
            (self.duplicate, product(site, ("exact", "stale"))),
            (self.gaps, product(site, GAP_CAUSES)),
            (self.gap_missing, product(site, (*self._resources, "other"))),
            (self.invalid, product(site, INVALID_REASONS)),
            (self.dropped, product(site, DROP_REASONS)),
            (self.imbalance, product((INTAKE, *sinks))),
            (self.sink_connects, product(sinks, CONNECT_RESULTS)),
            (self.sink_disconnects, product(sinks, SINK_DISCONNECTS)),
            (self.attempts, product(sinks, ATTEMPT_RESULTS)),
            (self.dead_lettered, product(sinks, DEAD_LETTER_REASONS)),
            (self.sink_connected, product(sinks)),
            (self.sink_held, product(sinks)),
            (self.delivered, product(sinks)),
            (self.delivered_bytes, product(sinks)),
        ):
            for values in labels:
                family.labels(*values)

    def count_invalid(self, reason: str) -> None:
        """Count a record that could not be read."""
        self.invalid.labels(self.site, known(reason, INVALID_REASONS)).inc()

    def count_window(self, cause: str, seconds: float) -> None:
        """Count a window that is told, and the event that tells it."""
        self.blind_windows.labels(self.site, cause).inc()
        self.blind_seconds.inc(seconds)
        self.generated.labels(self.site, "resync_required").inc()
        self.accepted.inc()

    def count_stored(self, sifted: Sifted) -> None:
        """Count what was stored of a batch: the hub's events and the bridge's own among them."""
        self.accepted.inc(len(sifted.messages))
        for gap in sifted.gaps:
            self.gaps.labels(self.site, gap.cause).inc()
            self.gap_missing.labels(self.site, self.resource(gap.resource)).inc(gap.events)
            self.generated.labels(self.site, "gap_detected").inc()
        if sifted.closed:
            self.generated.labels(self.site, "gap_closed").inc(sifted.closed)

    def count_dead_letter(self, sink: str, reason: str) -> None:
        """Count an event that a sink will never take."""
        self.dead_lettered.labels(sink, known(reason, DEAD_LETTER_REASONS)).inc()

    def resource(self, name: str | None) -> str:
        """Turn a foreign name into a label of a closed set."""
        return name if name in self._resources else "other"

    def watch(self, activity: SourceActivity, journal: Readings, lag: Callable[[str], LagReading]) -> None:
        """Export what others keep: the source's activity, the journal's numbers and every sink's lag."""
        self.registry.register(_AtScrape(self, activity, journal, lag, self._sinks))


class _AtScrape:
    """Reads at scrape time what is kept elsewhere; nothing here may block."""

    def __init__(
        self,
        catalogue: Catalogue,
        activity: SourceActivity,
        journal: Readings,
        lag: Callable[[str], LagReading],
        sinks: Sequence[str],
    ) -> None:
        self._catalogue = catalogue
        self._activity = activity
        self._journal = journal
        self._lag = lag
        self._sinks = sinks

    def collect(self) -> Iterator[Metric]:
        yield from self._source()
        yield from self._journal_families()
        yield from self._lags()
        yield from self._histograms()

    def _source(self) -> Iterable[Metric]:
        site, activity = self._catalogue.site, self._activity
        frames = CounterMetricFamily(_PREFIX + "source_frames", "Records from the hub.", labels=("site", "type"))
        for kind in FRAME_TYPES:
            frames.add_metric((site, kind), activity.frames.get(kind, 0))
        yield frames
        size = CounterMetricFamily(_PREFIX + "source_received_bytes", "Bytes from the hub.", labels=("site",))
        size.add_metric((site,), activity.received_bytes)
        yield size
        tokens = CounterMetricFamily(
            _PREFIX + "auth_refreshes", "Requests for a token, by result.", labels=("site", "result")
        )
        for result in sorted({*TOKEN_RESULTS, *activity.token_requests}):
            tokens.add_metric((site, result), activity.token_requests.get(result, 0))
        yield tokens
        for name, text, value in (
            ("source_last_frame_timestamp_seconds", "Last record from the hub.", activity.last_frame_at),
            ("source_last_event_timestamp_seconds", "Last notification from the hub.", activity.last_event_at),
            ("auth_token_expiry_timestamp_seconds", "When the token expires.", activity.token_expires_at),
            (
                "hub_clock_offset_seconds",
                "How far the hub's clock is ahead, to a second.",
                activity.clock_offset_seconds,
            ),
        ):
            family = GaugeMetricFamily(_PREFIX + name, text, labels=("site",))
            if value is not None:
                family.add_metric((site,), value)
            yield family

    def _journal_families(self) -> Iterable[Metric]:
        numbers = self._journal()
        for name, text, key in (
            ("journal_events", "Events that some sink has still to settle.", "events"),
            ("journal_bytes", "Bytes of the journal in use.", "bytes"),
            ("journal_capacity_bytes", "Bytes that events may use.", "capacity_bytes"),
        ):
            yield GaugeMetricFamily(_PREFIX + name, text, value=numbers[key])
        yield CounterMetricFamily(
            _PREFIX + "journal_corrupt_records", "Rows that failed their checksum.", value=numbers["corrupt_records"]
        )

    def _lags(self) -> Iterable[Metric]:
        families = [
            GaugeMetricFamily(_PREFIX + f"sink_lag_{unit}", text, labels=("sink",))
            for unit, text in (
                ("events", "Events accepted and not yet settled."),
                ("bytes", "Bytes of them."),
                ("seconds", "Age of the oldest of them; 0 when there is none."),
            )
        ]
        for sink in self._sinks:
            for family, value in zip(families, self._lag(sink), strict=True):
                family.add_metric((sink,), value)
        return families

    def _histograms(self) -> Iterable[Metric]:
        commit = HistogramMetricFamily(_PREFIX + "journal_commit_duration_seconds", "Group commit, fsync included.")
        self._catalogue.commit.add_to(commit, ())
        yield commit
        for name, text, per_sink in (
            ("sink_publish_duration_seconds", "From the hand-over to the confirmation.", self._catalogue.publish),
            ("sink_delivery_duration_seconds", "From the hub's frame to the confirmation.", self._catalogue.delivery),
            (
                "end_to_end_duration_seconds",
                "From the hub's time stamp to the confirmation; holds the clocks' difference.",
                self._catalogue.end_to_end,
            ),
        ):
            family = HistogramMetricFamily(_PREFIX + name, text, labels=("sink",))
            for sink in self._sinks:
                per_sink[sink].add_to(family, (sink,))
            yield family
