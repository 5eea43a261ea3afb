"""`portos-bridge config env`: which variables there are, those of the installed sinks included."""

from collections.abc import Sequence
from pathlib import Path

from bridge import registry
from bridge.errors import ConfigError
from bridge.settings import Settings
from bridge.settings.reference import Variable, as_environment, as_markdown, by_section, sink_prefix, variables

__all__ = ["BEGIN", "END", "environment", "sections"]

BEGIN = "<!-- variables: written by `portos-bridge config env --into docs/configuration.md` -->"
END = "<!-- end of variables -->"


def environment(*, markdown: bool, into: str | None) -> int:
    """Print the reference, or write its tables between the markers of a file."""
    if into is not None:
        path = Path(into)
        path.write_text(_between_markers(path.read_text(encoding="utf-8"), as_markdown(sections())), encoding="utf-8")
    else:
        print((as_markdown if markdown else as_environment)(sections()))  # noqa: T201 - the command's output
    return 0


def sections() -> Sequence[tuple[str, Sequence[Variable]]]:
    """Give all variables by section: the core's, then those of each installed sink."""
    found = list(by_section(list(variables(Settings))))
    for name, load in registry.installed().items():
        found.append((f"Sink {name}", list(variables(load().config, sink_prefix(name)))))
    return found


def _between_markers(text: str, tables: str) -> str:
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ConfigError([f"the file has no place for the tables: it needs the lines {BEGIN} and {END}"])
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"
