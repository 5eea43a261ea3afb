"""What a process takes from its machine, seen from outside, and whether that grows."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

__all__ = ["Vitals", "growth", "vitals"]

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_COUNTS = ("descriptors", "threads", "tasks")


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look at a process at rest; `tasks` is what it says itself."""

    at: float
    rss_bytes: int
    descriptors: int
    threads: int
    tasks: int


def vitals(pid: int, at: float, tasks: int) -> Vitals:
    """Look at a process."""
    process = Path("/proc", str(pid))
    pages = int((process / "statm").read_text().split()[1])
    threads = sum(1 for _ in (process / "task").iterdir())
    return Vitals(at, pages * _PAGE_BYTES, sum(1 for _ in (process / "fd").iterdir()), threads, tasks)


def growth(looks: Sequence[Vitals], most_bytes: int) -> tuple[str, list[str]]:
    """Tell how it went, and what has grown up to the last quarter of the looks.

    The first quarter is for warming up. A count has grown where even its least is more than its most was ever before,
    since it comes and goes with what happens to be connected; of the memory the medians of the second quarter and of
    the last one are compared, and may differ by `most_bytes`.
    """
    quarter = len(looks) // 4
    assert quarter, f"{len(looks)} looks are too few"
    early, late = looks[quarter : 2 * quarter], looks[-quarter:]
    found = []
    for name in _COUNTS:
        most = max(getattr(one, name) for one in looks[quarter:-quarter])
        least = min(getattr(one, name) for one in late)
        if least > most:
            found.append(f"{name} have grown from {most} to {least}")
    before, after = (median(one.rss_bytes for one in part) for part in (early, late))
    hours = (median(one.at for one in late) - median(one.at for one in early)) / 3600
    if after - before > most_bytes:
        found.append(f"memory has grown by {_mib(after - before)}, at most {_mib(most_bytes)} are allowed")
    counts = ", ".join(f"{name} {_range(looks, name)}" for name in _COUNTS)
    told = (
        f"RSS {_mib(before)} to {_mib(after)} ({_mib((after - before) / hours)}/h), "
        f"at most {_mib(max(one.rss_bytes for one in looks))}; {counts}"
    )
    return told, found


def _range(looks: Sequence[Vitals], name: str) -> str:
    values = [getattr(one, name) for one in looks]
    return f"{min(values)}-{max(values)}, at the end {values[-1]}"


def _mib(size: float) -> str:
    return f"{size / 1024**2:.1f} MiB"
