"""The state of one connection after another to the same peer: what the metrics, the status and the back-off ask for.

Used by `bridge.pipeline`, made by `bridge.service`.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from bridge.errors import Unavailable
from bridge.pausing import Pausing
from bridge.policy import Pauses

__all__ = ["UNCOUNTED", "Gauges", "Link", "Times"]

_log = logging.getLogger(__name__)
_SOON_SECONDS = 10.0
_PLANNED = "planned"  # a connection that ends for a better one: no failure


@dataclass(frozen=True, slots=True)
class Times:
    """Deadlines and pauses of a link, in seconds."""

    connect_seconds: float
    close_seconds: float
    stable_seconds: float
    pauses: Pauses


@dataclass(frozen=True, slots=True)
class Gauges:
    """Where a link counts: attempts by result, losses by reason, and whether it is up or held."""

    attempt: Callable[[str], None]
    lost: Callable[[str], None]
    connected: Callable[[bool], None]
    held: Callable[[bool], None]


UNCOUNTED = Gauges(lambda _: None, lambda _: None, lambda _: None, lambda _: None)
"""For a link that no metric is about."""


class Link:
    """See the module. `since` is when it was connected or lost last, in seconds since the epoch.

    `last_reason` is that of the last error, a word of an adapter; `next_attempt_at` is None where none is planned.
    `setback` says why a newer connection than the one that stands came to nothing, until `settled`.
    """

    def __init__(self, name: str, times: Times, gauges: Gauges) -> None:
        self.name = name
        self.times = times
        self.connected = False
        self.held = False
        self.since = time.time()
        self.last_error = ""
        self.last_reason = ""
        self.setback = ""
        self.next_attempt_at: float | None = None
        self.failures = 0
        self.pausing = Pausing()
        self._ended_soon = 0
        self._gauges = gauges
        self._began_at: float | None = None
        self._broken_at: float | None = None

    @property
    def outage_seconds(self) -> float:
        """How long the peer has been out of reach, 0 while nothing has failed."""
        return 0.0 if self._broken_at is None else time.monotonic() - self._broken_at

    def began(self) -> None:
        """Note that a connection is open and ready."""
        self._began_at = time.monotonic()
        self.next_attempt_at = None
        self._gauges.attempt("ok")
        _log.info("%s connected", self.name, extra={"attempt": self.failures + 1})
        self._set(connected=True, held=self.held)

    def proved(self) -> None:
        """Note that the connection has done what it is for: a hold is over."""
        if self.held:
            _log.info("%s is no longer held", self.name)
            self._set(connected=self.connected, held=False)

    def ended(self, error: Unavailable) -> Unavailable:
        """Note why the last attempt or connection ended, and return that: held where it is one too many of its kind."""
        now = time.monotonic()
        error = self._suspected(error, now)
        if self._began_at is None:
            self._gauges.attempt(error.reason)
        else:
            self._gauges.lost(error.reason)
            stood_seconds = now - self._began_at
            if stood_seconds >= self.times.stable_seconds:
                self.failures = 0
            if stood_seconds >= min(_SOON_SECONDS, self.times.stable_seconds):
                self._broken_at = None  # an outage of its own, and not the last one that goes on
        self._began_at = None
        if error.reason != _PLANNED:
            self._broken_at = now if self._broken_at is None else self._broken_at
            self.failures += 1
        self.last_error, self.last_reason = str(error), error.reason
        self._set(connected=False, held=error.hold)
        return error

    def _suspected(self, error: Unavailable, now: float) -> Unavailable:
        """Hold what ends one connection after the other soon after they began, as far as the adapter says so."""
        soon = self._began_at is None or now - self._began_at < _SOON_SECONDS
        self._ended_soon = self._ended_soon + 1 if soon and error.hold_after is not None else 0
        if error.hold_after is None or self._ended_soon <= error.hold_after:
            return error
        text = f"{error}; it is the {self._ended_soon}. connection in a row that ends like that"
        return Unavailable(text, reason=error.reason, hold=True)

    def noted(self, error: Unavailable) -> None:
        """Keep for the status what came to nothing beside a connection that stays."""
        self.last_error, self.last_reason = str(error), error.reason
        self.setback = self.last_error

    def settled(self) -> None:
        """Note that nothing is left of what came to nothing: the connection is as new as it has to be."""
        self.setback = ""

    def left(self) -> None:
        """Note that the connection is let go since the bridge stops, which is no failure."""
        self._set(connected=False, held=self.held)

    def log_failure(self, error: Unavailable, seconds: float) -> None:
        """Say once an attempt what failed and what follows: an error when somebody must act, less when planned."""
        self.next_attempt_at = time.time() + seconds
        level = logging.ERROR if error.hold else logging.INFO if error.reason == _PLANNED else logging.WARNING
        text = "%s: %s (%s); next attempt in %.1f s"
        _log.log(level, text, self.name, error, error.reason, seconds, extra={"failures": self.failures})

    def _set(self, *, connected: bool, held: bool) -> None:
        if connected != self.connected:
            self.since = time.time()
        self.connected, self.held = connected, held
        self._gauges.connected(connected)
        self._gauges.held(held)
