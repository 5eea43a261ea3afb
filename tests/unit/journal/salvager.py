"""Salvages a journal as a process of its own; prints how many events and dead letters, and how much its memory grew."""

import re
import sys
from pathlib import Path

from bridge.journal.salvage import made_usable

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)


def peak_bytes() -> int:
    """Read the most memory that this process ever had; `getrusage` counts what had started it as well."""
    found = _PEAK.search(Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    before = peak_bytes()
    salvaged = made_usable(Path(sys.argv[1]), 2**30).salvaged
    assert salvaged is not None
    print(salvaged.events, sum(salvaged.letters.values()), peak_bytes() - before)
