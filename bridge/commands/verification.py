"""A journal read through: what is whole in it, what is lost, and for whom it waits.

Used by the verbs `verify` and `repair` of `portos-bridge journal`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.commands.journal_access import JournalAccess, Row
from bridge.commands.output import counted
from bridge.commands.progress import Progress

__all__ = ["Verified", "last_of", "rows_of", "verified"]

_PAGE_ROWS = 500


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found: how many `events` are whole, the `holes` between them, and what the journal says of itself."""

    journal: Mapping[str, Any]
    events: int
    holes: Sequence[Row]

    @property
    def lost(self) -> int:
        """How many events cannot be read."""
        return sum(hole["lost"] for hole in self.holes)

    def shown(self) -> dict[str, Any]:
        """Write it as JSON has it."""
        return {**self.journal, "events": self.events, "lost": self.lost, "holes": list(self.holes)}

    def lines(self) -> Iterator[str]:
        """Write it for an operator."""
        found = self.journal
        stored = counted(self.events, "event is", "events are")
        yield f"journal {found['journal']}: {stored} stored and whole, up to number {found['head']}"
        for sink, place in found["sinks"].items():
            waiting = counted(place["waiting"], "event waits", "events wait")
            yield f"sink {sink}: settled up to number {place['settled']}, {waiting} for it"
        for sink, count in found["deadLetters"].items():
            yield f"{counted(count, 'dead letter')} of {sink}: `portos-bridge dlq list --sink {sink}` shows them"
        for hole in self.holes:
            left = f", {counted(hole['leftBytes'], 'byte is', 'bytes are')} left of them" if hole["leftBytes"] else ""
            yield f"lost: numbers {hole['seq']} to {last_of(hole)}{left}"
        if self.lost:
            lost = counted(self.lost, "event is", "events are")
            yield f"{lost} lost; nothing is to be done: the bridge tells it to the sinks in their place"


def verified(access: JournalAccess) -> Verified:
    """Read a journal through; on a terminal it is said how far it is, where that takes long."""
    found = access.overview()
    freed, head = found["freed"], found["head"]
    progress = Progress("events")
    events = 0
    holes: list[Row] = []
    for row in rows_of(access, freed):
        if "lost" in row:
            holes.append(row)
        else:
            events += 1
        progress(last_of(row) - freed, head - freed)
    return Verified(found, events, holes)


def rows_of(access: JournalAccess, after: int, *, bodies: bool = False) -> Iterator[Row]:
    """Give all rows behind a number; a journal that goes on growing is read to where it ended at the beginning."""
    head = access.overview()["head"]
    while after < head and (rows := access.rows(after, _PAGE_ROWS, bodies=bodies)):
        yield from rows
        after = last_of(rows[-1])


def last_of(row: Row) -> int:
    """Give the number of a row, or the last of a hole."""
    return int(row.get("lastSeq", row["seq"]))
