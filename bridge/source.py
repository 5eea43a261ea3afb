"""The contract of a source: what it reads of the hub, and what it may rely on.

Like a sink (`bridge.ports`) it lives for one connection, and the caller opens the next. The bridge has one source,
`bridge.portos`; `bridge.intake` reads it.
"""

from collections.abc import AsyncIterator, Sequence, Sized
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakSet

from bridge.message import Message

__all__ = ["Batch", "Missed", "Source", "SourceActivity", "Unreadable"]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record of the hub that is no notification: kept as it came, so that nobody has to guess what was missed."""

    reason: str
    text: str
    body: bytes
    received_at: float


@dataclass(frozen=True, slots=True)
class Missed:
    """Something may be missing: `cause` is one of `bridge.blind.CAUSES`, or a reason of `Unavailable`.

    `since` is where it begins, in seconds since the epoch; None is where all was last proved to be there.
    """

    cause: str
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What a source read since the last batch, oldest first; empty where only `proved_at` has moved on.

    `proved_at`: all that the hub has sent up to then is in this batch or in one before, in seconds since the epoch on
    this machine's clock; None where that is not known. `missed`: something may be missing between the batch before and
    that moment, though the source goes on.
    """

    messages: Sequence[Message]
    unreadable: Sequence[Unreadable] = ()
    proved_at: float | None = None
    missed: Missed | None = None


_CLOCK_RESOLUTION_SECONDS = 2.0  # a `Date` header tells a second, and servers keep it for another


@dataclass(slots=True)
class SourceActivity:
    """What the source has seen since the process started, over all its connections; written by it, read by the metrics.

    `frames` counts the hub's records by type (`invocation`, `completion`, `ping`, `close`, `ack`, `sequence`, `other`).
    Times are seconds since the epoch; None is never. `token_requests` counts logins and refreshes by result: `ok` or a
    reason of `Unavailable`. `clock_offset_seconds` is how far the hub's clock is ahead of ours, if known, as measured
    when a connection was opened, and corrected where ours was set since.
    `received` counts events and unreadable records; of these `dropped` still found the memory full after the longest
    pause, `waiting` are in one of the `queues`, and `abandoned` were in one whose connection was closed.
    """

    frames: dict[str, int] = field(default_factory=dict)
    received_bytes: int = 0
    last_frame_at: float | None = None
    last_event_at: float | None = None
    token_expires_at: float | None = None
    clock_offset_seconds: float | None = None
    token_requests: dict[str, int] = field(default_factory=dict)
    received: int = 0
    dropped: int = 0
    queues: "WeakSet[Sized]" = field(default_factory=WeakSet)
    abandoned: int = 0
    _clock_ahead: float | None = None

    def clock_measured(self, offset_seconds: float, ahead: float) -> None:
        """Take note of how far the hub's clock is ahead, measured while ours was so far `ahead` (`bridge.clock`)."""
        self.clock_offset_seconds, self._clock_ahead = offset_seconds, ahead

    def clock_seen(self, ahead: float) -> None:
        """Take note of how far our clock is ahead by now: where it was set, the hub's was not, as far as we know."""
        if self.clock_offset_seconds is not None and self._clock_ahead is not None:
            self.clock_offset_seconds -= ahead - self._clock_ahead
        self._clock_ahead = ahead

    @property
    def waiting(self) -> int:
        """How many events and unreadable records nobody has taken yet."""
        return sum(map(len, self.queues))

    @property
    def clocks_differ_by(self) -> float:
        """How far the hub's clock is ahead of ours, 0 where that is less than what can be told apart."""
        offset = self.clock_offset_seconds or 0.0
        return offset if abs(offset) >= _CLOCK_RESOLUTION_SECONDS else 0.0


class Source(Protocol):
    """One live, subscribed connection to a hub."""

    def batches(self) -> AsyncIterator[Batch]:
        """Read on, oldest first, until the connection ends in `Unavailable`.

        The first batch is given at once, whether or not the hub says anything: its `proved_at` is the moment from which
        on the hub is heard. The caller stores a batch before it asks for the next: the code after `yield` runs only
        when the batch is on disk.
        """
        ...
