"""The dashboard: each panel says what it shows, of metrics that exist, and no metric is left out."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.deploy.observability import (
    DASHBOARD,
    FOREIGN,
    alerts,
    dashboard,
    exported,
    families,
    panels,
    selectors,
    series,
)

PANELS = list(panels())
TITLES = [f"{panel['id']} {panel['title']}" for panel in PANELS]
VARIABLES = ["datasource", "job", "instance", "site", "sink"]
_ADDED = {"job", "instance"}  # by whoever scrapes


def expressions(panel: Mapping[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


def plain(expression: str) -> str:
    """Put something in the place of Grafana's variables."""
    spans = expression.replace("$__rate_interval", "1m").replace("$__range", "1h")
    return re.sub(r"\$(job|instance|site|sink)\b", ".*", spans)


def shown() -> set[str]:
    """Name every series that a panel shows."""
    return {metric for panel in PANELS for each in expressions(panel) for metric, _ in selectors(plain(each))}


def test_grafana_can_take_it_as_it_is() -> None:
    """Classic model, found again under the same address, and changed in a copy only."""
    found = dashboard()

    assert 39 <= found["schemaVersion"] <= 41
    assert found["uid"] == "portos-bridge"
    assert found["id"] is None
    assert found["editable"] is False


def test_it_can_be_narrowed_to_a_bridge_a_site_and_a_sink() -> None:
    """The variables ask for labels that the metrics have."""
    variables = dashboard()["templating"]["list"]

    assert [variable["name"] for variable in variables] == VARIABLES
    assert variables[0]["type"] == "datasource"
    for variable in variables[1:]:
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
        assert asked
        assert asked[2] == variable["name"]
        ((metric, labels),) = selectors(plain(asked[1]))
        assert labels | {asked[2]} <= exported()[metric] | _ADDED
        assert variable["query"]["query"] == variable["definition"]
        assert (variable["multi"], variable["includeAll"]) == (True, True)


def test_every_panel_has_its_own_number_and_place() -> None:
    """Nothing lies on anything else, or beyond the right edge; a folded row is a picture of its own."""
    rows = [row for row in dashboard()["panels"] if row["type"] == "row" and row["collapsed"]]
    pictures = [dashboard()["panels"], *(row["panels"] for row in rows)]
    ids = [panel["id"] for picture in pictures for panel in picture]

    assert sorted(set(ids)) == sorted(ids)
    for picture in pictures:
        cells = [cell for panel in picture for cell in _cells(panel["gridPos"])]
        assert len(set(cells)) == len(cells)
        assert max(x for x, _ in cells) < 24


def _cells(place: Mapping[str, int]) -> list[tuple[int, int]]:
    across, down = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
    return [(x, y) for x in across for y in down]


def test_the_first_row_says_whether_it_is_well() -> None:
    """At a glance: bridges, hub, sinks, holds, lag, room, losses and letters; then what fires."""
    row, *rest = dashboard()["panels"]
    first = [panel["title"] for panel in rest[:9]]

    assert row["title"] == "Is it well?"
    assert first[:8] == ["Bridges", "Hub", "Sinks", "Held", "Furthest behind", "Journal", "Lost", "Dead letters"]
    assert first[8] == "Alerts that fire"


@pytest.mark.parametrize("panel", PANELS, ids=TITLES)
def test_a_panel_says_what_it_shows(panel: Mapping[str, Any]) -> None:
    """Title, description and unit, and a legend wherever there are several lines."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    if panel["type"] in {"timeseries", "state-timeline"}:
        assert all(target["legendFormat"] for target in panel["targets"])


@pytest.mark.parametrize("panel", PANELS, ids=TITLES)
def test_a_panel_is_about_metrics_and_labels_that_exist(panel: Mapping[str, Any]) -> None:
    """Every expression parses; every metric is the bridge's or Prometheus', and can be narrowed by the variables."""
    known = FOREIGN | exported()

    for expression in expressions(panel):
        for metric, labels in selectors(plain(expression)):
            assert metric in known
            assert labels <= known[metric] | _ADDED, metric
            if metric != "ALERTS":
                assert labels >= _ADDED | ({"site", "sink"} & known[metric]), metric


@pytest.mark.parametrize("panel", PANELS, ids=TITLES)
def test_a_panel_shows_labels_that_its_expression_keeps(panel: Mapping[str, Any]) -> None:
    """No legend has a hole."""
    for target in panel["targets"]:
        kept = re.findall(r"by \(([^)]*)\)", target["expr"])
        shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        assert shown <= {label.strip() for labels in kept for label in labels.split(",")}, target["expr"]


@pytest.mark.parametrize("panel", PANELS, ids=TITLES)
def test_a_rate_is_over_the_interval_that_fits_the_picture(panel: Mapping[str, Any]) -> None:
    """Where Grafana zooms out a fixed span would leave events out, and where it zooms in it would find none."""
    for expression in expressions(panel):
        spans = set(re.findall(r"\[([^]]+)\]", expression))
        assert spans <= ({"$__range"} if panel["type"] == "stat" else {"$__rate_interval"})


def test_no_metric_is_shown_to_nobody() -> None:
    """Every family of the registry is in a panel; an alert or the README alone would not let you see its course."""
    assert [name for name in families() if not series(name) & shown()] == []


def test_what_alerts_is_shown() -> None:
    """Whoever follows an alert to the dashboard finds its metric there."""
    alerting = {metric for alert in alerts() for metric, _ in selectors(alert["expr"])}

    assert alerting - shown() - {"up", "process_start_time_seconds"} == set()


def test_it_is_kept_as_it_is_written() -> None:
    """Two spaces and a last line: a change of one panel is a small one to read."""
    text = DASHBOARD.read_text(encoding="utf-8")

    assert text == json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"
