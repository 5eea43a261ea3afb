"""The settings of what the bridge keeps on its disk: the journal, the newest states, dead letters.

Pure.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from bridge.settings.base import Part, Positive

__all__ = ["LEAST_JOURNAL_BYTES", "Dlq", "Journal", "State", "largest_journal"]

LEAST_JOURNAL_BYTES = 4_194_304
"""What a journal has to be allowed to hold."""
_LARGEST_PART_OF_A_VOLUME = 0.8
_LOG_BYTES = 8_388_608  # a small journal's log: 4 MiB, and what exceeds it; a fifth of a large volume holds more


def largest_journal(volume_bytes: int) -> int:
    """Tell how much the journal may hold on a volume of this size, beside SQLite's log and the copy of a salvage."""
    return max(0, min(int(_LARGEST_PART_OF_A_VOLUME * volume_bytes), volume_bytes - _LOG_BYTES))


class Journal(Part):
    """The file in which every event is stored before anything else happens."""

    path: Path = Path("/var/lib/portos-bridge/journal.db")
    """Where the journal is; its folder must be on a local disk and writable."""
    max_bytes: int = Field(default=1_073_741_824, ge=LEAST_JOURNAL_BYTES)
    """How much the journal may hold, at least 4194304; more than 80 % of its volume counts as 80 %, with a warning at
    start. On a volume of less than 40 MiB it may hold all but 8 MiB."""
    on_full: Literal["shed", "block"] = "shed"
    """`shed` stores changes without their bodies from 7/8 of it on, and drops what comes at the limit; `block` lets the
    hub wait, and drops what it sends after 5 s. All of it is told."""
    memory_max_bytes: int = Field(default=67_108_864, ge=1_048_576)
    """How much of it may be held in memory as well, for sinks that keep up, and waiting for the disk."""
    dedupe_seconds: Positive = 86_400
    """How long the version of a resource is remembered at least, by which repeats and stale changes are recognised."""


class State(Part):
    """What is kept of the newest state of each resource, for sinks that publish it."""

    max_bytes: int = Field(default=134_217_728, ge=LEAST_JOURNAL_BYTES)
    """How much the file of states may hold, beside the journal, at most 10 % of its volume; beyond it the states that
    changed least recently are forgotten, and cannot be published again to a broker that has lost them."""


class Dlq(Part):
    """What is kept of events that a sink will never take, besides the limit of a quarter of the journal."""

    keep_seconds: Positive = 2_592_000
    """How long a dead letter is kept; what is older is thrown away, and counted."""
