"""Keep the table of values in the chart's README: `python -m helm.table` writes it, `--check` only looks.

Whatever values.yaml describes by a comment that begins with `# --` is a row, with the default beside it.
"""  # noqa: INP001 - the folder is the chart's, not a package

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

__all__ = ["described", "main"]

_CHART = Path(__file__).parent / "portos-bridge"
_README = _CHART / "README.md"
_BEGIN = "<!-- made by `python -m helm.table` from values.yaml -->"
_END = "<!-- end -->"
_KEY = re.compile(r"^( *)(\w+):")


def described(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the path of each described value with its description."""
    path: list[str] = []
    said: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# --"):
            said = [stripped.removeprefix("# --").strip()]
        elif stripped.startswith("# ") and said:
            said.append(stripped.removeprefix("# "))
        else:
            if found := _KEY.match(line):
                path = [*path[: len(found[1]) // 2], found[2]]
                if said:
                    yield tuple(path), " ".join(said)
            said = []


def _row(values: Any, path: Sequence[str], description: str) -> str:
    for name in path:
        values = values[name]
    default = json.dumps(values).replace("|", "\\|")
    return f"| `{'.'.join(path)}` | `{default}` | {description.replace('|', chr(92) + '|')} |"


def _table() -> str:
    text = (_CHART / "values.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    rows = [_row(values, path, description) for path, description in described(text)]
    return "\n".join(["| value | default | |", "|---|---|---|", *rows])


def main(arguments: Sequence[str]) -> int:
    """Write the table, or with `--check` return 1 if it is stale."""
    text = _README.read_text(encoding="utf-8")
    before, rest = text.split(_BEGIN)
    fresh = f"{before}{_BEGIN}\n\n{_table()}\n\n{_END}{rest.split(_END)[1]}"
    if "--check" in arguments:
        return int(fresh != text)
    _README.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
