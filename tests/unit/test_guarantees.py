"""`docs/guarantees.md` says no more than there is: its tests exist, its figures are those that were recorded."""

import re
from pathlib import Path

from bridge.settings.core import Delivery
from sinks.kafka.config import KafkaConfig
from sinks.mqtt.config import MqttConfig
from tests.chaos.figures import FIGURES, PAGE, record, recorded, with_figures
from tests.chaos.long import LONG_RUNS

ROOT = Path(__file__).parents[2]
TEXT = PAGE.read_text()


def test_the_figures_are_those_that_are_recorded() -> None:
    assert with_figures(TEXT, recorded(FIGURES)) == TEXT, "run: make figures"


def test_the_bounds_of_repeats_are_those_that_hold_unless_told_otherwise() -> None:
    """Here and in the README: a window for each sink, and the cursor as far behind as that."""
    kafka, mqtt = (config.model_fields["window_events"].default for config in (KafkaConfig, MqttConfig))
    bounds = f"`WINDOW_EVENTS` {{}}(Kafka {kafka:,}, MQTT {mqtt:,})"

    assert bounds.format("") in TEXT
    assert bounds.format("come again ") in (ROOT / "README.md").read_text()
    assert Delivery().cursor_every_events is None


def test_every_run_that_is_named_is_one_that_can_be_made() -> None:
    named = re.findall(r"<!-- figures: (.+?) -->", TEXT)

    assert named
    assert set(named) <= {run.name for run in LONG_RUNS}


def test_every_promise_has_tests_that_exist() -> None:
    promises = re.split(r"^## \d", TEXT, flags=re.MULTILINE)[1:]

    assert promises
    for promise in promises:
        tests = re.findall(r"`(tests/\S+\.py)`", promise)
        assert tests, promise
        for test in tests:
            assert "\ndef test_" in (text := (ROOT / test).read_text()) or "\nasync def test_" in text, test


def test_what_a_run_came_to_is_kept_and_shown(tmp_path: Path) -> None:
    page = "before\n<!-- figures: one -->\nold\n<!-- end -->\n<!-- figures: two -->\nold\n<!-- end -->\n"
    file = tmp_path / "figures.json"
    record(file, "one", "python -m one", ["0 lost: ok", "1 lost: broken"], 1)

    shown = with_figures(page, recorded(file))

    assert "old" not in shown
    assert "2 runs, **1 broke a promise**" in shown
    assert "- 0 lost: ok\n" in shown
    assert shown.endswith("<!-- figures: two -->\nNot recorded yet.\n<!-- end -->\n")
    assert with_figures(shown, recorded(file)) == shown
