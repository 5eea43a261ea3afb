"""How what the parts know is written for `/status`, as JSON takes it.

Nothing in it is a payload, an id, a user name or a secret. Moments are in seconds since the epoch. Used by
`bridge.status`.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from bridge.blind import Sight, Window
from bridge.diagnosis import Problem
from bridge.journal import Journal
from bridge.link import Link
from bridge.log import redacted
from bridge.scrape import LagReading
from bridge.state import States

__all__ = [
    "blind_part",
    "gaps_part",
    "lag_reading",
    "letters_part",
    "link_part",
    "problem_part",
    "sink_part",
    "states_part",
]


def problem_part(problem: Problem) -> Mapping[str, Any]:
    """Write what is wrong, and what to do."""
    return {
        "level": problem.level,
        "part": problem.part,
        "text": problem.text,
        "whatToDo": problem.what_to_do,
        "since": problem.since,
        "detail": redacted(problem.detail),
    }


def blind_part(sight: Sight | None, now: float) -> Mapping[str, Any]:
    """Tell of the present window, if there is one, and since the start of those that are told, the last 50 of them."""
    if sight is None:
        return {"now": None, "windows": 0, "seconds": 0.0, "recent": []}
    present = sight.window(now)
    return {
        "now": None if present is None else {"from": present.since, "cause": present.cause},
        "windows": sight.windows,
        "seconds": round(sight.seconds, 3),
        "recent": [_window(window) for window in sight.recent],
    }


def _window(window: Window) -> Mapping[str, Any]:
    return {"from": window.since, "to": window.until, "cause": window.cause}


def gaps_part(told: Iterable[tuple[str, float]]) -> Mapping[str, Any]:
    """Count gaps that are told and not closed, given by resource and moment."""
    moments: dict[str, list[float]] = defaultdict(list)
    for resource, at in told:
        moments[resource].append(at)
    resources = {name: {"open": len(ats), "oldestAt": min(ats)} for name, ats in sorted(moments.items())}
    return {"open": sum(map(len, moments.values())), "resources": resources}


def link_part(link: Link) -> Mapping[str, Any]:
    """Write the state of one peer's connections."""
    return {
        "connected": link.connected,
        "held": link.held,
        "since": link.since,
        "failures": link.failures,
        "lastReason": link.last_reason,
        "lastError": redacted(link.last_error),
        "nextAttemptAt": link.next_attempt_at,
    }


def sink_part(link: Link, journal: Journal, sink: str) -> Mapping[str, Any]:
    """Write a sink's connection, its place, and what it has still to settle."""
    events, size, seconds = lag_reading(journal, sink)
    return {
        **link_part(link),
        "cursor": journal.cursor(sink),
        "deliveredEvents": journal.ledger.sinks[sink].delivered,
        "lagEvents": events,
        "lagBytes": size,
        "lagSeconds": round(seconds, 3),
    }


def letters_part(journal: Journal, sink: str) -> Mapping[str, Any]:
    """Write the dead letters of a sink, or of what stands in the place of one."""
    return {**journal.letters.numbers(sink), "reasons": journal.letters.reasons(sink)}


def states_part(states: States, journal: Journal) -> Mapping[str, Any]:
    """Write the store of states and its publishers."""
    numbers, now, waiting = states.numbers, time.time(), journal.lag(*states.readers).events
    sinks = {}
    for name, link in states.links.items():
        changes, seconds = numbers.lag(name, now)
        sinks[name] = {**link_part(link), "lagChanges": changes, "lagSeconds": round(seconds, 3)}
    store = {"lagEvents": waiting, "bytes": numbers.used_bytes, "capacityBytes": numbers.max_bytes}
    return {"store": {**link_part(states.feeder), **store}, "sinks": sinks}


def lag_reading(journal: Journal, sink: str) -> LagReading:
    """Read a sink's lag: events, bytes, and the age of the oldest in seconds."""
    lag = journal.lag(sink)
    age = 0.0 if lag.oldest_at is None else max(0.0, time.time() - lag.oldest_at)
    return lag.events, lag.body_bytes, age
