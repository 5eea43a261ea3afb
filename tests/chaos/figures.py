"""The figures of `docs/guarantees.md`: recorded by the long runs, written into the page between their markers.

`python -m tests.chaos --record docs/figures.json` keeps what a run came to, `python -m tests.chaos.figures` writes the
page anew. Nothing in it is typed by hand: a run without a record says so.
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["FIGURES", "HEALTH", "PAGE", "main", "record", "recorded", "with_figures"]

_ROOT = Path(__file__).parents[2]
FIGURES = _ROOT / "docs" / "figures.json"
PAGE = _ROOT / "docs" / "guarantees.md"
HEALTH = _ROOT / "docs" / "health.md"
"""Written by `tests.chaos.zombies.page`, out of the same record."""
_MARKED = re.compile(r"(<!-- figures: (?P<name>[^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)
Records = Mapping[str, Mapping[str, Any]]


def main() -> int:
    """Write the recorded figures into the page."""
    PAGE.write_text(with_figures(PAGE.read_text(), recorded(FIGURES)))
    return 0


def recorded(path: Path) -> Records:
    """Read what is recorded, by the name of the run."""
    found: Records = json.loads(path.read_text()) if path.exists() else {}
    return found


def record(path: Path, name: str, command: str, summaries: Sequence[str], broken: int) -> None:
    """Keep what a run came to, instead of what it came to before; `broken` is how many of its parts broke a promise."""
    entry = {
        "command": command,
        "commit": _commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "runs": len(summaries),
        "broken": broken,
        "summaries": list(summaries),
    }
    path.write_text(json.dumps(dict(recorded(path)) | {name: entry}, indent=2, sort_keys=True) + "\n")


def with_figures(page: str, records: Records) -> str:
    """Put what is recorded between the markers `<!-- figures: NAME -->` and `<!-- end -->` of a page."""
    return _MARKED.sub(lambda marker: f"{marker[1]}{_text(records.get(marker['name']))}{marker[3]}", page)


def _text(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return "Not recorded yet.\n"
    kept = "no promise was broken" if not entry["broken"] else f"**{entry['broken']} broke a promise**"
    lines = [f"`{entry['command']}` at {entry['commit']}, {entry['date']}: {entry['runs']} runs, {kept}.", ""]
    return "\n".join([*lines, *(f"- {summary}" for summary in entry["summaries"]), ""])


def _commit() -> str:
    """Name the commit that was measured, `-dirty` where more than the figures and what shows them differs from it."""
    described = _git("describe", "--always", "--exclude", "*")
    others = (f":!{path.relative_to(_ROOT)}" for path in (FIGURES, PAGE, HEALTH))
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *others)
    return f"{described}-dirty" if changed else described or "an unknown commit"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
