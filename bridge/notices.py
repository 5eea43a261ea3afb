"""What the bridge says of itself to its brokers: the notices `state`, `info` and `health`, as JSON.

`state` is `online` while what the hub says reaches all sinks, and `degraded` while it does not: the hub is not
subscribed, the journal takes nothing, or another sink, or the store of states, is not connected or is held. What is
over and done with degrades nothing, be it a blind window or a dead letter; `health` counts them. Reads what the parts
know and keeps nothing, as `bridge.status`. Made by `bridge.service`, told by `bridge.presence`.
"""

import socket
import time
from collections.abc import Callable, Sequence

import msgspec

from bridge import __version__
from bridge.labels import JOURNAL, SOURCE
from bridge.message import rfc3339
from bridge.metrics import Catalogue
from bridge.notation import lag_reading
from bridge.payload import Health, HubHealth, Info, SinkHealth, State, Subscriptions
from bridge.ports import Notice
from bridge.presence import Report
from bridge.settings.effective import Effective
from bridge.status import Status

__all__ = ["Notices"]

_json = msgspec.json.Encoder().encode


class Notices:
    """See the module; one for all sinks."""

    def __init__(
        self, effective: Effective, status: Status, catalogue: Catalogue, open_gaps: Callable[[], int]
    ) -> None:
        self._effective = effective
        self._status = status
        self._catalogue = catalogue
        self._open_gaps = open_gaps

    def report(self, sink: str) -> Report:
        """Give the notices as they are for the broker of one sink, which has to be there to be told."""
        return Report(lambda: self._state(sink), self._info, lambda: self._health(sink))

    def _state(self, sink: str) -> Notice:
        return Notice("state", _json(State(self._word(sink))))

    def _word(self, sink: str) -> str:
        return "degraded" if self._reasons(sink) else "online"

    def _reasons(self, sink: str) -> Sequence[str]:
        status = self._status
        others = {name: link for name, link in status.sinks.items() if name != sink}
        return [
            *(name for name, ok, _ in status.ready() if not ok),
            *(f"sink {name}" for name, link in others.items() if link.held or not link.connected),
            *self._store(),
        ]

    def _store(self) -> Sequence[str]:
        """Name the state store where it takes nothing: the journal keeps what it has to take, as for a sink."""
        states = self._status.states
        if states is None or not states.readers or (states.feeder.connected and not states.feeder.held):
            return []
        return ["state store"]

    def _info(self) -> Notice:
        """Say what bridge this is and what it was told to bring; another one where a setting changes while it runs."""
        settings = self._effective.configuration.settings
        subscribe = settings.subscribe
        about = Info(
            version=__version__,
            site=settings.site,
            host=socket.gethostname(),
            started_at=rfc3339(self._status.started_at),
            configuration=self._effective.fingerprint,
            subscriptions=Subscriptions(subscribe.resources, subscribe.actions, subscribe.licence),
            content=settings.event.content,
            sinks=list(self._effective.configuration.sinks),
        )
        return Notice("info", _json(about))

    def _health(self, sink: str) -> Notice:
        """Say how the bridge is just now; numbers of events and seconds are since its start where they only grow."""
        status, journal = self._status, self._status.journal
        holders = (*status.sinks, JOURNAL, SOURCE)
        health = Health(
            at=rfc3339(time.time()),
            state=self._word(sink),
            because=self._reasons(sink),
            hub=HubHealth(status.hub.connected, rfc3339(status.hub.since)),
            blind_seconds=round(self._catalogue.told_blind_seconds, 3),
            open_gaps=self._open_gaps(),
            sinks={name: self._sink(name) for name in status.sinks},
            dead_letters={name: journal.letters.numbers(name)["events"] for name in holders},
        )
        return Notice("health", _json(health), kept=False)

    def _sink(self, name: str) -> SinkHealth:
        link = self._status.sinks[name]
        events, size, seconds = lag_reading(self._status.journal, name)
        return SinkHealth(link.connected, link.held, events, size, round(seconds, 3))
