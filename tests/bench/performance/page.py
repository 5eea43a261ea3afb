"""`python -m tests.bench.performance.page`: the tables and the plots of `docs/performance.md`, from what is recorded.

Nothing in them is typed by hand: a part without a record says so.
"""

import re
import sys
from collections.abc import Callable, Mapping

from tests.bench.performance.pictures import PLOTS, plots
from tests.bench.performance.plot import drawn
from tests.bench.performance.record import FOLDER, ROOT, Measured, recorded
from tests.bench.performance.targets import TARGETS, Records, judged
from tests.bench.report import Figures, table

__all__ = ["NAMES", "PAGE", "main", "pictures", "with_figures"]

PAGE = ROOT / "docs" / "performance.md"
_MARKED = re.compile(r"(<!-- measured: (?P<name>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_NOT_YET = "Not measured yet.\n"
_MANY_COLUMNS = 8


def main() -> int:
    """Write the page and the plots anew."""
    records = recorded(FOLDER)
    for name, svg in pictures(records).items():
        (FOLDER / name).write_text(svg)
    PAGE.write_text(with_figures(PAGE.read_text(), records))
    return 0


def pictures(records: Records) -> dict[str, str]:
    """Draw every plot that something is measured of, by the name of its file."""
    return {
        f"{name}.svg": drawn(plot) for name, plot in plots(records).items() if any(each.points for each in plot.lines)
    }


def with_figures(page: str, records: Records) -> str:
    """Put what is measured between the markers `<!-- measured: NAME -->` and `<!-- end -->` of a page."""
    return _MARKED.sub(lambda marker: f"{marker[1]}{_SECTIONS[marker['name']](records)}{marker[3]}", page)


def _part(name: str) -> Callable[[Records], str]:
    def text(records: Records) -> str:
        if name not in records:
            return _NOT_YET
        measured = records[name]
        shown = [plot for plot, (part, _) in PLOTS.items() if part == name and f"{plot}.svg" in pictures(records)]
        titles = plots(records)
        images = [f"![{titles[plot].title}](performance/{plot}.svg)" for plot in shown]
        return "\n\n".join([_where(measured), _tables(measured.figures), *images, *_failures(measured)]) + "\n"

    return text


def _tables(figures: Figures) -> str:
    """Lay the figures out; what has many columns is in a plot."""
    shown = {name: columns for name, columns in figures.items() if len(columns) <= _MANY_COLUMNS}
    columns = dict.fromkeys(column for each in sorted(shown.values(), key=len, reverse=True) for column in each)
    return table(shown, list(columns), "ours", "dotnet", markdown=True)


def _budget(records: Records) -> str:
    """Lay the stages out below one another, a sink a column."""
    found = {name: records[f"profile-{name}"] for name in ("kafka", "mqtt") if f"profile-{name}" in records}
    if not found:
        return _NOT_YET
    turned: Figures = {}
    for sink, measured in found.items():
        for stage, rounds in measured.figures["CPU us a message"].items():
            turned.setdefault(stage, {})[sink] = rounds
    graphs = [f"[Flame graph of {sink}](performance/flame-{sink}.svg)" for sink in found]
    where = [_where(measured) for measured in found.values()]
    return "\n\n".join([*where, table(turned, list(found), "", "", markdown=True), " · ".join(graphs)]) + "\n"


def _targets(records: Records) -> str:
    """Judge by what was measured in full: a try with a tenth of the load meets nothing."""
    full = {part: measured for part, measured in records.items() if " --scale " not in measured.command}
    lines = ["| target | wanted | median | |", "| --- | ---: | ---: | --- |"]
    for target in TARGETS:
        value, verdict = judged(full, target)
        lines.append(f"| {target.text} | {target.wanted()} | {value} | {verdict} |")
    return "\n".join(lines) + "\n"


def _machines(records: Records) -> str:
    """Say what each part was measured on, once for all that were measured on the same."""
    found: dict[str, list[str]] = {}
    for part, measured in records.items():
        found.setdefault(", ".join(f"{name} {value}" for name, value in measured.machine.items()), []).append(part)
    return (
        "\n".join(f"- {machine}: {', '.join(parts)}" for machine, parts in found.items()) + "\n" if found else _NOT_YET
    )


def _where(measured: Measured) -> str:
    notes = "".join(f" {name}: {value}." for name, value in measured.notes.items())
    return f"`{measured.command}` at {measured.commit}, {measured.date}, {measured.seconds:.0f} s.{notes}"


def _failures(measured: Measured) -> list[str]:
    return [f"Without figures: {'; '.join(measured.failed)}."] if measured.failed else []


_PARTS = (
    "peers",
    "start",
    "sinks",
    "sustained",
    "sizes",
    "ids",
    "resources",
    "limits",
    "drain",
    "backlog",
    "endurance",
)
_SECTIONS: Mapping[str, Callable[[Records], str]] = {
    "targets": _targets,
    "budget": _budget,
    "machines": _machines,
    **{name: _part(name) for name in _PARTS},
}
NAMES = frozenset(_SECTIONS)
"""What can stand in a marker."""


if __name__ == "__main__":
    sys.exit(main())
