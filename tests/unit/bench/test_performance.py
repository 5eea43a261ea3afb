"""`docs/performance.md` and its plots say what is recorded, no more; a limit is drawn as one."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.bench.contender import Contender
from tests.bench.ground import Ground
from tests.bench.performance import sustained as part
from tests.bench.performance.__main__ import PARTS
from tests.bench.performance.arrivals import caught_up, rate, since
from tests.bench.performance.page import NAMES, PAGE, pictures, with_figures
from tests.bench.performance.pictures import PLOTS
from tests.bench.performance.plot import Line, Plot, drawn
from tests.bench.performance.record import FOLDER, Measured, recorded, write
from tests.bench.performance.session import Session
from tests.bench.performance.sustained import kept_up, sustained
from tests.bench.performance.targets import TARGETS, Target, judged
from tests.bench.subscriber import Seen

RECORDS = recorded(FOLDER)
TEXT = PAGE.read_text()


def measured(part: str, figures: Mapping[str, Mapping[str, Sequence[float]]]) -> Measured:
    kept = {name: {column: list(rounds) for column, rounds in columns.items()} for name, columns in figures.items()}
    return Measured(part, "make it", "abc", "2026-11-30T05:00Z", 9.0, {"CPU": "one"}, kept)


def test_the_page_says_what_is_recorded() -> None:
    assert with_figures(TEXT, RECORDS) == TEXT, "run: make plots"


def test_every_marker_of_the_page_is_known_and_every_part_is_shown() -> None:
    named = re.findall(r"<!-- measured: (\S+) -->", TEXT)

    assert sorted(named) == sorted(NAMES)
    assert set(PARTS) <= NAMES
    assert TEXT.count("<!-- end -->") == len(named)


def test_every_plot_is_drawn_of_what_is_recorded() -> None:
    for name, svg in pictures(RECORDS).items():
        assert (FOLDER / name).read_text() == svg, "run: make plots"


def test_no_plot_is_left_of_what_is_not_recorded_any_more() -> None:
    kept = {path.name for path in FOLDER.glob("*.svg") if not path.name.startswith("flame-")}

    assert kept == set(pictures(RECORDS))


def test_every_picture_that_the_page_shows_is_there() -> None:
    for name in re.findall(r"\]\(performance/(\S+?)\)", TEXT):
        assert (FOLDER / name).exists(), name


def test_every_plot_is_of_a_part() -> None:
    assert {part for part, _ in PLOTS.values()} <= set(PARTS)


def test_what_is_measured_is_kept_and_shown(tmp_path: Path) -> None:
    rounds = {"from start to subscribed, s": {"kafka": [1.0, 2.0, 1.23456789]}}
    write(tmp_path, "start", rounds, command="make it", seconds=3, failed=["x"])

    shown = with_figures("<!-- measured: start -->\nold\n<!-- end -->\n", recorded(tmp_path))

    assert "old" not in shown
    assert "| from start to subscribed, s | 1 / 1.23 / 2 |" in shown
    assert "Without figures: x." in shown
    assert recorded(tmp_path)["start"].figures["from start to subscribed, s"]["kafka"][2] == 1.23457


def test_figures_of_different_columns_stand_in_one_table() -> None:
    """A sink that was not there has a dash; what has a column for each step of a long run is in a plot."""
    figures = {"kafka: x": {"kafka": [1], "both": [2]}, "all: x": {"kafka": [1], "mqtt": [3], "both": [2]}}
    steps = {"RSS, MiB": {str(step): [100.0] for step in range(1, 51)}}

    shown = with_figures("<!-- measured: sinks -->\n<!-- end -->", {"sinks": measured("sinks", figures | steps)})

    assert "| kafka: x | 1 / 1 / 1 | - | 2 / 2 / 2 |" in shown
    assert "RSS" not in shown


def test_a_part_that_nobody_measured_says_so() -> None:
    shown = with_figures("<!-- measured: ids -->\nold\n<!-- end -->\n", {})

    assert shown == "<!-- measured: ids -->\nNot measured yet.\n<!-- end -->\n"


def test_the_budget_has_a_stage_a_line() -> None:
    records = {
        f"profile-{sink}": measured("p", {"CPU us a message": {"other": [n]}})
        for n, sink in ((1, "kafka"), (2, "mqtt"))
    }

    shown = with_figures("<!-- measured: budget -->\n<!-- end -->\n", records)

    assert "| other | 1 / 1 / 1 | 2 / 2 / 2 |" in shown


@pytest.mark.parametrize(("values", "verdict"), [([1, 2, 9], "met"), ([3, 1, 3], "**missed**")])
def test_a_target_is_judged_by_the_median(values: list[float], verdict: str) -> None:
    start = next(target for target in TARGETS if target.text == "Kafka: start to subscribed, s")

    found = judged({"start": measured("start", {"from start to subscribed, s": {"kafka": values}})}, start)

    assert found[1] == verdict


@pytest.mark.parametrize(
    ("command", "verdict"), [("measure start", "met"), ("measure start --scale 0.1", "not measured")]
)
def test_a_try_meets_no_target(command: str, verdict: str) -> None:
    start = measured("start", {"from start to subscribed, s": {"kafka": [1.0]}})
    start.command = command

    shown = with_figures("<!-- measured: targets -->\n<!-- end -->", {"start": start})

    assert re.search(rf"Kafka: start to subscribed, s \|.*\| {verdict} \|", shown)


def test_a_ratio_is_of_the_slower_one_alone() -> None:
    both = next(target for target in TARGETS if target.text.startswith("both sinks"))
    rates = {"kafka": [100.0], "mqtt": [50.0], "kafka+mqtt": [41.0]}

    assert judged({"sinks": measured("sinks", {"all of them: messages/s": rates})}, both) == ("0.82", "met")
    assert (
        judged({"sinks": measured("sinks", {"all of them: messages/s": rates | {"mqtt": [90.0]}})}, both)[1]
        == "**missed**"
    )


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.text)
def test_what_is_not_measured_is_neither_met_nor_missed(target: Target) -> None:
    assert judged({}, target) == ("-", "not measured")


def test_the_first_arrivals_have_no_time() -> None:
    """Five windows of 200 in four intervals are not a thousand in four."""
    assert rate([(1.0, 200), (1.1, 400), (1.4, 1000)]) == pytest.approx(2000)


@pytest.mark.parametrize("curve", [[], [(1.0, 5)], [(1.0, 5), (1.0, 6)]])
def test_what_came_at_once_has_no_rate(curve: list[tuple[float, int]]) -> None:
    with pytest.raises(ValueError, match="too few"):
        rate(curve)


def test_a_drain_ends_where_it_has_caught_up_with_the_load() -> None:
    """At 100/s since 0, nothing between 4 and 10: at 12.5 it has all but the last fifth of a second."""
    curve = [(4.0, 400), (10.0, 410), (11.0, 800), (12.0, 1150), (12.5, 1240), (14.0, 1400)]

    drained = caught_up(since(curve, 10.0), 0, 100, 0.2)

    assert drained == (12.5, 1240)


def test_a_drain_that_never_catches_up_has_no_end() -> None:
    assert caught_up([(10.0, 0), (20.0, 900)], 0, 100, 0.2) is None


def test_a_plot_has_its_units_its_limit_and_both_themes() -> None:
    lines = [
        Line("Kafka", {300: [30_000, 33_000], 3e6: [100.0]}),
        Line("limit: hub alone", {300: [90_000], 3e6: [500]}, limit=True),
    ]

    svg = drawn(Plot("Rate <by> size", "body", "messages/s", lines, log_y=True))

    texts = [element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - our own
    assert {"Rate <by> size", "body", "messages/s", "Kafka", "limit: hub alone", "300", "3,000,000", "1,000"} <= set(
        texts
    )
    assert 'class="limit c1"' in svg
    assert "prefers-color-scheme:dark" in svg


@pytest.mark.parametrize("highest", [1.0, 95.0, 108.0, 340.0, 990.0])
def test_an_axis_has_some_ticks_but_not_many(highest: float) -> None:
    """Whatever the largest value is: 9.5 steps of ten are too many, one of a hundred is too few."""
    svg = drawn(Plot("p", "x", "y", [Line("a", {step: [highest] for step in range(1, 51)})], log_x=False))

    assert 3 <= svg.count('class="grid"') <= 10


def test_a_plot_of_nothing_is_not_drawn() -> None:
    with pytest.raises(ValueError, match="nothing is measured"):
        drawn(Plot("empty", "x", "y", [Line("Kafka", {})]))


def test_larger_values_are_higher_and_further_right() -> None:
    svg = drawn(Plot("p", "x", "y", [Line("a", {1: [10.0], 100: [1000.0]})], log_y=True))

    points = re.search(r'class="curve c0" points="([^"]+)"', svg)
    assert points is not None
    (x1, y1), (x2, y2) = (map(float, pair.split(",")) for pair in points[1].split())
    assert x1 < x2
    assert y1 > y2


@pytest.mark.parametrize(
    ("seconds", "late", "kept"),
    [(10.0, 0.1, True), (10.3, 0.1, True), (10.4, 0.1, False), (10.0, 0.11, False)],
    ids=["in time", "nearly the rate", "the hub did not send so fast", "more and more waits"],
)
def test_a_rate_counts_that_was_reached_with_nothing_waiting(seconds: float, late: float, *, kept: bool) -> None:
    seen = Seen(1001, 5.0, 5.0 + seconds, [0.001] * 900 + [late] * 101)

    assert kept_up(seen, 1001, 100.0) is kept


def test_a_message_that_is_missing_is_no_rate_that_is_too_high() -> None:
    with pytest.raises(AssertionError, match="1000 of 1001"):
        kept_up(Seen(1000, 5.0, 15.0, [0.001] * 1000), 1001, 100.0)


def test_a_maximum_that_was_not_found_costs_the_latency_of_its_round_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([None, 200, 300, 400, 500, 600])

    def maximum(*_: object) -> dict[str, float]:
        if (rate := next(answers)) is None:
            raise AssertionError("nobody keeps up")
        return {"rate, messages/s": rate}

    monkeypatch.setattr(Session, "contenders", lambda _: [Contender("ours", lambda *_: (0, lambda: None))])
    monkeypatch.setattr(part, "_maximum", maximum)
    monkeypatch.setattr(part, "_latency", lambda _, __, ___, rate: {"p99, ms": rate})
    with Ground() as ground:
        session = Session(ground)
        sustained(session)

    assert session.figures["p99, ms"] == {"kafka": [300, 500], "mqtt": [200, 400, 600]}
    assert session.failed == ["round 1: kafka, maximum: nobody keeps up"]
