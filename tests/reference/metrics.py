"""The table in `docs/metrics.md`: every metric that the bridge exports, out of the catalogue itself.

`python -m tests.reference.metrics` writes it anew. The labels that come from closed sets are listed with what they may
be; `site`, `sink` and `resource` depend on the settings.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import Metric

from bridge.metrics import Catalogue
from bridge.source import SourceActivity
from bridge.state.numbers import Numbers, Publication
from bridge.state.scrape import StateAtScrape

__all__ = ["BEGIN", "END", "PAGE", "catalogue", "main", "tables"]

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
BEGIN = "<!-- metrics: written by `make reference` -->"
END = "<!-- end of metrics -->"
_OPEN = {"site", "sink", "stage", "resource", "version", "python", "hash", "sinks"}
"""Labels whose values nobody can list."""
_GROUPS = {
    "The hub": ("source_", "auth_", "hub_"),
    "Events and the ledger": ("event_bytes", "events_", "gap", "ledger_"),
    "The journal": ("journal_",),
    "Sinks": ("sink_", "end_to_end_"),
    "States": ("state_",),
    "Dead letters": ("dlq_",),
    "The process": ("",),
}
"""Titles, and what the names of their metrics begin with; the first that fits counts."""


def catalogue(resources: int = 3) -> Catalogue:
    """Make a catalogue in which every metric has a value, of a bridge with two sinks and states on both."""
    names = [f"resource{number:03}" for number in range(resources)]
    made = Catalogue("default", ["kafka", "mqtt"], names, 50)
    made.configured("5b1d")
    numbers = {"events": 0, "bytes": 0, "capacity_bytes": 1, "busy_seconds": 0.0, "corrupt_records": 0}
    activity = SourceActivity(last_frame_at=1.0, last_event_at=1.0, token_expires_at=1.0, clock_offset_seconds=1.0)
    letters = {"events": 0, "bytes": 0, "marked": 0, "shed": 0, "expired": 0}
    made.watch(activity, lambda: numbers, lambda _: (0, 0, 0.0), lambda _: letters)
    made.last_delivered.labels("kafka").set(1)
    states = Numbers({"kafka": Publication(), "mqtt": Publication(damaged=2)})
    up = dict.fromkeys(states.publications, lambda: True)
    made.registry.register(StateAtScrape(states, up, lambda: 0, lambda: True))
    return made


def main() -> int:
    """Write the tables between their markers."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables()}\n{END}{after}", encoding="utf-8")
    return 0


def tables() -> str:
    """Write one table a group."""
    families = sorted(catalogue().registry.collect(), key=lambda family: family.name)
    ours = {
        family.name.removeprefix("portos_bridge_"): family for family in families if "portos_bridge_" in family.name
    }
    lines = []
    for title, beginnings in _GROUPS.items():
        names = [name for name in ours if name.startswith(beginnings)]
        lines += [f"### {title}", "", "| metric | type | labels | meaning |", "|---|---|---|---|"]
        lines += [_row(name, ours.pop(name)) for name in names] + [""]
    return "\n".join(lines)


def _row(name: str, family: Metric) -> str:
    full = f"{name}_total" if family.type == "counter" else name
    text = re.sub(r"\s+", " ", family.documentation).replace("|", "\\|")
    return f"| `{full}` | {family.type} | {', '.join(_labels(family))} | {text} |"


def _labels(family: Metric) -> Iterator[str]:
    """Give the labels, those of a closed set with their values."""
    for label in dict.fromkeys(name for sample in family.samples for name in sample.labels if name != "le"):
        values = sorted({sample.labels[label] for sample in family.samples})
        yield f"`{label}`" if label in _OPEN else f"`{label}`: " + " ".join(f"`{value}`" for value in values)


if __name__ == "__main__":
    sys.exit(main())
