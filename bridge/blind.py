"""What the bridge may have missed: when it is blind, from when to when, and how that is told in the stream.

Pure. The hub sends to who listens and keeps nothing. A window therefore opens at the last moment up to which everything
is known to be stored, not at the moment at which the loss was noticed, and closes with the next confirmed subscription.
Used by `bridge.intake`.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bridge.message import RESYNC_REQUIRED, Message, event_id, rfc3339
from bridge.payload import ResyncRequired, Span

__all__ = [
    "CAUSES",
    "CORRUPTION",
    "JOURNAL_LOST",
    "TRIMMED",
    "Sight",
    "Window",
    "cause_of",
    "corruption",
    "resync_required",
    "trimmed",
]

CAUSES = (
    *("first_start", "unclean_start", "stopped", "journal_lost"),
    *("closed", "silence", "network", "unauthorized", "protocol", "oversize", "planned", "deaf", "shed", "other"),
)
"""Why nothing was heard: the process was not there, or all it knew is lost; the connection's end; a lost subscription;
no room to store."""
JOURNAL_LOST = "journal_lost"
"""The cause where nothing is known any more of what was stored before."""
CORRUPTION = "corruption"
"""The cause where something was heard and stored, and cannot be read any more."""
TRIMMED = "trimmed"
"""The cause where something was heard and stored, and an operator has given it up."""

_SET_BACK_SECONDS = 5.0
_MOST_RECENT = 50
_RENAMED = {"server_close": "closed"}


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which what the hub sent may be lost, in seconds since the epoch; `since` is None before all time."""

    since: float | None
    until: float
    cause: str

    @property
    def seconds(self) -> float:
        """How long it lasted, as far as that is known."""
        return 0.0 if self.since is None else self.until - self.since


class Sight:
    """Whether the bridge sees what the hub sends. It begins blind, for the reason that the last session's end gives.

    `proved_at` is the moment up to which everything the hub has sent is stored; None is never. Of the windows that were
    told, `recent` are the last 50, oldest first; `windows` and `seconds` count all of them.
    """

    def __init__(self, proved_at: float | None, cause: str) -> None:
        self.proved_at = proved_at
        self.recent: deque[Window] = deque(maxlen=_MOST_RECENT)
        self.windows, self.seconds = 0, 0.0
        self._told_until = 0.0
        self.cause: str | None = "first_start" if proved_at is None and cause != JOURNAL_LOST else cause

    def proved(self, at: float) -> None:
        """Note that all is stored that was sent up to a moment; while a window is untold it keeps its beginning.

        The moment may lie before the last one, when what was taken for proof is doubted, or the clock was set back.
        """
        if self.cause is None:
            self.proved_at = self._not_told_before(at)

    def lost(self, cause: str, since: float | None = None) -> None:
        """Note that things may be missed, from the last proof on or from the moment given.

        The first cause of a window is its cause.
        """
        if self.cause is None:
            self.cause = cause
            if since is not None:
                self.proved_at = self._not_told_before(since)

    def widened(self) -> None:
        """Note that more is kept from now on than up to now: of that nothing was ever heard, whatever else was."""
        self.proved_at, self.cause = None, "first_start"

    def window(self, now: float) -> Window | None:
        """Give the window that has to be told before anything else is stored, None if there is none."""
        if self.cause is None:
            return None
        since = self.proved_at
        return Window(since, now if since is None else max(since, now), self.cause)

    def told(self, window: Window) -> None:
        """Note that a window is stored: from its end on the bridge sees again."""
        self.proved_at, self.cause = window.until, None
        self._told_until = window.until
        self.recent.append(window)
        self.windows += 1
        self.seconds += window.seconds

    def _not_told_before(self, at: float) -> float:
        """Give the moment, or the end of the last window: nothing is told twice. Unless the clock was set back."""
        return self._told_until if 0 < self._told_until - at < _SET_BACK_SECONDS else at


def cause_of(reason: str) -> str:
    """Turn the reason that a connection ended for into a cause of the closed set."""
    cause = _RENAMED.get(reason, reason)
    return cause if cause in CAUSES else "other"


def resync_required(window: Window, resources: Sequence[str], site: str, clock_offset_seconds: float = 0.0) -> Message:
    """Make the event that tells a window: whoever keeps state of these resources has to fetch it again.

    It stands in the stream before the first event that was heard after the window, and is recorded at its end, so that
    by that time too it is before them.
    """
    identity = event_id(site, RESYNC_REQUIRED, window.since, window.until, window.cause)
    offset = round(clock_offset_seconds, 1) if clock_offset_seconds else msgspec.UNSET
    return _telling(window, ResyncRequired(_span(identity, window), window.cause, resources, offset))


def corruption(window: Window, events: int, loss: tuple[str, int], resources: Sequence[str], site: str) -> Message:
    """Make the event that stands in the journal for some that were stored and cannot be read any more.

    Like the one that tells a window, with `lostEvents`; `window` lasts from the event before to the one behind. `loss`
    is the journal and the number of the first: from it comes the id, the same for every sink and after every restart.
    """
    span = _span(event_id(site, RESYNC_REQUIRED, *loss), window)
    return _telling(window, ResyncRequired(span, window.cause, resources, lost_events=events))


def trimmed(window: Window, events: int, range_: tuple[str, int, int], resources: Sequence[str], site: str) -> Message:
    """Make the event that stands in the journal for some that were stored and are given up.

    Like the one that stands for what is damaged, with `firstNumber` and `lastNumber`, which an operator knows them by.
    `range_` is the journal, and these numbers.
    """
    journal, first, last = range_
    span = _span(event_id(site, RESYNC_REQUIRED, TRIMMED, journal, last), window)
    return _telling(
        window,
        ResyncRequired(span, window.cause, resources, lost_events=events, first_number=first, last_number=last),
    )


def _span(identity: str, window: Window) -> Span:
    return Span(identity, None if window.since is None else rfc3339(window.since), rfc3339(window.until))


def _telling(window: Window, data: ResyncRequired) -> Message:
    at, body = window.until, msgspec.json.encode(data)
    return Message(data.window.id, RESYNC_REQUIRED, None, None, None, None, at, None, at, body)
