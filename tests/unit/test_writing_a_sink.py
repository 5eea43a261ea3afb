"""docs/writing-a-sink.md says what is so: its lists are complete, and what it imports is there."""

import ast
import re
from importlib import import_module

import pytest

from bridge.contract import SinkContract
from bridge.labels import CONNECT_RESULTS, DEAD_LETTER_REASONS, SINK_DISCONNECTS
from bridge.message import Message
from tests.reference.walk import PAGE, files
from tests.unit.test_metrics import NAMES

TEXT = PAGE.read_text(encoding="utf-8")


def words(line_begins_with: str) -> set[str]:
    """Give what is in backquotes in the one line that begins so, behind its beginning."""
    (line,) = (line for line in TEXT.splitlines() if line.startswith(line_begins_with))
    return set(re.findall(r"`(\w+)`", line.removeprefix(line_begins_with)))


@pytest.mark.parametrize(
    ("line", "reasons"),
    [
        ("- of `Unavailable` from `connect`:", set(CONNECT_RESULTS) - {"ok", "other"}),
        ("- of `Unavailable` from `deliver`:", set(SINK_DISCONNECTS) - {"other"}),
        ("- of `Rejected`:", set(DEAD_LETTER_REASONS) - {"other"}),
    ],
)
def test_every_reason_is_listed(line: str, reasons: set[str]) -> None:
    assert words(line) == reasons


def test_every_metric_of_a_sink_is_listed() -> None:
    kinds = (
        line.split() for line in NAMES.read_text(encoding="utf-8").splitlines() if re.search(r"\bsink\b|_sink_", line)
    )
    names = {
        re.sub(r"\{.*", "", name).removeprefix("portos_bridge_") + ("_total" if kind == "counter" else "")
        for kind, name in kinds
    }

    (line,) = (line for line in TEXT.splitlines() if line.startswith("- **Metrics**"))

    assert set(re.findall(r"`(\w+)(?:\{\w+\})?`", line)) - {"portos_bridge_"} == names


def test_every_field_of_a_message_is_listed() -> None:
    table = TEXT.partition("### A message\n")[2].partition("\n\nMessages **without")[0]
    first_cells = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)

    assert re.findall(r"`(\w+)`", " ".join(first_cells)) == list(Message.__struct_fields__)


def test_every_test_of_the_suite_is_listed() -> None:
    table = TEXT.partition("## The contract suite\n")[2]
    promises = {name.removeprefix("test_") for name in vars(SinkContract) if name.startswith("test_")}

    assert set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", table)) >= promises


def test_everything_that_may_be_imported_is_there() -> None:
    """A name that is moved or renamed breaks the sinks of others, so the page has to change with it."""
    table = TEXT.partition("### What you import\n")[2].partition("\n\nThese modules")[0]
    rows = re.findall(r"^\| `(bridge\.\w+)` \| (.*) \|$", table, re.MULTILINE)

    offered = {(module, name) for module, names in rows for name in re.findall(r"`(\w+)`", names)}

    assert len(offered) > 15
    assert [(module, name) for module, name in offered if name not in import_module(module).__all__] == []


def test_the_walk_imports_nothing_but_what_is_offered() -> None:
    """Whoever follows the page needs no other part of the bridge."""
    offered = set(re.findall(r"^\| `(bridge\.\w+)` \|", TEXT, re.MULTILINE))
    trees = [ast.parse(text) for name, text in files().items() if name.endswith(".py")]

    used = {
        node.module
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("bridge")
    }

    assert len(trees) == 5
    assert used <= offered
