"""What a part has measured, as a file: figures, and the machine, the versions and the commit that they are of."""

import json
import os
import platform
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench.report import Figures

__all__ = ["FOLDER", "ROOT", "Measured", "commit", "machine", "read", "recorded", "write"]

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "performance"
_LIBRARIES = ("aiohttp", "aiokafka", "paho-mqtt", "signalrcore", "msgspec")


@dataclass(slots=True)
class Measured:
    """What one part came to: name of the figure -> column -> a value for each round.

    A column is a contender, a sink, or a step of what grows (`1000`). `failed` says which runs gave no figures.
    """

    part: str
    command: str
    commit: str
    date: str
    seconds: float
    machine: dict[str, str]
    figures: Figures = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)


def write(
    folder: Path,
    part: str,
    figures: Figures,
    *,
    command: str,
    seconds: float,
    failed: Sequence[str] = (),
    notes: Mapping[str, str] | None = None,
) -> None:
    """Keep what a part came to, instead of what it came to before."""
    measured = Measured(
        part,
        command,
        commit(),
        datetime.now(UTC).isoformat(timespec="minutes").replace("+00:00", "Z"),
        round(seconds, 1),
        machine(),
        _rounded(figures),
        list(failed),
        dict(notes or {}),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{part}.json").write_text(json.dumps(asdict(measured), indent=1) + "\n")


def recorded(folder: Path) -> dict[str, Measured]:
    """Read all that is recorded, by part."""
    return {path.stem: read(path) for path in sorted(folder.glob("*.json"))}


def read(path: Path) -> Measured:
    """Read one record."""
    return Measured(**json.loads(path.read_text()))


def machine() -> dict[str, str]:
    """Say what this is measured on."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "CPU": _cpu(),
        "cores": str(os.cpu_count()),
        "memory": f"{pages / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        **{name: version(name) for name in _LIBRARIES},
    }


def commit() -> str:
    """Name the commit that is measured, `-dirty` where more than what is recorded differs from it."""
    described = _git("describe", "--always", "--exclude", "*")
    changed = _git(
        "status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/performance*", ":!docs/figures.json"
    )
    return f"{described}-dirty" if changed else described or "an unknown commit"


def _rounded(figures: Figures) -> Figures:
    return {
        name: {column: [float(f"{value:.6g}") for value in rounds] for column, rounds in columns.items()}
        for name, columns in figures.items()
    }


def _cpu() -> str:
    """Name the processor; the kernel of a virtual machine may know no more than its maker."""
    facts = dict(
        [part.strip() for part in line.split(":", 1)]
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if ":" in line
    )
    name = facts.get("model name", platform.machine())
    return f"{name} (family {facts['cpu family']}, model {facts['model']})" if "model" in facts else name


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
