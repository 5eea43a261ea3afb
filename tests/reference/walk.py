"""Lay out the distribution that docs/writing-a-sink.md walks through: `python -m tests.reference.walk FOLDER`.

A file is a line with its name alone and the block of code below it, so that what readers copy is what is tested.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["PAGE", "block", "files", "lay_out"]

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-sink.md"
_FILE = re.compile(r"^`(?P<name>[\w./-]+/[\w.-]+)`\n\n```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def files() -> Mapping[str, str]:
    """Give every file of the walk by its name."""
    return {found["name"]: found["text"] for found in _FILE.finditer(PAGE.read_text(encoding="utf-8"))}


def block(language: str, word: str) -> str:
    """Give the one block of code in a language that holds a word."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (found,) = (str(each) for each in blocks if word in each)
    return found


def lay_out(folder: Path) -> None:
    """Write the files."""
    for name, text in files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
