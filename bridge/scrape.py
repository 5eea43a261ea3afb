"""The metrics that are read when they are scraped, from where they are kept: nothing here may block.

So ages and sizes of queues neither freeze when idle nor lie after a restart. Used by `bridge.metrics`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from bridge.labels import FRAME_TYPES, JOURNAL, SOURCE, TOKEN_RESULTS
from bridge.ports import SinkActivity
from bridge.source import SourceActivity

__all__ = ["PREFIX", "AtScrape", "LagReading", "LetterReadings", "Readings"]

PREFIX = "portos_bridge_"

LagReading = tuple[int, int, float]
"""Lag of one sink when the metrics are scraped: events, bytes, seconds of the oldest."""

Readings = Callable[[], Mapping[str, float]]
"""The journal's numbers when the metrics are scraped:
`events`, `bytes`, `capacity_bytes`, `busy_seconds` and `corrupt_records`."""


LetterReadings = Callable[[str], Mapping[str, int]]
"""The numbers of a sink's dead letters: `events`, `bytes`, `marked`, and since the start `shed` and `expired`."""


class AtScrape:
    """A collector of what is kept elsewhere, and of `more`."""

    def __init__(  # noqa: PLR0913 - made in one place, each is something of its own
        self,
        site: str,
        sinks: Mapping[str, SinkActivity],
        activity: SourceActivity,
        journal: Readings,
        lag: Callable[[str], LagReading],
        letters: LetterReadings,
        more: Callable[[], Iterable[Metric]],
    ) -> None:
        self._site = site
        self._sinks = sinks
        self._activity = activity
        self._journal = journal
        self._lag = lag
        self._letters = letters
        self._more = more

    def collect(self) -> Iterator[Metric]:
        """Give every family, as prometheus-client asks a collector to."""
        yield from self._source()
        yield from self._journal_families()
        yield from self._lags()
        yield from self._seen_of_brokers()
        yield from self._dead_letters()
        yield from self._more()

    def _source(self) -> Iterable[Metric]:
        site, activity = self._site, self._activity
        frames = CounterMetricFamily(PREFIX + "source_frames", "Records from the hub.", labels=("site", "type"))
        for kind in FRAME_TYPES:
            frames.add_metric((site, kind), activity.frames.get(kind, 0))
        yield frames
        size = CounterMetricFamily(PREFIX + "source_received_bytes", "Bytes from the hub.", labels=("site",))
        size.add_metric((site,), activity.received_bytes)
        yield size
        tokens = CounterMetricFamily(
            PREFIX + "auth_refreshes", "Requests for a token, by result.", labels=("site", "result")
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
            family = GaugeMetricFamily(PREFIX + name, text, labels=("site",))
            if value is not None:
                family.add_metric((site,), value)
            yield family

    def _journal_families(self) -> Iterable[Metric]:
        numbers = self._journal()
        for name, text, key in (
            ("journal_events", "Events that some sink has still to settle.", "events"),
            ("journal_bytes", "Bytes of the journal in use.", "bytes"),
            ("journal_capacity_bytes", "Bytes that events may use.", "capacity_bytes"),
            ("journal_busy_seconds", "For how long the journal has waited for its disk; 0 while idle.", "busy_seconds"),
        ):
            yield GaugeMetricFamily(PREFIX + name, text, value=numbers[key])
        yield CounterMetricFamily(
            PREFIX + "journal_corrupt_records",
            "Rows that were found damaged or gone.",
            value=numbers["corrupt_records"],
        )

    def _lags(self) -> Iterable[Metric]:
        families = [
            GaugeMetricFamily(PREFIX + f"sink_lag_{unit}", text, labels=("sink",))
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

    def _seen_of_brokers(self) -> Iterable[Metric]:
        throttled = CounterMetricFamily(
            PREFIX + "sink_throttled_seconds", "Time that brokers had the sink wait for its quotas.", labels=("sink",)
        )
        changes = CounterMetricFamily(
            PREFIX + "sink_partition_changes", "Topics found with another number of partitions.", labels=("sink",)
        )
        unheard = CounterMetricFamily(
            PREFIX + "sink_no_subscriber_events",
            "Events that the broker confirmed though nobody was subscribed to them.",
            labels=("sink",),
        )
        for sink, activity in self._sinks.items():
            throttled.add_metric((sink,), activity.throttled_seconds)
            changes.add_metric((sink,), activity.partition_changes)
            unheard.add_metric((sink,), activity.unheard_events)
        return throttled, changes, unheard

    def _dead_letters(self) -> Iterable[Metric]:
        families: list[tuple[GaugeMetricFamily | CounterMetricFamily, str]] = [
            (GaugeMetricFamily(PREFIX + f"dlq_{name}", text, labels=("sink",)), key)
            for name, text, key in (
                ("events", "Dead letters that are kept.", "events"),
                ("bytes", "Bytes of the journal that count as theirs, 512 a letter besides its event.", "bytes"),
                ("marked_events", "Those of them that are to be sent again.", "marked"),
            )
        ]
        families += [
            (CounterMetricFamily(PREFIX + f"dlq_{key}_events", text, labels=("sink",)), key)
            for text, key in (
                ("Dead letters kept without their event or not at all, for want of room.", "shed"),
                ("Dead letters thrown away for their age.", "expired"),
            )
        ]
        for sink in (*self._sinks, JOURNAL, SOURCE):
            numbers = self._letters(sink)
            for family, key in families:
                family.add_metric((sink,), numbers[key])
        return [family for family, _ in families]
