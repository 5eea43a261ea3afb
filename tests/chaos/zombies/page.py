"""The table in `docs/health.md`: what `zombie` says of each fault, beside what the recorded run has seen.

`python -m tests.chaos --only zombies --rounds 1 --record docs/figures.json` records one, and
`python -m tests.chaos.zombies.page` writes the table anew.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.chaos.figures import FIGURES, HEALTH, recorded
from tests.chaos.zombies.zombie import ZOMBIES, Zombie

__all__ = ["main", "with_table"]

_MARKED = re.compile(r"(<!-- zombies -->\n).*?(<!-- end -->)", re.DOTALL)
_SUMMARY = re.compile(r"(?P<name>[^:]+): seen after (?P<seen>[\d., ]+) s, well (?P<back>[\d.]+) s after the end: ok")
_COLUMNS = (
    "what goes wrong",
    "what shows it",
    "within",
    "seen after",
    "well again",
    "seen after",
    "what it follows from",
)
_HEAD = (f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}")


def main() -> int:
    """Write the table into the page."""
    HEALTH.write_text(with_table(HEALTH.read_text(), recorded(FIGURES).get("zombies")))
    return 0


def with_table(page: str, entry: Mapping[str, Any] | None) -> str:
    """Put the table between the markers of a page; what was not recorded is a dash."""
    measured = _measured(entry["summaries"] if entry else ())
    told = f"Seen in `{entry['command']}` at {entry['commit']}, {entry['date']}." if entry else "Not recorded yet."
    table = "\n".join([*_HEAD, *(_row(zombie, *measured.get(zombie.name, ((), "-"))) for zombie in ZOMBIES)])
    return _MARKED.sub(lambda marked: f"{marked[1]}{table}\n\n{told}\n{marked[2]}", page)


def _measured(summaries: Sequence[str]) -> dict[str, tuple[Sequence[str], str]]:
    found = filter(None, map(_SUMMARY.fullmatch, summaries))
    return {match["name"]: (match["seen"].split(", "), f"{match['back']} s") for match in found}


def _row(zombie: Zombie, seen: Sequence[str], back: str) -> str:
    signs = zombie.signs
    cells = (
        f"**{zombie.name}**: {zombie.how}",
        "<br>".join(sign.text for sign in signs),
        "<br>".join(f"{sign.within_seconds:g} s" for sign in signs),
        "<br>".join(_each(seen, len(signs))),
        f"{zombie.end}: {zombie.back_seconds:g} s",
        back,
        zombie.limit,
    )
    return f"| {' | '.join(cells)} |"


def _each(seen: Sequence[str], count: int) -> Iterator[str]:
    """Give a cell for each sign; a table that has changed since it was recorded has none."""
    return (f"{seconds} s" for seconds in seen) if len(seen) == count else ("-" for _ in range(count))


if __name__ == "__main__":
    sys.exit(main())
