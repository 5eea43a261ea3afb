"""What the bridge tells of itself: the checks behind the probes, `/status`, and the journal's numbers for the metrics.

Reads what the parts know and keeps nothing. Moments are in seconds since the epoch; `at` is the present one, so that
nobody has to hold a clock of his own against ours. Made by `bridge.service`, served by `bridge.admin`.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge import __version__
from bridge.admin import Check
from bridge.blind import Sight
from bridge.diagnosis import Problem, View, diagnosis, headline, level
from bridge.health import Heartbeat, Workers
from bridge.journal import Journal
from bridge.labels import JOURNAL, SOURCE
from bridge.link import Link
from bridge.log import redacted
from bridge.notation import (
    blind_part,
    gaps_part,
    lag_reading,
    letters_part,
    link_part,
    problem_part,
    sink_part,
    states_part,
)
from bridge.settings import Settings
from bridge.settings.effective import Effective
from bridge.source import SourceActivity
from bridge.state import States

__all__ = ["Status", "alive", "journal_numbers", "outline", "outset"]

_STALLED_SECONDS = 10.0  # as long as the event loop may stand still


@dataclass(frozen=True, slots=True)
class Status:
    """The parts that are asked; `started_at` is in seconds since the epoch.

    `gaps` names the resource of each open gap, as a label of metrics does, and when it was told; `unbalanced` names the
    stages of which the ledger does not come out even.
    """

    settings: Settings
    started_at: float
    stopping: Callable[[], bool]
    heartbeat: Heartbeat
    activity: SourceActivity
    hub: Link
    sinks: Mapping[str, Link]
    journal: Journal
    states: States | None = None
    effective: Effective | None = None
    workers: Workers = field(default_factory=Workers)
    sight: Sight | None = None
    gaps: Callable[[], Iterable[tuple[str, float]]] = tuple
    unbalanced: Callable[[], Sequence[str]] = tuple

    def alive(self) -> Sequence[Check]:
        """Check what a restart would cure, and nothing else: neither hub nor brokers, neither name service nor disk."""
        return alive(self.heartbeat, self.workers, stopping=self.stopping())

    def ready(self) -> Sequence[Check]:
        """Check whether the bridge takes in what the hub says; a sink that is down does not count."""
        return [
            *outset(self.settings, self.sinks, stopping=self.stopping()),
            ("journal", *_journal(self.journal)),
            ("hub", self.hub.connected, _hub_text(self.hub)),
        ]

    def whole(self) -> Mapping[str, Any]:
        """Give everything, as JSON takes it."""
        journal, activity, states, now = self.journal, self.activity, self._publishing, time.time()
        gaps = list(self.gaps())
        problems, checks = diagnosis(self._view(len(gaps))), (*self.alive(), *self.ready())
        return {
            "at": now,
            "startedAt": self.started_at,
            "stopping": self.stopping(),
            **outline(self.settings, self.sinks, problems, checks, self.effective),
            "hub": {
                **link_part(self.hub),
                "resources": list(self.settings.subscribe.resources),
                "receivedEvents": activity.received,
                "lastFrameAt": activity.last_frame_at,
                "lastEventAt": activity.last_event_at,
                "clockOffsetSeconds": activity.clock_offset_seconds,
                "blind": blind_part(self.sight, now),
            },
            "gaps": gaps_part(gaps),
            "journal": {
                "events": journal.events,
                "bytes": journal.room.used_bytes,
                "capacityBytes": journal.room.capacity_bytes,
                "head": journal.head,
                "corruptRows": journal.corrupt_rows,
            },
            "sinks": {name: sink_part(link, journal, name) for name, link in self.sinks.items()},
            "deadLetters": {name: letters_part(journal, name) for name in self._holders},
            **({} if states is None else {"states": states_part(states, journal)}),
        }

    @property
    def _holders(self) -> Sequence[str]:
        """What dead letters may be of."""
        return (*self.sinks, JOURNAL, SOURCE)

    @property
    def _publishing(self) -> States | None:
        return self.states if self.states is not None and self.states.readers else None

    def _view(self, open_gaps: int) -> View:
        journal, states = self.journal, self._publishing
        return View(
            self.hub,
            self.sinks,
            {name: lag_reading(journal, name) for name in self.sinks},
            journal.room,
            failure="" if journal.failure is None else str(journal.failure),
            stalled=_stalled(journal),
            corrupt_rows=journal.corrupt_rows,
            letters={name: journal.letters.reasons(name) for name in self._holders},
            open_gaps=open_gaps,
            unbalanced=self.unbalanced(),
            clock_offset_seconds=self.activity.clock_offset_seconds,
            store=None if states is None else states.feeder,
            states={} if states is None else states.links,
            dead=self.workers.dead,
            restart_needed=() if self.effective is None else self.effective.restart_needed,
            rejected=() if self.effective is None else self.effective.rejected,
            unanswered="" if self.effective is None else self.effective.unanswered,
            stopping=self.stopping(),
        )


def alive(heartbeat: Heartbeat, workers: Workers, *, stopping: bool) -> Sequence[Check]:
    """Check the process, see `Status.alive`."""
    late = f"at most {heartbeat.worst_lag_seconds:.3f} s late in the last half minute"
    # At the stop they end one after the other, and are to.
    dead = () if stopping else workers.dead
    text = f"{', '.join(dead)} ended: only a restart brings that back" if dead else f"all {len(workers)} run"
    return [("event loop", heartbeat.alive, late), ("tasks and threads", not dead, text)]


def outset(settings: Settings, sinks: Iterable[str], *, stopping: bool) -> Sequence[Check]:
    """Check what comes before all else of `Status.ready`."""
    names = ", ".join(sinks)
    return [
        ("configuration", True, f"in effect: site {settings.site}, sinks {names or 'none'}"),
        ("running", not stopping, "told to stop: the hub is left, stored events go out" if stopping else "yes"),
    ]


def outline(
    settings: Settings,
    sinks: Iterable[str],
    problems: Sequence[Problem],
    checks: Iterable[Check],
    effective: Effective | None,
) -> Mapping[str, Any]:
    """Give what is known without the journal of `Status.whole`."""
    return {
        "level": level(problems),
        "headline": headline(problems, list(sinks)),
        "problems": [problem_part(problem) for problem in problems],
        "version": __version__,
        "site": settings.site,
        **({} if effective is None else _configuration(effective)),
        "process": {"tasks": len(asyncio.all_tasks()), "threads": threading.active_count()},
        "checks": [{"name": name, "ok": ok, "text": text} for name, ok, text in checks],
    }


def journal_numbers(journal: Journal) -> Mapping[str, float]:
    """Read the journal's numbers, as `bridge.scrape.Readings` names them."""
    return {
        "events": journal.events,
        "bytes": journal.room.used_bytes,
        "capacity_bytes": journal.room.capacity_bytes,
        "busy_seconds": journal.busy_seconds,
        "corrupt_records": journal.corrupt_rows,
    }


