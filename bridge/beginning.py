"""What the bridge tells of itself until its journal is open, which takes minutes where that is large and damaged.

So the admin port is served first, and to the end: probes and `/status` as they are later, but for what only the journal
knows. Used by `bridge.service`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry

from bridge.admin import Check, admin
from bridge.diagnosis import opening
from bridge.errors import ConfigError
from bridge.health import Heartbeat, Workers
from bridge.journal import Journal, Stage, owned
from bridge.settings import Settings
from bridge.settings.effective import Effective
from bridge.status import alive, outline, outset

__all__ = ["Beginning", "Face", "OpenJournal", "served"]

_TEXTS = {
    "checking": "being opened: it is looked whether its file is whole",
    "salvaging": "damaged, and being salvaged: {:.0f} % of its file are looked at, then what is found is written",
    "reading": "being opened: what it holds is read",
}


_LOCKED_SECONDS = 1.0  # who has the port has the journal a moment later, and must not find it taken by who only asks


@dataclass(frozen=True, slots=True)
class Beginning:
    """The parts that are asked; `started_at` is in seconds since the epoch."""

    started_at: float
    stopping: Callable[[], bool]
    heartbeat: Heartbeat
    effective: Effective
    workers: Workers
    stage: Stage

    def alive(self) -> Sequence[Check]:
        """Check what `bridge.status.Status` does: that a start takes long is no reason for another one."""
        return alive(self.heartbeat, self.workers, stopping=self.stopping())

    def ready(self) -> Sequence[Check]:
        """Say what is waited for: nothing is taken in yet."""
        configuration = self.effective.configuration
        return [
            *outset(configuration.settings, configuration.sinks, stopping=self.stopping()),
            ("journal", False, _TEXTS[self.stage.step].format(100 * self.stage.share)),
            ("hub", False, "not connected: the journal comes first"),
        ]

    def whole(self) -> Mapping[str, Any]:
        """Give what is known, as JSON takes it."""
        configuration, stopping = self.effective.configuration, self.stopping()
        problems, checks = opening(self.stage.step, self.started_at, stopping=stopping), (*self.alive(), *self.ready())
        return {
            "at": time.time(),
            "startedAt": self.started_at,
            "stopping": stopping,
            **outline(configuration.settings, configuration.sinks, problems, checks, self.effective),
        }


class Face(Protocol):
    """What the probes and `/status` are answered from: `Beginning`, then `bridge.status.Status`."""

    def alive(self) -> Sequence[Check]:
        """Give the checks of `/livez`."""

    def ready(self) -> Sequence[Check]:
        """Give the checks of `/readyz`."""

    def whole(self) -> Mapping[str, Any]:
        """Give `/status`."""


class OpenJournal:
    """The journal for the paths that look into it, which are there before it is open and after it is closed."""

    def __init__(self) -> None:
        self._journal: Journal | None = None

    @contextmanager
    def during(self, journal: Journal) -> Iterator[None]:
        """Let it be looked into as long as the block lasts."""
        self._journal = journal
        try:
            yield
        finally:
            self._journal = None

    def journal(self) -> Journal:
        """Give it, or raise the answer to whoever asks too early or too late."""
        if self._journal is None:
            raise web.HTTPServiceUnavailable(text="the journal is not open: see /readyz\n")
        return self._journal


@asynccontextmanager
async def served(
    settings: Settings, registry: CollectorRegistry, face: Callable[[], Face], further: Iterable[web.RouteDef]
) -> AsyncIterator[None]:
    """Serve the admin port, with the face that there is when it is asked.

    Raises `ConfigError` when the address cannot be listened on, `JournalOwned` when another bridge has the journal and
    so, as a rule, the port as well: that ends by itself, and a start may be tried again.
    """
    port = settings.admin
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(
                admin(
                    port.host,
                    port.port,
                    registry,
                    lambda: face().alive(),
                    lambda: face().ready(),
                    lambda: face().whole(),
                    further,
                )
            )
        except ConfigError:
            await asyncio.sleep(_LOCKED_SECONDS)
            with owned(settings.journal.path):
                raise
        yield
