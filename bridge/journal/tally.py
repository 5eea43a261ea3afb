"""What is given up of a journal, row after row: how much for which sink, from when to when, and of which resources.

Pure. What an event of the bridge's own has told of others is not given up with it: the window that stands for all holds
what it said. Used by `bridge.journal.trim`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from bridge.message import OWN_EVENTS, RESYNC_REQUIRED, Message

__all__ = ["GivenUp", "Tally"]


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Numbers that are given up in the journal of this identity, `first` to `last`, and how many `events` that makes.

    `since` is when the row before them was received, or when the first of them came about; None if neither is known.
    `until` is when the last was received; both in seconds since the epoch. `resources` are all of which there is a row;
    None where some rows cannot be read. `sinks` has how many events each gives up: those that it has not settled.
    """

    journal: str
    first: int
    last: int
    events: int
    since: float | None
    until: float
    resources: Sequence[str] | None
    sinks: Mapping[str, int]


class Tally:
    """See the module. `places` are the sinks' places, `since` when the row at the lowest of them was received."""

    def __init__(self, places: Mapping[str, int], since: float | None) -> None:
        self.last = self._floor = min(places.values(), default=0)
        self._places = places
        self._since = since
        self._begins = since is not None
        self._first = self._floor + 1
        self._until = 0.0
        self._told = 0
        self._whole = True
        self._resources: set[str] = set()
        self._sinks = dict.fromkeys(places, 0)

    @property
    def events(self) -> int:
        """How many events are given up that were not before."""
        return max(self._sinks.values(), default=0)

    def add(self, seq: int, message: Message | None) -> None:
        """Add the row behind the last one; None is one that cannot be read."""
        self.last = seq
        if message is None:
            self._whole = False
            self._until = 0.0  # it came later than the last that can be read
        else:
            self._until = max(self._until, message.received_at)
            if seq == self._floor + 1 and not self._begins:
                self._begins, self._since = True, min(message.received_at, message.created_at or message.received_at)
            self._resources |= self._named(message)
        if message is None or message.event != RESYNC_REQUIRED:
            for sink, place in self._places.items():
                self._sinks[sink] += place < seq

    def given_up(self, journal: str, received_behind: float) -> GivenUp:
        """Give all of it; `received_behind` is when the row behind it was received, or now."""
        until = max(self._until or received_behind, self._since or 0.0)
        resources = sorted(self._resources) if self._whole else None
        events = self._told + self.events
        return GivenUp(journal, self._first, self.last, events, self._since, until, resources, dict(self._sinks))

    def _named(self, message: Message) -> set[str]:
        """Name the resources that a row is about, and take up what it tells of others."""
        if not message.event.startswith(OWN_EVENTS):
            return set() if message.resource is None else {message.resource}
        try:
            told = _decode(message.body)
        except msgspec.DecodeError:
            self._whole = False
            return set()
        if told.window is not None and message.event == RESYNC_REQUIRED:
            since = None if told.window.since is None else datetime.fromisoformat(told.window.since).timestamp()
            if since is None or self._since is None:
                self._begins, self._since = True, None
            else:
                self._since = min(self._since, since)
            self._told += told.lost_events
            self._first = min(self._first, told.first_number or self._first)
        return {*told.resources, *([] if told.resource is None else [told.resource])}


class _Window(msgspec.Struct):
    since: str | None = msgspec.field(name="from", default=None)


class _Told(msgspec.Struct, rename="camel"):
    window: _Window | None = None
    resource: str | None = None
    resources: list[str] = msgspec.field(default_factory=list)
    lost_events: int = 0
    first_number: int | None = None


_decode = msgspec.json.Decoder(_Told).decode
