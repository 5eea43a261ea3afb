"""Alerts, dashboard and runbook as their files say it, and Prometheus' own tool to hold them against."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from tests.brokers.container import engine
from tests.deploy.tools import CHART, ROOT, compose_file
from tests.support import unavailable

__all__ = [
    "CASES",
    "DASHBOARD",
    "FOREIGN",
    "RULES",
    "RUNBOOK",
    "alerts",
    "cases",
    "commands",
    "dashboard",
    "exported",
    "families",
    "panels",
    "promtool",
    "relative",
    "selectors",
    "series",
]

RULES = CHART / "files" / "rules" / "portos-bridge.yaml"
DASHBOARD = CHART / "files" / "dashboards" / "portos-bridge.json"
CASES = ROOT / "tests" / "deploy" / "alerts.yaml"
RUNBOOK = ROOT / "docs" / "runbook"

FOREIGN = {
    "up": set[str](),
    "ALERTS": {"alertname", "alertstate", "severity"},
    "process_start_time_seconds": set[str](),
    "process_cpu_seconds_total": set[str](),
    "process_resident_memory_bytes": set[str](),
    "process_open_fds": set[str](),
    "process_max_fds": set[str](),
}
"""Metrics of Prometheus and of the client library, with their labels."""

_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


@cache
def alerts() -> Sequence[Mapping[str, Any]]:
    """Give every alert, in the order of the file."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@cache
def cases() -> Sequence[Mapping[str, Any]]:
    """Give the unit tests of the alerts."""
    found: Sequence[Mapping[str, Any]] = yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"]
    return found


@cache
def dashboard() -> Mapping[str, Any]:
    """Give the dashboard."""
    found: Mapping[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def panels() -> Iterator[Mapping[str, Any]]:
    """Give every panel that shows something, those of folded rows included."""
    for panel in dashboard()["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


@cache
def families() -> Mapping[str, tuple[str, frozenset[str]]]:
    """Give the type and the labels of each family of metrics, as the golden file has them."""
    lines = (ROOT / "tests" / "unit" / "metrics.golden.txt").read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"(\w+) (\w+)\{(.*)\}", line) for line in lines]
    return {line[2]: (line[1], frozenset(filter(None, line[3].split(",")))) for line in found if line}


def series(family: str) -> set[str]:
    """Name the series of a family of metrics."""
    return {family + suffix for suffix in _SUFFIXES[families()[family][0]]}


@cache
def exported() -> Mapping[str, frozenset[str]]:
    """Give every name of a series that a bridge exports, with its labels."""
    return {name: labels for family, (_, labels) in families().items() for name in series(family)}


def selectors(expression: str) -> Sequence[tuple[str, frozenset[str]]]:
    """Give the metrics that an expression selects, each with the labels that it is selected by."""
    found: list[tuple[str, frozenset[str]]] = []

    def note(node: object) -> None:
        if isinstance(node, promql_parser.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql_parser.VectorSelector):
            assert node.name, f"no metric is named: {node.prettify()}"
            found.append((node.name, frozenset(matcher.name for matcher in node.matchers.matchers)))

    promql_parser.walk(promql_parser.parse(expression), note)
    return found


def commands(page: Path) -> Sequence[str]:
    """Give every command that a page of the runbook shows in a block of its own, and that asks only.

    What changes something, step by step, stands in a block that names its language.
    """
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [line for language, block in blocks if not language for line in block.splitlines()]


def promtool(*words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run Prometheus' tool in the repository: that of TEST_PROMTOOL, else the installed one, else that of its image."""
    program = os.environ.get("TEST_PROMTOOL") or shutil.which("promtool")
    image = compose_file()["services"]["prometheus"]["image"]
    if program:
        command = [program]
    elif engine(image):
        command = ["docker", "run", "--rm", "--interactive", "--network=none", f"--volume={ROOT}:/src:ro"]
        command += ["--workdir=/src", "--entrypoint=promtool", image]
    else:
        unavailable("promtool", f"set TEST_PROMTOOL, install Prometheus, or have Docker with {image}")
    return subprocess.run(
        [*command, *words], cwd=ROOT, input=text, capture_output=True, text=True, timeout=60, check=False
    )


def relative(path: Path) -> str:
    """Name a file as a program in the repository does."""
    return str(path.relative_to(ROOT))
