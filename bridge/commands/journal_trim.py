"""`portos-bridge journal trim`: give up undelivered events for good, which the sinks are told."""

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from bridge.blind import TRIMMED, Window, trimmed
from bridge.commands.configuration import configured
from bridge.commands.confirmation import confirmed
from bridge.commands.moment import moment
from bridge.commands.output import counted, say
from bridge.commands.progress import Progress
from bridge.journal import GivenUp, Older, open_trim
from bridge.message import Message, rfc3339
from bridge.portos.memory import VersionMemory
from bridge.portos.minimisation import scope
from bridge.settings import Settings

__all__ = ["before", "trim"]

_QUESTION = "give them up for good?"


def before(text: str) -> int | float:
    """Read up to where events are given up: a number of the journal, or a moment."""
    if text.isdecimal():
        return int(text)
    try:
        return moment(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number, 2h, 3d nor 2026-03-04T09:15Z") from error


def trim(limit: float, *, yes: bool, dry_run: bool, as_json: bool) -> int:
    """Give up what is older than the limit, once that is confirmed; 1 where it is not."""
    settings = configured().settings
    journal = settings.journal
    with open_trim(journal.path, journal.max_bytes) as held:
        progress = Progress("events")
        given_up, letters = held.plan(_older(limit), progress), held.dead_letters()
        if not as_json:
            say(_lines(given_up, letters))
        done = given_up is not None and not dry_run and (yes or confirmed(_QUESTION, "--yes gives them up"))
        if given_up is not None and done:
            memory = VersionMemory(settings.version.mode, settings.site, journal.dedupe_seconds)
            progress.begin(f"giving up {counted(given_up.events, 'event')}")
            held.carry_out(given_up, _notice(given_up, settings), memory)
    if as_json:
        say([json.dumps(_shown(given_up, letters, str(journal.path), done=done))])
    else:
        say(
            ["they are given up; next: start the bridge, which tells it to the sinks" if done else "nothing is changed"]
        )
    return 0 if done or dry_run or given_up is None else 1


def _older(limit: float) -> Older:
    """Choose the rows up to the limit; what cannot be read among them goes with the others."""
    if isinstance(limit, int):
        return lambda seq, _: seq < limit
    return lambda _, message: message is None or message.received_at < limit


def _notice(given_up: GivenUp, settings: Settings) -> Message:
    """Make what the sinks get in the place of all that is given up."""
    window = Window(given_up.since, given_up.until, TRIMMED)
    resources = given_up.resources or scope(settings).resources
    numbers = given_up.first, given_up.last
    return trimmed(window, given_up.events, (given_up.journal, *numbers), resources, settings.site)


def _lines(given_up: GivenUp | None, letters: Mapping[str, int]) -> Iterator[str]:
    if given_up is None:
        yield "nothing is there to be given up: no sink waits for an event that is older"
        return
    since = "up" if given_up.since is None else f"from {rfc3339(given_up.since)}"
    received = f"received {since} to {rfc3339(given_up.until)}"
    events = counted(given_up.events, "event is", "events are")
    yield f"{events} to be given up, numbers {given_up.first} to {given_up.last}, {received}"
    for sink, count in given_up.sinks.items():
        yield f"sink {sink}: {counted(count, 'event')}" if count else f"sink {sink}: none, it has settled them"
    for sink, count in letters.items():
        yield f"{counted(count, 'dead letter is', 'dead letters are')} left alone, of {sink}"


def _shown(given_up: GivenUp | None, letters: Mapping[str, int], path: str, *, done: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"journal": path, "done": done, "events": 0, "sinks": {}, "deadLetters": dict(letters)}
    if given_up is None:
        return found
    return found | {
        "events": given_up.events,
        "firstNumber": given_up.first,
        "lastNumber": given_up.last,
        "from": None if given_up.since is None else rfc3339(given_up.since),
        "to": rfc3339(given_up.until),
        "sinks": dict(given_up.sinks),
    }
