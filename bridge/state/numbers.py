"""What the metrics and the status ask of the state topics; written by whoever does it, never reset.

Pure. Counts are since the start; times are seconds since the epoch.
"""

from dataclasses import dataclass, field

__all__ = ["Numbers", "Publication"]


@dataclass(slots=True)
class Publication:
    """What one sink has published: how many states, how many it will never take by reason, and its place.

    `damaged` states were left out, since the disk has spoilt them: each time that they were come to.
    `waiting_since` is when the oldest change that is not published yet was received; None where there is none.
    """

    published: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    damaged: int = 0
    cursor: int = 0
    waiting_since: float | None = None


@dataclass(slots=True)
class Numbers:
    """What the store holds, and what became of it.

    `head` is the number of the last change that it has. `forgotten` are states thrown away for want of room, `missed`
    events that others settled while nobody fed the store.
    """

    publications: dict[str, Publication]
    head: int = 0
    used_bytes: int = 0
    max_bytes: int = 0
    forgotten: int = 0
    missed: int = 0

    def lag(self, sink: str, now: float) -> tuple[int, float]:
        """Tell how many changes a sink has still to publish, before they are coalesced, and the oldest one's age."""
        found = self.publications[sink]
        if found.waiting_since is None:
            return 0, 0.0
        return max(self.head - found.cursor, 0), max(now - found.waiting_since, 0.0)