def _journal(journal: Journal) -> tuple[bool, str]:
    """Say whether it takes events, and what that means."""
    if journal.failure is not None:
        return False, str(journal.failure)
    if _stalled(journal):
        text = (
            "the disk has not answered for {:.0f} s: what the hub sends waits in memory, and is lost when that is full"
        )
        return False, text.format(journal.busy_seconds)
    used = f"{journal.room.used_bytes} of {journal.room.capacity_bytes} bytes used"
    if journal.room.lacking:
        return False, f"{journal.room.lacking}, {used}: what the hub sends is lost, and told as a gap"
    if journal.room.full:
        return False, f"full, {used}: what the hub sends is lost, and told as a gap, until the sinks have caught up"
    return True, f"writable, {used}"


def _stalled(journal: Journal) -> bool:
    return journal.busy_seconds >= _STALLED_SECONDS


def _hub_text(hub: Link) -> str:
    if hub.connected:
        return "subscribed"
    if not hub.last_error:
        return "connecting for the first time"
    return f"not subscribed for {hub.outage_seconds:.0f} s, and tried again and again: {redacted(hub.last_error)}"


def _configuration(effective: Effective) -> Mapping[str, Any]:
    return {
        "configuration": effective.fingerprint,
        "restartNeeded": list(effective.restart_needed),
        "rejected": list(map(redacted, effective.rejected)),
    }
