"""What the chart makes for the Prometheus Operator, against the operator's own types: values by npm, keys by a walk."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.tools import CHART, rendered
from tests.oracle.node import NodeScript

pytestmark = [pytest.mark.helm, pytest.mark.peers, pytest.mark.timeout(300)]

SCRIPT = Path(__file__).parent / "prometheus-operator" / "validate.mjs"
TYPES = "node_modules/@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1"
WITHIN = {
    "ServiceMonitor": {"spec": "ServiceMonitorSpec"},
    "ServiceMonitorSpec": {"endpoints": "Endpoint", "namespaceSelector": "NamespaceSelector"},
    "Endpoint": {"relabelings": "RelabelConfig", "metricRelabelings": "RelabelConfig"},
    "PodMonitor": {"spec": "PodMonitorSpec"},
    "PodMonitorSpec": {"podMetricsEndpoints": "PodMetricsEndpoint", "namespaceSelector": "NamespaceSelector"},
    "PodMetricsEndpoint": {"relabelings": "RelabelConfig", "metricRelabelings": "RelabelConfig"},
    "PrometheusRule": {"spec": "PrometheusRuleSpec"},
    "PrometheusRuleSpec": {"groups": "RuleGroup"},
    "RuleGroup": {"rules": "Rule"},
}
"""Of which type the parts of a type are, as far as the chart makes them."""


@pytest.fixture(scope="module")
def folder(pytestconfig: pytest.Config) -> Path:
    return Path(pytestconfig.cache.mkdir("prometheus-operator"))


@pytest.fixture(scope="module")
def operator(folder: Path) -> NodeScript:
    return NodeScript(SCRIPT, folder)


@cache
def keys(file: Path) -> frozenset[str]:
    return frozenset(re.findall(r'^ {4}"(\w+)"\??:', file.read_text(encoding="utf-8"), re.MULTILINE))


def unknown(folder: Path, kind: str, found: Mapping[str, Any]) -> Iterator[str]:
    """Name the keys that a type does not have, and those within that their types do not."""
    yield from (f"{kind}.{key}" for key in set(found) - keys(folder / TYPES / f"{kind}.d.ts"))
    for key, inner in WITHIN.get(kind, {}).items():
        parts = found.get(key, [])
        for part in parts if isinstance(parts, list) else [parts]:
            yield from unknown(folder, inner, part)


def made(helm: str) -> list[dict[str, Any]]:
    """Give a monitor of each kind and the rules, with all that can be said of them."""
    one, other = (CHART / "ci" / f"{name}-values.yaml" for name in ("monitoring", "operations"))
    objects = [*rendered(helm, one), *rendered(helm, other)]
    return [item for item in objects if item["apiVersion"] == "monitoring.coreos.com/v1"]


def test_the_operator_takes_monitors_and_rules(helm: str, operator: NodeScript, folder: Path) -> None:
    """The types of all values are right, nothing that is required is missing, and no key is misspelt."""
    objects = made(helm)

    said = list(operator.answers(objects))

    assert {item["kind"] for item in objects} == {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
    assert said == [None] * len(objects)
    assert [key for item in objects for key in unknown(folder, item["kind"], item)] == []


def test_what_the_operator_would_not_take_is_found(helm: str, operator: NodeScript, folder: Path) -> None:
    """A check that cannot fail proves nothing."""
    monitor = next(item for item in made(helm) if item["kind"] == "PodMonitor")
    endpoint = monitor["spec"]["podMetricsEndpoints"][0] | {"port": 8080, "intervall": "5s"}
    wrong = monitor | {"spec": {"podMetricsEndpoints": [endpoint]}}

    (said,) = operator.answers([wrong])

    assert "port must be string" in said
    assert "selector" in said
    assert list(unknown(folder, "PodMonitor", wrong)) == ["PodMetricsEndpoint.intervall"]
