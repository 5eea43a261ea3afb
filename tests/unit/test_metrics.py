"""The catalogue: every label set is there from the start, and lag is right when idle, when down and after a restart."""

import re
import time
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bridge.distribution import Distribution
from bridge.journal import Journal, Limits, open_journal
from bridge.notation import lag_reading
from bridge.sieve import Jump, Sifted
from bridge.status import journal_numbers
from tests.reference import metrics as page
from tests.reference.metrics import catalogue
from tests.unit.journal.conftest import messages

NAMES = Path(__file__).with_name("metrics.golden.txt")
LIMITS = Limits(60 * 2**20, 2**20, 100, 0.02)


def test_names_and_labels_are_a_public_interface() -> None:
    """A changed name or label breaks dashboards and alerts: it has to be changed in the golden file on purpose."""
    families = text_string_to_metric_families(generate_latest(catalogue().registry).decode())
    ours = [family for family in families if family.name.startswith("portos_bridge_")]

    lines = sorted(
        f"{family.type} {family.name}{{{','.join(sorted({name for s in family.samples for name in s.labels}))}}}"
        for family in ours
    )

    assert lines == NAMES.read_text().splitlines()


def test_the_page_of_metrics_is_fresh() -> None:
    """It is written by `make reference`, and names each metric exactly once, as Prometheus does."""
    written = page.PAGE.read_text(encoding="utf-8").partition(page.BEGIN)[2].partition(page.END)[0]
    listed = re.findall(r"^\| `(\w+)` \| (\w+)", written, re.MULTILINE)

    assert written.strip() == page.tables().strip()
    assert sorted(f"{kind} portos_bridge_{name.removesuffix('_total')}" for name, kind in listed) == [
        line.partition("{")[0] for line in NAMES.read_text().splitlines()
    ]


def test_one_configuration_is_in_effect() -> None:
    """A change of it leaves no series behind that says that the former one still is."""
    made = catalogue()

    made.configured("77aa")

    shown = [line for line in generate_latest(made.registry).decode().splitlines() if "_config_info{" in line]
    assert shown == ['portos_bridge_config_info{hash="77aa",sinks="kafka,mqtt"} 1.0']


def test_states_that_are_damaged_and_a_store_that_is_held_are_seen() -> None:
    read = catalogue().registry.get_sample_value

    assert read("portos_bridge_state_damaged_total", {"sink": "mqtt"}) == 2
    assert read("portos_bridge_state_store_held") == 1


def test_each_gap_and_each_end_of_one_is_counted() -> None:
    """Also where one batch holds several."""
    made = catalogue()
    gaps = [Jump("resource000", 2, "version"), Jump("resource001", 3, "window")]

    made.count_stored(Sifted([], gaps=gaps, closed=4))

    for name, labels, expected in (
        ("gaps_total", {"site": "default", "cause": "version"}, 1),
        ("gaps_total", {"site": "default", "cause": "window"}, 1),
        ("gap_missing_events_total", {"site": "default", "resource": "resource001"}, 3),
        ("events_generated_total", {"site": "default", "type": "gap_detected"}, 2),
        ("events_generated_total", {"site": "default", "type": "gap_closed"}, 4),
    ):
        assert made.registry.get_sample_value(f"portos_bridge_{name}", labels) == expected, name


def test_every_known_label_set_starts_at_zero() -> None:
    registry = catalogue().registry

    for name, labels in (
        ("source_disconnects_total", {"site": "default", "reason": "silence"}),
        ("events_dropped_total", {"site": "default", "reason": "journal_full"}),
        ("events_received_total", {"site": "default", "resource": "resource000", "action": "deleted"}),
        ("events_received_total", {"site": "default", "resource": "other", "action": "unknown"}),
        ("config_reloads_total", {"result": "rejected"}),
        ("sink_attempts_total", {"sink": "mqtt", "result": "held"}),
        ("sink_connected", {"sink": "kafka"}),
        ("sink_inflight_events", {"sink": "mqtt"}),
        ("event_bytes_count", {"site": "default"}),
        ("sink_lag_seconds", {"sink": "kafka"}),
        ("dlq_events", {"sink": "source"}),
        ("dlq_shed_events_total", {"sink": "mqtt"}),
    ):
        assert registry.get_sample_value(f"portos_bridge_{name}", labels) == 0, name


def test_what_a_sink_has_seen_of_its_broker_is_read_when_it_is_asked_for() -> None:
    """Quotas, moved keys and absent subscribers are counted by the sink that notes them, and 0 for any other."""
    made = catalogue()
    seen = made.sink_activity["kafka"]
    seen.throttled_seconds, seen.partition_changes, seen.unheard_events = 2.5, 1, 7

    shown = generate_latest(made.registry).decode()

    assert 'portos_bridge_sink_throttled_seconds_total{sink="kafka"} 2.5' in shown
    assert 'portos_bridge_sink_partition_changes_total{sink="kafka"} 1.0' in shown
    assert 'portos_bridge_sink_no_subscriber_events_total{sink="kafka"} 7.0' in shown
    assert 'portos_bridge_sink_throttled_seconds_total{sink="mqtt"} 0.0' in shown


def test_the_number_of_series_is_bounded() -> None:
    """At most 600 series with 20 resources and two sinks, and 50 resource labels however many are subscribed."""
    twenty = generate_latest(catalogue(20).registry).decode()
    many = catalogue(400)

    assert sum(not line.startswith("#") for line in twenty.splitlines()) <= 600
    assert len({many.resource(f"resource{number:03}") for number in range(400)}) == 51


def test_a_distribution_puts_each_value_into_the_first_bucket_that_holds_it() -> None:
    from prometheus_client.core import HistogramMetricFamily

    distribution = Distribution((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        distribution.observe(value)
    distribution.observe(0.2, times=2)
    family = HistogramMetricFamily("x", "x")

    distribution.add_to(family, ())

    samples = {sample.labels.get("le", sample.name): sample.value for sample in family.samples}
    assert samples == {"0.1": 2, "1.0": 5, "+Inf": 6, "x_count": 6, "x_sum": pytest.approx(8.05)}


def lag(journal: Journal, sink: str) -> tuple[int, int, float]:
    return lag_reading(journal, sink)


async def test_lag_is_zero_when_idle_grows_when_a_sink_is_down_and_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    now = time.time()
    old = [message.__class__(*[*_fields(message)[:8], now - 90, b"x" * 10]) for message in messages(1, 4)]
    async with open_journal(path, ["kafka", "mqtt"], 64 * 2**20, LIMITS) as journal:
        assert lag(journal, "kafka") == (0, 0, 0.0)

        await journal.append(old)
        page = await journal.read("kafka", 4)
        await journal.settle("kafka", page, 4, {})

        assert lag(journal, "kafka") == (0, 0, 0.0)
        assert lag(journal, "mqtt")[:2] == (4, 40)
        assert 90 <= lag(journal, "mqtt")[2] < 95

    async with open_journal(path, ["kafka", "mqtt"], 64 * 2**20, LIMITS) as journal:
        assert lag(journal, "kafka") == (0, 0, 0.0)
        assert lag(journal, "mqtt")[:2] == (4, 40)
        assert 90 <= lag(journal, "mqtt")[2] < 95
        assert journal_numbers(journal)["events"] == 4


def _fields(message: object) -> list[object]:
    return [getattr(message, name) for name in message.__struct_fields__]  # type: ignore[attr-defined]
