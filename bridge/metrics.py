"""The catalogue of metrics: every name that the bridge exports stands here, and in `bridge.scrape` what is read late.

Names and labels are a public interface. `bridge.pipeline` and the journal count; sinks and the source know nothing of
it. Every known label set starts at 0, since `increase()` misses what appears at 1.
"""

import platform
from collections.abc import Callable, Iterator, Sequence
from itertools import product

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import HistogramMetricFamily, Metric

from bridge import __version__
from bridge.blind import CAUSES, CORRUPTION
from bridge.distribution import Distribution
from bridge.labels import (
    ATTEMPT_RESULTS,
    CONNECT_RESULTS,
    DEAD_LETTER_REASONS,
    DROP_REASONS,
    FILTER_REASONS,
    INVALID_REASONS,
    REDRIVE_RESULTS,
    RELOAD_RESULTS,
    SINK_DISCONNECTS,
    SOURCE_DISCONNECTS,
    known,
)
from bridge.ledger import INTAKE
from bridge.ports import SinkActivity
from bridge.scrape import PREFIX, AtScrape, LagReading, LetterReadings, Readings
from bridge.sieve import GAP_CAUSES, Sifted
from bridge.source import SourceActivity

__all__ = ["Catalogue"]

_LATENCY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_SIZE_BYTES = (256, 1024, 4096, 16384, 65536, 262144, 1048576)


