"""The ledger: every event that came has gone somewhere, counted at both ends and never settled by one of them.

Pure. The identities hold whenever nobody is in the middle of a step, over the whole life of a journal:

    received + generated = filtered + duplicate + invalid + dropped + accepted + waiting
    accepted = delivered + dead_lettered + skipped + what the sink has still to settle, for each sink

What comes is counted where the hub is read, `accepted` are the journal's sequence numbers, what becomes of an event is
counted where it is decided: an event that is lost, doubled or counted twice between them is an imbalance. Kept by
`bridge.journal` together with what it accounts for, checked by `bridge.service`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

__all__ = ["INTAKE", "Account", "Ledger", "recorded_cursors", "recorded_places", "restored"]

INTAKE = "intake"
"""The stage that is no sink."""


@dataclass(slots=True)
class Account:
    """What became of the events that a sink has passed; `skipped` were damaged, or gone before the sink was there."""

    delivered: int = 0
    dead_lettered: int = 0
    skipped: int = 0

    def redriven(self, events: int) -> None:
        """Count dead letters that were delivered after all; those of before this ledger are among the skipped."""
        known = min(events, self.dead_lettered)
        self.dead_lettered -= known
        self.skipped -= events - known
        self.delivered += events

    @property
    def passed(self) -> int:
        """How many events that makes; the sink's cursor is a sequence number and has to be the same."""
        return self.delivered + self.dead_lettered + self.skipped


@dataclass(slots=True)
class Ledger:
    """Totals since the journal was made; `received` are those that have left the source's queue."""

    received: int = 0
    generated: int = 0
    filtered: int = 0
    duplicate: int = 0
    invalid: int = 0
    dropped: int = 0
    sinks: dict[str, Account] = field(default_factory=dict)

    def imbalances(self, accepted: int, cursors: Mapping[str, int]) -> Mapping[str, int]:
        """Give by stage how many events are missing, negative where there are too many; 0 is right.

        `accepted` is the last sequence number given, `cursors` are the last that each sink has settled.
        """
        gone = self.filtered + self.duplicate + self.invalid + self.dropped + accepted
        sinks = {name: cursors[name] - account.passed for name, account in self.sinks.items()}
        return {INTAKE: self.received + self.generated - gone, **sinks}

    def record(self, accepted: int, cursors: Mapping[str, int]) -> bytes:
        """Write it down for the moment at which these are the sequence numbers."""
        return msgspec.json.encode(_Record(self, accepted, dict(cursors)))


class _Record(msgspec.Struct):
    ledger: Ledger
    accepted: int
    cursors: dict[str, int]


def recorded_places(record: bytes | None) -> tuple[int, int | None]:
    """Give the last sequence number of a record, and the one that all sinks of then had passed; None is unknown."""
    if record is None:
        return 0, None
    found = msgspec.json.decode(record, type=_Record)
    return found.accepted, min(found.cursors.values(), default=None)


def recorded_cursors(record: bytes | None) -> Mapping[str, int]:
    """Give what each sink of a record had passed; also of one that has never settled anything."""
    return {} if record is None else msgspec.json.decode(record, type=_Record).cursors


def restored(record: bytes | None, accepted: int, cursors: Mapping[str, int], settled: Mapping[str, int]) -> Ledger:
    """Go on with a ledger for the sinks of `cursors`, which are where they begin.

    `settled` are the cursors that were found. A record is a little older than the journal it lies in: what was accepted
    and settled after it was counted by nobody but the journal, and is taken over from there. A journal that holds less
    than its record says has lost something, which stays an imbalance.
    """
    if record is None:
        ledger, recorded = Ledger(received=accepted), {}
    else:
        found = msgspec.json.decode(record, type=_Record)
        ledger, recorded = found.ledger, found.cursors
        ledger.received += max(accepted - found.accepted, 0)
    for name, cursor in cursors.items():
        place = settled.get(name, 0)
        account = ledger.sinks.setdefault(name, Account(skipped=place))
        counted = recorded.get(name, place)
        account.delivered += max(place - counted, 0)
        account.skipped += max(cursor - max(place, counted), 0)
    for name in ledger.sinks.keys() - cursors.keys():
        del ledger.sinks[name]
    return ledger
