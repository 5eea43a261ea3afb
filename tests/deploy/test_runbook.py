"""The runbook: a page for each alert and none besides, and whatever a page names exists."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bridge.__main__ import _parser
from bridge.blind import CAUSES
from bridge.commands.dlq import _parser as dlq_parser
from bridge.commands.journal import _parser as journal_parser
from bridge.settings.reference import PREFIX, variables
from helm.schema import models
from tests.deploy.observability import FOREIGN, RUNBOOK, alerts, commands, exported, families, selectors
from tests.deploy.tools import CHART, ROOT, compose_file, one, rendered
from tests.support import unavailable

PAGES = sorted(path for path in RUNBOOK.glob("*.md") if path.stem != "index")
INDEX = RUNBOOK / "index.md"
EVERY = [INDEX, *PAGES]
_OWN = {"dlq": dlq_parser, "journal": journal_parser}


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def by_name(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.parametrize("page", EVERY, ids=[page.stem for page in EVERY])(test)


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert [page.stem for page in PAGES] == sorted({alert["alert"] for alert in alerts()})


def test_the_index_names_every_alert_with_its_severities() -> None:
    """In the order of the file of rules."""
    rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| ([a-z, ]+) \| .+ \|$", read(INDEX), re.MULTILINE)
    severities: dict[str, list[str]] = {}
    for alert in alerts():
        severities.setdefault(alert["alert"], []).append(alert["labels"]["severity"])

    assert [(name, name, ", ".join(found)) for name, found in severities.items()] == rows


def test_every_cause_of_a_blind_window_is_explained() -> None:
    page = read(RUNBOOK / "PortosBridgeBlindWindow.md")

    assert [cause for cause in CAUSES if f"`{cause}`" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_a_page_says_what_it_means_how_to_see_it_and_what_to_do(page: Path) -> None:
    """In this order, and by a metric that the alert is about."""
    asked = {metric for alert in alerts() if alert["alert"] == page.stem for metric, _ in selectors(alert["expr"])}
    headings = re.findall(r"^#+ (.+)$", read(page), re.MULTILINE)

    assert headings == [page.stem, "What it means", "How to see it", "What to do"]
    assert any(f"`{metric}`" in read(page) for metric in asked)
    assert commands(page)


@by_name
def test_every_metric_of_a_page_exists(page: Path) -> None:
    known = {*exported(), *families(), *FOREIGN}

    assert set(re.findall(r"\b(?:portos_bridge|process)_\w+", read(page))) - known == set()


@by_name
def test_every_variable_of_a_page_exists(page: Path) -> None:
    known = {variable.name.removeprefix(PREFIX) for prefix, model in models() for variable in variables(model, prefix)}
    named = set(re.findall(r"\b[A-Z]+__[A-Z_]*[A-Z]\b", read(page).replace(PREFIX, "")))

    assert named - known == set()


@by_name
def test_every_event_of_a_page_exists(page: Path) -> None:
    events = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")

    assert [name for name in re.findall(r"portos\.bridge\.[\w.]+\w", read(page)) if f"`{name}`" not in events] == []


@by_name
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", read(page))

    assert [link for link in links if not (page.parent / link).exists()] == []


@by_name
def test_every_command_of_the_bridge_can_be_given(page: Path) -> None:
    """As the program itself reads it; what stands in running text may leave out the program's name."""
    inline = re.findall(r"`((?:portos-bridge|dlq|journal|check) [^`]+)`", read(page))
    blocks = [line.partition("portos-bridge ")[2] for line in commands(page) if " portos-bridge " in line]

    for line in [*inline, *blocks]:
        accepted(shlex.split(line.removeprefix("portos-bridge ").replace("NUMBER", "1")))


def accepted(words: Sequence[str]) -> None:
    first, *rest = words
    if first in _OWN:
        _OWN[first]().parse_args(rest)
    else:
        _parser().parse_args(words)


@by_name
def test_every_service_of_a_page_exists(page: Path) -> None:
    """So does what is looked for in a log: the bridge writes it."""
    sources = "".join(path.read_text() for part in ("bridge", "sinks") for path in (ROOT / part).rglob("*.py"))

    for line in commands(page):
        if line.startswith("docker compose "):
            assert set(shlex.split(line)) & set(compose_file()["services"]), line
        if found := re.search(r"docker compose logs .*grep '?([^']+)'?$", line):
            assert found[1] in sources, line


@pytest.mark.helm
@pytest.mark.parametrize("values", ["default", "secrets"])
def test_the_pod_beside_a_stopped_bridge_has_its_journal(helm: str, values: str) -> None:
    """On the chart's claim or on one of yours: the API takes each name of a volume once."""
    program = shutil.which("jq") or unavailable("jq", "install jq")
    (text,) = re.findall(r"\| jq '(\{apiVersion: .+?)' \| kubectl", read(INDEX), re.DOTALL)
    bridge = json.dumps(one(rendered(helm, CHART / "ci" / f"{values}-values.yaml"), "StatefulSet"))

    made = subprocess.run([program, text], input=bridge, capture_output=True, text=True, timeout=10, check=True)
    spec = json.loads(made.stdout)["spec"]

    claims = {each["name"]: each.get("persistentVolumeClaim") for each in spec["volumes"]}
    assert len(claims) == len(spec["volumes"])
    assert claims["journal"]
    assert {mount["name"] for mount in spec["containers"][0]["volumeMounts"]} <= claims.keys()
