"""Which plots there are, and of which figures each is made.

Pure.
"""

from collections.abc import Callable, Mapping

from tests.bench.performance.plot import Line, Plot
from tests.bench.performance.targets import Records

__all__ = ["PLOTS", "plots"]

_SINKS = {"kafka": "Kafka", "mqtt": "MQTT"}
_PLAIN = "1000"
_HUB = "hub to a reader that counts, messages/s"
_DISK = "disk, written and fsynced, messages/s"


def plots(records: Records) -> dict[str, Plot]:
    """Give each plot that there are figures for, by the name of its file."""
    return {name: make(records) for name, (part, make) in PLOTS.items() if part in records}


def _sizes(records: Records) -> Plot:
    limits = [
        _line(records, "limits", _HUB, "limit: hub alone", limit=True),
        *(
            _line(
                records, "limits", f"bare producer to {sink}, messages/s", f"limit: {name}, bare producer", limit=True
            )
            for sink, name in _SINKS.items()
        ),
        _line(records, "limits", _DISK, "limit: disk, fsynced by 100", limit=True),
    ]
    return Plot(
        "Rate by the size of the body",
        "body of a notification",
        "messages/s",
        [*_rates(records, "sizes"), *limits],
        shown=_bytes,
        log_y=True,
    )


def _ids(records: Records) -> Plot:
    return Plot(
        "Rate by the number of resource ids", "different ids", "messages/s", _bounded(records, _rates(records, "ids"))
    )


def _resources(records: Records) -> Plot:
    lines = _bounded(records, _rates(records, "resources"))
    return Plot("Rate by the number of resources", "resources, each with a topic of its own", "messages/s", lines)


def _sinks(records: Records) -> Plot:
    figures = records["sinks"].figures
    columns = {
        "kafka": ("kafka", "kafka+mqtt", "kafka+mqtt+stdout"),
        "mqtt": ("mqtt", "kafka+mqtt", "kafka+mqtt+stdout"),
    }
    lines = []
    for sink, name in _SINKS.items():
        found = figures.get(f"{sink}: messages/s", {})
        points = {float(step): found[column] for step, column in enumerate(columns[sink], 1) if column in found}
        lines.append(Line(f"{name}'s rate", points))
    return Plot(
        "Rate by the number of sinks",
        "sinks of one bridge: one, both, both and standard output",
        "messages/s",
        _bounded(records, lines),
        log_x=False,
    )


def _backlog(records: Records) -> Plot:
    lines = [
        _line(records, "backlog", f"{sink}: rows delivered/s", f"{name}: delivered") for sink, name in _SINKS.items()
    ]
    lines.append(_line(records, "backlog", "kafka: rows stored/s, no broker", "stored, no broker"))
    return Plot("Delivery of a backlog by its length", "rows in the journal", "rows/s", _bounded(records, lines))


def _opening(records: Records) -> Plot:
    texts = {"opening the journal to subscribed, s": "opening", "last delivered to all settled, s": "settling"}
    lines = [
        _line(records, "backlog", f"{sink}: {text}", f"{name}: {short}")
        for sink, name in _SINKS.items()
        for text, short in texts.items()
    ]
    return Plot("Opening and settling a backlog by its length", "rows in the journal", "seconds", lines)


def _memory(records: Records) -> Plot:
    figure = records["endurance"].figures.get("RSS, MiB", {})
    points = {float(column): rounds for column, rounds in figure.items()}
    return Plot("Memory over a long life", "messages to both sinks", "RSS, MiB", [Line("RSS", points)], log_x=False)


PLOTS: Mapping[str, tuple[str, Callable[[Records], Plot]]] = {
    "sizes": ("sizes", _sizes),
    "ids": ("ids", _ids),
    "resources": ("resources", _resources),
    "sinks": ("sinks", _sinks),
    "backlog": ("backlog", _backlog),
    "opening": ("backlog", _opening),
    "endurance": ("endurance", _memory),
}
"""Name of the file -> the part it is of, and how it is made."""


def _rates(records: Records, part: str) -> list[Line]:
    return [_line(records, part, f"{sink}: messages/s", name) for sink, name in _SINKS.items()]


def _line(records: Records, part: str, figure: str, name: str, *, limit: bool = False) -> Line:
    found = records[part].figures.get(figure, {}) if part in records else {}
    return Line(name, {float(column): rounds for column, rounds in found.items()}, limit)


def _bounded(records: Records, lines: list[Line]) -> list[Line]:
    """Add what hub, brokers and disk can do alone with 1 KB, as level lines."""
    steps = [step for each in lines for step in each.points]
    bare = {f"bare producer to {sink}, messages/s": f"limit: {name}, bare producer" for sink, name in _SINKS.items()}
    names = {_HUB: "limit: hub alone", **bare, _DISK: "limit: disk, fsynced by 100"}
    for figure, name in names.items():
        known = _line(records, "limits", figure, name).points.get(float(_PLAIN))
        if known and steps:
            lines = [*lines, Line(name, {min(steps): known, max(steps): known}, limit=True)]
    return lines


def _bytes(size: float) -> str:
    for unit, factor in (("MB", 1e6), ("KB", 1e3)):
        if size >= factor:
            return f"{size / factor:g} {unit}"
    return f"{size:g} B"
