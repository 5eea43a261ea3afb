"""Two connections side by side: whether the older one hears what the newer one hears.

Pure. A connection whose subscription the hub has forgotten is heard pinging; only another one shows that it is deaf.
Used by `bridge.portos.relay`.
"""

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["Comparison", "Heard", "Verdict"]

Verdict = Literal["deaf", "hears", "silence", "undecided"]
"""Of the older one: it hears less than the newer one; it hears too; neither has heard anything for long enough; one of
the two has ended before that was known."""

_GRACE_SECONDS: Final = 2.0  # of two connections one may be that much slower and still hear


@dataclass(frozen=True, slots=True)
class Heard:
    """What a connection is just now: what it has heard since the newer one was subscribed, whether it listens, ended.

    A connection does not listen while it is not read, for want of memory: it is no sign then that it hears nothing.
    """

    event: bool
    listening: bool
    ended: bool


class Comparison:
    """Looks at two connections from a moment on, for at most so many seconds of silence."""

    def __init__(self, began_at: float, patience: float) -> None:
        self._until = began_at + patience
        self._newer_alone_since: float | None = None

    def look(self, now: float, older: Heard, newer: Heard, *, doubtful: bool) -> Verdict | None:
        """Give the verdict, None while it is open.

        If one of them ends first, a doubt about the older one is taken to be right when the newer one alone has heard
        anything.
        """
        if older.event:
            return "hears"
        if older.ended or newer.ended:
            return "deaf" if doubtful and newer.event else "undecided"
        if not (newer.event and older.listening):
            self._newer_alone_since = None
        elif self._newer_alone_since is None:
            self._newer_alone_since = now
        elif now - self._newer_alone_since >= _GRACE_SECONDS:
            return "deaf"
        return "silence" if self._newer_alone_since is None and now >= self._until else None
