"""The figures that `make bench` prints."""

import pytest

from tests.bench.report import cell, lost, percentile, ratio, relative, table


@pytest.mark.parametrize(
    ("values", "share", "wanted"),
    [([7.0], 0.5, 7.0), ([3.0, 1.0, 2.0], 0.5, 2.0), (list(range(1, 101)), 0.99, 99), ([1.0, 9.0], 0.99, 9.0)],
)
def test_a_percentile_is_the_value_at_its_nearest_rank(values: list[float], share: float, wanted: float) -> None:
    """Half of three is the second, 99 % of a hundred the 99th, whatever order they came in."""
    assert percentile(values, share) == wanted


def test_no_values_have_no_percentile() -> None:
    """A run that measured nothing must not print a figure."""
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_what_is_missing_counts_in_every_round_and_of_ours_alone() -> None:
    figures = {
        "kafka: missing": {"ours": [0.0, 2.0], "dotnet": [9.0]},
        "mqtt: 100/s missing": {"ours": [1.0]},
        "kafka: messages/s": {"ours": [5.0]},
    }

    assert lost(figures, ["dotnet"]) == 3
    assert lost(figures) == 12


def test_a_cell_shows_smallest_median_and_largest() -> None:
    """One bad round neither hides nor becomes the figure."""
    shown = cell([30.0, 10.5, 20_000.4])

    assert shown == "10.5 / 30 / 20,000"


def test_what_is_small_keeps_two_places() -> None:
    """A start of 0.82 s is not one of 0.8."""
    assert cell([0.823, 9.999, 10.04]) == "0.82 / 10.00 / 10.0"


def test_a_ratio_compares_medians() -> None:
    """An outlier of one contender does not move the ratio."""
    shown = ratio({"ours": [10.0, 20.0, 900.0], "dotnet": [40.0]}, "ours", "dotnet")

    assert shown == "0.50"


@pytest.mark.parametrize("rounds", [{}, {"ours": [1.0]}, {"ours": [1.0], "dotnet": [0.0]}])
def test_a_ratio_to_nothing_is_left_out(rounds: dict[str, list[float]]) -> None:
    """A peer that was not measured, or missed nothing, gives no ratio."""
    assert ratio(rounds, "ours", "dotnet") == "-"


def test_a_table_has_a_column_for_each_contender_and_the_ratio() -> None:
    """What a contender did not measure is a dash, not a hole."""
    figures = {"kafka: messages/s": {"ours": [200.0], "dotnet": [400.0]}, "mqtt: messages/s": {"ours": [100.0]}}

    lines = table(figures, ["ours", "dotnet"], "ours", "dotnet", markdown=True).splitlines()

    assert lines == [
        "| min / median / max | ours | dotnet | ours:dotnet |",
        "| --- | ---: | ---: | ---: |",
        "| kafka: messages/s | 200 / 200 / 200 | 400 / 400 / 400 | 0.50 |",
        "| mqtt: messages/s | 100 / 100 / 100 | - | - |",
    ]


def test_a_table_of_ours_alone_has_no_ratio() -> None:
    """Without the peer there is nothing to compare with."""
    shown = table({"x": {"ours": [1.0]}}, ["ours"], "ours", "dotnet")

    assert shown.splitlines()[0].split() == ["min", "/", "median", "/", "max", "ours"]


def test_what_something_costs_is_told_by_the_plain_way() -> None:
    """Each way as a multiple of the plain one; what that did not measure, or was nothing, is left out."""
    figures = {
        "kafka: messages/s": {"plain": [400.0], "tls": [300.0], "gzip": [200.0]},
        "mqtt: messages/s": {"plain": [100.0], "tls": [90.0]},
        "kafka: missing": {"plain": [0.0], "tls": [0.0]},
    }

    lines = relative(figures, ["plain", "tls", "gzip"], "plain", markdown=True).splitlines()

    assert lines == [
        "| median : plain | tls | gzip |",
        "| --- | ---: | ---: |",
        "| kafka: messages/s | 0.75 | 0.50 |",
        "| mqtt: messages/s | 0.90 | - |",
    ]
