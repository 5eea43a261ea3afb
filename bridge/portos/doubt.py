"""Whether a silence means that the hub has forgotten the subscription.

Pure. A hub that lost a subscription goes on pinging, so only the traffic can tell: a silence much longer than the
pauses of the last minute is doubtful, and a second connection then shows whether the first one is deaf. In a shop that
is closed nothing is to be learned by that; the doubts grow rare there. Used by `bridge.portos.relay`.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

__all__ = ["Doubt", "Patience", "patience"]

_TIMES_THE_LONGEST_PAUSE: Final = 2
_REMEMBERED_SECONDS: Final = 60.0
_BUCKET_SECONDS: Final = 15.0
_TIMES_THE_USUAL_PAUSE: Final = 4
_PROOF_SECONDS: Final = 0.75  # and a look: a ping within it proves nothing that an event has not
_APART_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a silence may last before it is doubtful, in seconds.

    At least `first` and at most `longest` at times with traffic; up to `closed` where doubt after doubt found nothing.
    """

    first: float
    longest: float
    closed: float


def patience(longest_pause: float | None, fruitless: int, bounds: Patience) -> float:
    """Say how many seconds of silence the traffic explains.

    `longest_pause` is the longest between two events in the last minute, None if nothing is known of them; `fruitless`
    counts the doubts since the last event.
    """
    explained = bounds.longest if longest_pause is None else _TIMES_THE_LONGEST_PAUSE * longest_pause
    explained = min(max(explained, bounds.first), bounds.longest)
    return min(explained * 2.0 ** min(fruitless, 30), max(bounds.closed, explained))


@dataclass(slots=True)
class _Pauses:
    """The pauses of some seconds: how many, how long all and the longest."""

    since: float
    longest: float = 0.0
    total: float = 0.0
    count: int = 0


class Doubt:
    """Remembers the pauses of the last minute, over all connections, and says when a silence is doubtful.

    It is asked several times a second, with moments of a clock that never runs backwards. Shorter pauses than the time
    between two questions are not seen; they would explain no silence that matters.
    """

    def __init__(self, bounds: Patience) -> None:
        self._bounds = bounds
        self._pauses: deque[_Pauses] = deque()
        self._asked_at: float | None = None
        self._event_at: float | None = None
        self._quiet_since: float | None = None
        self._fruitless = 0
        self._acted_at: float | None = None

    @property
    def seconds(self) -> float:
        """How long a silence has to last just now to be doubtful."""
        return patience(self._longest_pause, self._fruitless, self._bounds)

    @property
    def _longest_pause(self) -> float | None:
        return max((pauses.longest for pauses in self._pauses), default=None)

    def unexplained(self, now: float) -> bool:
        """Say whether the silence is too long for pings to prove that the subscription is there.

        That is said earlier than a second connection is opened, and one long pause among many short ones explains
        nothing: it costs no more than a window that begins earlier.
        """
        if self._quiet_since is None:
            return False
        bounds = Patience(min(_PROOF_SECONDS, self._bounds.first), self._bounds.longest, self._bounds.longest)
        explained = patience(self._longest_pause, 0, bounds)
        if self._pauses:
            usual = sum(pauses.total for pauses in self._pauses) / sum(pauses.count for pauses in self._pauses)
            explained = min(explained, max(_TIMES_THE_USUAL_PAUSE * usual, bounds.first))
        return now - self._quiet_since > explained

    def opened(self, now: float) -> None:
        """Count the silence of a new connection."""
        self._event_at = None
        self.interrupted(now)

    def interrupted(self, now: float) -> None:
        """Count the silence from now on: the bridge itself has not listened until now."""
        self._quiet_since = self._asked_at = now

    def ask(self, now: float, event_at: float | None) -> bool:
        """Say whether the silence is doubtful; `event_at` is when the connection last heard an event, None is never."""
        asked_at, self._asked_at = self._asked_at, now
        if event_at is not None and event_at != self._event_at:
            if self._event_at is not None and asked_at is not None:
                self._remember(now, max(asked_at - self._event_at, 0.0))  # it was quiet at least that long
            self._event_at, self._quiet_since, self._fruitless = event_at, event_at, 0
        if self._quiet_since is None:
            self._quiet_since = now
        return now - self._quiet_since >= self.seconds

    def may_act(self, now: float) -> bool:
        """Say whether a second connection may be opened on a doubt: once a minute, unless the last one was needed."""
        return self._acted_at is None or now - self._acted_at >= _APART_SECONDS

    def acted(self, now: float) -> None:
        """Note that a second connection is opened."""
        self._acted_at = now

    def was_right(self) -> None:
        """Note that the first connection was deaf: the next doubt may act at once."""
        self._acted_at = None

    def found_nothing(self, now: float) -> None:
        """Note that neither connection has heard anything: the next doubt takes twice as long."""
        self._fruitless += 1
        self.interrupted(now)

    def _remember(self, now: float, pause: float) -> None:
        """Keep the pauses of each quarter of a minute, for a minute."""
        while self._pauses and now - self._pauses[0].since > _REMEMBERED_SECONDS:
            self._pauses.popleft()
        if not self._pauses or now - self._pauses[-1].since >= _BUCKET_SECONDS:
            self._pauses.append(_Pauses(now))
        last = self._pauses[-1]
        last.longest, last.total, last.count = max(last.longest, pause), last.total + pause, last.count + 1
