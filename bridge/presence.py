"""What a sink's broker is told of the bridge: that it is there, how it is, and in an orderly stop that it is gone.

A connection begins with that, ahead of all events, and ends with it where the bridge stops; in between it is told what
has changed, and how the bridge is every half minute. Sinks know when by nothing but being asked (`bridge.ports`).
Nothing about it stops an event: what a broker refuses is warned of once, and a broker that ends connections over it
gets one without. Used by `bridge.service`; what is told comes from `bridge.notices`.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from bridge.errors import Rejected, Unavailable
from bridge.ports import OFFLINE, Announcer, Notice, Sink

__all__ = ["Presence", "Report"]

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
_HEALTH_SECONDS = 30.0
_FAILED_ARRIVALS = 3
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Report:
    """Where the notices of one sink come from, each made when it is asked for."""

    state: Callable[[], Notice]
    info: Callable[[], Notice]
    health: Callable[[], Notice]


class Presence:
    """See the module; one for all connections of a sink. `stopping` tells a stop in order from any other end."""

    def __init__(self, name: str, report: Report, stopping: Callable[[], bool]) -> None:
        self._name = name
        self._report = report
        self._stopping = stopping
        self._sink: Announcer | None = None
        self._told: Notice | None = None
        self._refused: dict[str, str] = {}
        self._failed_arrivals = 0
        self._look_at = 0.0
        self._health_at = 0.0

    @asynccontextmanager
    async def connect(
        self, connect: Callable[[C], AbstractAsyncContextManager[Sink]], config: C
    ) -> AsyncIterator[Sink]:
        """Open a connection as `connect` does; it is not there before the broker has been told of the bridge."""
        async with connect(config) as sink:
            try:
                if isinstance(sink, Announcer):
                    await self._arrive(sink)
                yield sink
            except asyncio.CancelledError:
                if self._stopping() and self._sink is not None:
                    await self._leave(self._sink)
                raise
            finally:
                self._sink = None

    def due(self) -> bool:
        """Tell whether it is time to look; cheap enough to be asked between any two batches."""
        return self._sink is not None and time.monotonic() >= self._look_at

    async def look(self) -> None:
        """Tell what has changed, and how the bridge is when it is time for that; called between two batches."""
        now = time.monotonic()
        if self._sink is None:
            return
        self._look_at = now + _LOOK_SECONDS
        state = self._report.state()
        if state != self._told:
            await self._tell(self._sink, [state, self._report.health()])
        elif now >= self._health_at:
            await self._tell(self._sink, [self._report.health()])

    async def _arrive(self, sink: Announcer) -> None:
        if self._failed_arrivals >= _FAILED_ARRIVALS:
            text = (
                "sink %s: %d connections in a row ended while the broker was told of the bridge: this one goes without"
            )
            _log.warning(text, self._name, self._failed_arrivals)
            self._failed_arrivals = 0
            return
        self._failed_arrivals += 1
        await self._tell(sink, [self._report.state(), self._report.info(), self._report.health()])
        self._failed_arrivals = 0
        self._sink = sink

    async def _leave(self, sink: Announcer) -> None:
        try:
            outcomes: Sequence[Rejected | None] = await sink.announce([OFFLINE])
        except Unavailable as error:
            outcomes = [Rejected(str(error), reason=error.reason)]
        for refusal in filter(None, outcomes):
            text = "sink %s: its broker does not confirm that the bridge stops, and has to say so itself: %s"
            _log.warning(text, self._name, refusal)

    async def _tell(self, sink: Announcer, notices: Sequence[Notice]) -> None:
        outcomes = await sink.announce(notices)
        self._health_at = time.monotonic() + _HEALTH_SECONDS
        for notice, refusal in zip(notices, outcomes, strict=True):
            if notice.name == OFFLINE.name:
                self._told = notice
            text = "" if refusal is None else str(refusal)
            if text and text != self._refused.get(notice.name):
                _log.warning("sink %s goes on without telling its broker its %s: %s", self._name, notice.name, text)
            self._refused[notice.name] = text