class Catalogue:
    """All metrics of one bridge, on a registry of its own."""

    def __init__(self, site: str, sinks: Sequence[str], resources: Sequence[str], max_resources: int) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.site = site
        self.told_blind_seconds = 0.0
        """What `blind_seconds` counts, for those who do not scrape."""
        self._resources = frozenset(sorted(resources)[:max_resources])
        self._sinks = tuple(sinks)
        self._declare_configuration()
        self._declare_source()
        self._declare_events()
        self._declare_sinks()
        self.sink_activity = {sink: SinkActivity() for sink in sinks}
        self.size = Distribution(_SIZE_BYTES)
        self.commit = Distribution(_COMMIT_SECONDS)
        self.publish = {sink: Distribution(_LATENCY_SECONDS) for sink in sinks}
        self.delivery = {sink: Distribution(_LATENCY_SECONDS) for sink in sinks}
        self.end_to_end = {sink: Distribution(_LATENCY_SECONDS) for sink in sinks}
        self._start_at_zero()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(PREFIX + name, text, labels, registry=self.registry)

    def _declare_configuration(self) -> None:
        info = self._gauge("build_info", "Version of the bridge; constant 1.", "version", "python")
        info.labels(__version__, platform.python_version()).set(1)
        self._config_info = self._gauge("config_info", "The configuration in effect; constant 1.", "hash", "sinks")
        self.reloads = self._counter("config_reloads", "How often the settings were read anew, by result.", "result")

    def _declare_source(self) -> None:
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
        self.dropped = self._counter(
            "events_dropped",
            'Notifications lost at the intake, or stored without a body: these in gaps_total{cause="shed"} as well.',
            "site",
            "reason",
        )
        self.imbalance = self._gauge(
            "ledger_imbalance_events", "Events that the ledger misses, by stage; 0 is right.", "stage"
        )
        self.gaps = self._counter("gaps", "Gaps among versions or in the journal, told to the sinks.", "site", "cause")
        self.gap_missing = self._counter("gap_missing_events", "Versions that they lacked.", "site", "resource")
        self.gaps_open = self._gauge("gaps_open", "Gaps that have not been filled late.", "site").labels(self.site)
        self.accepted = self._counter("events_accepted", "Events stored in the journal.", "site").labels(self.site)

    def _declare_sinks(self) -> None:
        self.sink_connected = self._gauge("sink_connected", "1 when connected to the broker.", "sink")
        self.sink_held = self._gauge("sink_held", "1 when an operator must remove the cause of a failure.", "sink")
        self.in_flight = self._gauge("sink_inflight_events", "Events handed over and not yet answered.", "sink")
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
        self.shed = self._counter(
            "sink_shed_events", "Events too large for the broker, delivered as references.", "sink"
        )
        self.redriven = self._counter(
            "dlq_redriven_events", "Dead letters that were to be sent again, by result.", "sink", "result"
        )

    def _start_at_zero(self) -> None:
        site, sinks = (self.site,), self._sinks
        actions = ("created", "updated", "deleted", "unknown")
        for family, labels in (
            (self.reloads, product(RELOAD_RESULTS)),
            (self.source_connects, product(site, CONNECT_RESULTS)),
            (self.source_disconnects, product(site, SOURCE_DISCONNECTS)),
            (self.received, product(site, (*self._resources, "other"), actions)),
            (self.blind_windows, product(site, CAUSES)),
            (self.generated, product(site, ("resync_required", "gap_detected", "gap_closed", "dlq_redriven"))),
            (self.filtered, product(site, FILTER_REASONS)),
            (self.duplicate, product(site, ("exact", "stale"))),
            (self.gaps, product(site, (*GAP_CAUSES, CORRUPTION))),
            (self.gap_missing, product(site, (*self._resources, "other"))),
            (self.invalid, product(site, INVALID_REASONS)),
            (self.dropped, product(site, DROP_REASONS)),
            (self.imbalance, product((INTAKE, *sinks))),
            (self.sink_connects, product(sinks, CONNECT_RESULTS)),
            (self.sink_disconnects, product(sinks, SINK_DISCONNECTS)),
            (self.attempts, product(sinks, ATTEMPT_RESULTS)),
            (self.redriven, product(sinks, REDRIVE_RESULTS)),
            (self.dead_lettered, product(sinks, DEAD_LETTER_REASONS)),
            (self.sink_connected, product(sinks)),
            (self.sink_held, product(sinks)),
            (self.in_flight, product(sinks)),
            (self.shed, product(sinks)),
            (self.delivered, product(sinks)),
            (self.delivered_bytes, product(sinks)),
        ):
            for values in labels:
                family.labels(*values)

    def configured(self, fingerprint: str) -> None:
        """Show the hash of the configuration that is in effect, and no other."""
        self._config_info.clear()
        self._config_info.labels(fingerprint, ",".join(self._sinks)).set(1)

    def count_invalid(self, reason: str) -> None:
        """Count a record that could not be read."""
        self.invalid.labels(self.site, known(reason, INVALID_REASONS)).inc()

    def count_window(self, cause: str, seconds: float) -> None:
        """Count a window that is told, and the event that tells it."""
        self.blind_windows.labels(self.site, cause).inc()
        self.blind_seconds.inc(seconds)
        self.told_blind_seconds += seconds
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

    def count_corruption(self) -> None:
        """Count a run of rows of the journal that are lost."""
        self.gaps.labels(self.site, CORRUPTION).inc()

    def count_dead_letter(self, sink: str, reason: str) -> None:
        """Count an event that a sink will never take."""
        self.dead_lettered.labels(sink, known(reason, DEAD_LETTER_REASONS)).inc()

    def resource(self, name: str | None) -> str:
        """Turn a foreign name into a label of a closed set."""
        return name if name in self._resources else "other"

    def watch(
        self,
        activity: SourceActivity,
        journal: Readings,
        lag: Callable[[str], LagReading],
        letters: LetterReadings,
    ) -> None:
        """Export what others keep: the source's activity, the journal's numbers, every sink's lag and dead letters."""
        self.registry.register(
            AtScrape(self.site, self.sink_activity, activity, journal, lag, letters, self._histograms)
        )

    def _histograms(self) -> Iterator[Metric]:
        size = HistogramMetricFamily(
            PREFIX + "event_bytes", "Payload of each event when it is stored.", labels=("site",)
        )
        self.size.add_to(size, (self.site,))
        yield size
        commit = HistogramMetricFamily(PREFIX + "journal_commit_duration_seconds", "Group commit, fsync included.")
        self.commit.add_to(commit, ())
        yield commit
        for name, text, per_sink in (
            ("sink_publish_duration_seconds", "From the hand-over to the confirmation.", self.publish),
            ("sink_delivery_duration_seconds", "From the hub's frame to the confirmation.", self.delivery),
            (
                "end_to_end_duration_seconds",
                "From the hub's time stamp to the confirmation; holds the clocks' difference.",
                self.end_to_end,
            ),
        ):
            family = HistogramMetricFamily(PREFIX + name, text, labels=("sink",))
            for sink in self._sinks:
                per_sink[sink].add_to(family, (sink,))
            yield family
