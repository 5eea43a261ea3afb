"""The alerts: each says what it has to, is about metrics that exist, fires when it should, and is silent otherwise."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.deploy.observability import (
    CASES,
    FOREIGN,
    RULES,
    alerts,
    cases,
    exported,
    promtool,
    relative,
    selectors,
)

ALERTS = alerts()
_ADDED = {"job", "instance", "pod"}  # by whoever scrapes


def name(alert: Mapping[str, Any]) -> str:
    return f"{alert['alert']}, {alert['labels']['severity']}"


NAMES = [name(alert) for alert in ALERTS]


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alert_says_what_is_wrong_how_bad_and_where_to_read_on(alert: Mapping[str, Any]) -> None:
    """The name is the bridge's, and so is the page."""
    assert re.fullmatch(r"PortosBridge[A-Z]\w+", alert["alert"])
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert all(alert["annotations"].values())
    assert alert["annotations"]["runbook_url"] == f"docs/runbook/{alert['alert']}.md"


def test_no_severity_of_an_alert_is_there_twice() -> None:
    assert sorted(set(NAMES)) == sorted(NAMES)


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alert_is_about_metrics_and_labels_that_exist(alert: Mapping[str, Any]) -> None:
    """A renamed metric cannot make an alert silent for ever."""
    known = FOREIGN | exported()

    for metric, labels in selectors(alert["expr"]):
        assert metric in known
        assert labels <= known[metric] | _ADDED, metric


def test_no_rule_is_about_one_installation() -> None:
    """The file holds for every release: it names no namespace and no pod, and no job but by a pattern."""
    text = RULES.read_text(encoding="utf-8")

    assert not re.search(r"\b(namespace|pod|instance|container)=", text)
    assert re.findall(r"\bjob=[^~]", text) == []
    assert not re.search(r"release", text)


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alert_has_a_case_that_fires_and_one_that_is_silent(alert: Mapping[str, Any]) -> None:
    """And each says so: the last question of one that fires is answered by this alert, none of the other is."""
    severity = alert["labels"]["severity"]
    mine = [case for case in cases() if case["name"].startswith(f"{name(alert)}, ")]
    firing = [case for case in mine if case["name"].startswith(f"{name(alert)}, fires: ")]
    silent = [case for case in mine if case["name"].startswith(f"{name(alert)}, is silent: ")]

    assert firing
    assert silent
    assert len(mine) == len(firing) + len(silent)
    for case in firing:
        assert severity in _expected(case["alert_rule_test"][-1], alert)
    for case in silent:
        assert all(severity not in _expected(question, alert) for question in case["alert_rule_test"])


def _expected(question: Mapping[str, Any], alert: Mapping[str, Any]) -> set[str]:
    assert question["alertname"] == alert["alert"]
    return {expected["exp_labels"]["severity"] for expected in question["exp_alerts"]}


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alert_is_not_silent_for_want_of_metrics(alert: Mapping[str, Any]) -> None:
    """What is asked for is there where an alert has to be silent."""
    asked = {metric for metric, _ in selectors(alert["expr"])}

    for case in cases():
        if case["name"].startswith(f"{name(alert)}, is silent: "):
            given = {metric for series in case["input_series"] for metric, _ in selectors(series["series"])}
            assert asked <= given, case["name"]


def test_every_case_is_about_an_alert_that_exists() -> None:
    assert {re.sub(r", (fires|is silent): .*", "", case["name"]) for case in cases()} == set(NAMES)


def test_prometheus_takes_the_rules() -> None:
    """`promtool check rules` finds nothing to say against them."""
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", relative(RULES))

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(ALERTS)} rules found" in checked.stdout


def test_every_case_is_as_prometheus_decides_it() -> None:
    """`promtool test rules` passes: who fires, when, and with which words."""
    tested = promtool("test", "rules", relative(CASES))

    assert tested.returncode == 0, tested.stdout + tested.stderr
