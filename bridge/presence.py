"""What a sink's broker is told of the bridge: that it is there, how it is, and in an orderly stop that it is gone.

A connection begins with that, ahead of all events, and ends with it where the bridge stops; in between it is told what
has changed, and how the bridge is every half minute. Sinks know when by nothing but being asked (`bridge.ports`).
Nothing about it stops an event: what a broker refuses, with a word or with the end of the connection, it is not told
again for a while, and after three connections in a row that ended over it for any other reason they go without as long.
Used by `bridge.service`; what is told comes from `bridge.notices`.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from bridge.errors import BridgeError, Rejected, Unavailable
from bridge.ports import OFFLINE, Announcer, Notice, Sink

__all__ = ["Presence", "Report"]

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
_HEALTH_SECONDS = 30.0
_REFUSED_SECONDS = 600.0
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
        self._told: dict[str, Notice] = {}
        self._refused_at: dict[str, float] = {}
        self._failed_arrivals = 0
        self._without = False
        self._again_at = 0.0
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
                if self._stopping() and self._sink is not None and not self._without:
                    await self._leave(self._sink)
                raise
            finally:
                self._sink = None

    def due(self) -> bool:
        """Tell whether it is time to look; cheap enough to be asked between any two batches."""
        return self._sink is not None and time.monotonic() >= self._look_at

    async def look(self) -> None:
        """Tell what the broker has not taken yet, and how the bridge is when it is time; called between two batches."""
        now = time.monotonic()
        if self._sink is None:
            return
        self._look_at = now + _LOOK_SECONDS
        if self._without:
            if now >= self._again_at:
                await self._arrive(self._sink)
            return
        kept = (self._report.state(), self._report.info())
        news = [notice for notice in kept if notice != self._told.get(notice.name) and not self._refused(notice)]
        if news or now >= self._health_at:
            await self._tell(self._sink, [*news, self._report.health()])

    async def _arrive(self, sink: Announcer) -> None:
        """Tell everything, unless connections have ended over it; `look` does it when that is long enough ago."""
        self._told = {}
        self._without = self._goes_without()
        if not self._without:
            self._failed_arrivals += 1
            try:
                await self._tell(sink, [self._report.state(), self._report.info(), self._report.health()])
            except Unavailable as error:
                if error.at_once or error.reason == "taken_over":  # the broker has said why it ends the connection
                    self._failed_arrivals = 0
                    raise
                # Events need nobody to act for a notice, and who closes without a word may have refused it.
                text = f"{error} (while it was told of the bridge)"
                raise Unavailable(text, reason=error.reason, slowly=error.slowly) from error
            self._failed_arrivals = 0
        self._sink = sink

    def _goes_without(self) -> bool:
        now = time.monotonic()
        if self._failed_arrivals >= _FAILED_ARRIVALS:
            self._failed_arrivals = _FAILED_ARRIVALS - 1  # the next time one is enough
            self._again_at = now + _REFUSED_SECONDS
            text = "sink %s: its broker ends connections when it is told of the bridge: for %g s they go without"
            _log.warning(text, self._name, _REFUSED_SECONDS)
        return now < self._again_at

    async def _leave(self, sink: Announcer) -> None:
        try:
            refusal = await sink.announce(OFFLINE)
        except Unavailable as error:
            refusal = Rejected(str(error), reason=error.reason)
        if refusal is not None:
            text = "sink %s: its broker does not confirm that the bridge stops, and has to say so itself: %s"
            _log.warning(text, self._name, refusal)

    async def _tell(self, sink: Announcer, notices: Sequence[Notice]) -> None:
        """Tell what is not refused, in this order; `Unavailable` is `at_once` where a refusal ended the connection."""
        self._health_at = time.monotonic() + _HEALTH_SECONDS
        refused = False
        for notice in notices:
            if self._refused(notice):
                continue
            try:
                refusal = await sink.announce(notice)
            except Unavailable as error:
                if error.reason == "unauthorized":  # some brokers end the connection for want of a right
                    self._refuse(notice, error)
                    refused = True
                if not refused:
                    raise
                # The next connection is not told that any more, so there is nothing to wait for.
                raise Unavailable(str(error), reason=error.reason, at_once=True) from error
            if refusal is None:
                self._told[notice.name] = notice
            else:
                self._refuse(notice, refusal)
                refused = True

    def _refused(self, notice: Notice) -> bool:
        at = self._refused_at.get(notice.name)
        return at is not None and time.monotonic() < at + _REFUSED_SECONDS

    def _refuse(self, notice: Notice, why: BridgeError) -> None:
        self._refused_at[notice.name] = time.monotonic()
        text = "sink %s: its broker does not take the %s of the bridge, and gets none for %g s; events go on: %s"
        _log.warning(text, self._name, notice.name, _REFUSED_SECONDS, why)
