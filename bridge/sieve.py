"""What becomes of a batch before it is stored: what was there before is dropped, what a version says is told.

Pure: the contract between `bridge.intake`, which asks, and `bridge.portos.memory`, which knows what the hub's versions
mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bridge.message import Message

__all__ = ["GAP_CAUSES", "Jump", "Sieve", "Sifted"]

GAP_CAUSES = ("version", "window", "shed")
"""Why versions are missing: nothing is known, a blind window was told since the resource was seen last, no room."""


@dataclass(frozen=True, slots=True)
class Jump:
    """Versions of a resource are missing: how many, and for one of `GAP_CAUSES`."""

    resource: str
    events: int
    cause: str


@dataclass(slots=True)
class Sifted:
    """What is to be stored of a batch, with the bridge's own events put where they belong among the hub's.

    `exact` and `stale` count what was dropped; `gaps` are those that `messages` tell of, `closed` counts those whose
    end it tells, `shed` those that stand in the place of a change.
    """

    messages: list[Message]
    exact: int = 0
    stale: int = 0
    gaps: list[Jump] = field(default_factory=list)
    closed: int = 0
    shed: int = 0

    @property
    def passed(self) -> int:
        """How many of the messages are the hub's."""
        return len(self.messages) - len(self.gaps) - self.closed


class Sieve(Protocol):
    """Remembers what there was."""

    def sift(self, messages: Sequence[Message]) -> Sifted:
        """Say what becomes of a batch; what passes counts as stored."""
        ...

    def shed(self, sifted: Sifted) -> None:
        """Leave out the bodies of a batch, for want of room: the events in their places tell which changes they are."""
        ...

    def forget(self) -> None:
        """Take that back: the last batch was not stored after all."""
        ...

    def window(self, identity: str, resources: Sequence[str] = ()) -> None:
        """Note the id of a blind window told before the next batch, and which resources it is about, if not all."""
        ...
