"""What a run of the simulation may not show, held against what the shop did and what the brokers hold."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bridge.message import GAP_DETECTED, RESYNC_REQUIRED, Message, event_id
from tests.unit.model.shop import SITE, Change

__all__ = ["Evidence", "faults_of", "letters_in"]

_DAMAGE = ("corruption", "journal_lost")
_ROUNDED = 0.0011  # the times of a window are told in milliseconds


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there was, what was stored, and by sink what its broker holds and what became a dead letter."""

    changes: Sequence[Change]
    accepted: Mapping[str, int]
    """By event id how often it was."""
    logs: Mapping[str, Sequence[Message]]
    letters: Mapping[str, frozenset[str]]
    repeats_allowed: Mapping[str, int]
    imbalances: Sequence[str]
    may_shed: bool
    """Whether the journal was so small that changes may have been stored without their bodies."""
    unkept: Mapping[str, set[str]]
    """By sink the events that were refused when the dead letters of such a journal had used up all their room."""
    in_one_line: Sequence[str]
    """The sinks whose broker keeps everything in one order."""


def letters_in(path: Path, sink: str) -> frozenset[str]:
    """Give the ids of a sink's dead letters, from a journal that is closed."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT event_id FROM dead_letter WHERE sink = ?", (sink,)).fetchall()
    return frozenset(identity for (identity,) in rows)


def faults_of(evidence: Evidence) -> list[str]:
    """Say what is wrong: something lost or hidden, out of order, repeated too often, or missing from the ledger."""
    faults = list(evidence.imbalances)
    twice = {identity for identity, count in evidence.accepted.items() if count > 1}
    if twice:
        faults.append(f"{len(twice)} accepted twice: {_names(evidence, twice)}")
    for sink, log in evidence.logs.items():
        firsts = list({message.id: message for message in log}.values())
        faults += (f"{sink}: {fault}" for fault in _of_sink(evidence, sink, firsts))
        gaps_too = sink in evidence.in_one_line
        faults += (f"{sink}: {fault}" for fault in _out_of_order(firsts, gaps_too=gaps_too))
        repeats, allowed = len(log) - len(firsts), evidence.repeats_allowed[sink]
        if repeats > allowed:
            faults.append(f"{sink}: {repeats} repeats, {allowed} allowed")
        if sink in evidence.in_one_line:
            faults += (f"{sink}: {fault}" for fault in _late_windows(evidence, firsts))
    return faults


def _of_sink(evidence: Evidence, sink: str, firsts: Sequence[Message]) -> Iterator[str]:
    there = {message.id for message in firsts} | evidence.letters[sink]
    if evidence.may_shed:
        bodiless = {event_id(SITE, GAP_DETECTED, change.message.id): change.message.id for change in evidence.changes}
        there |= {bodiless[identity] for identity in there if identity in bodiless} | evidence.unkept[sink]
    lost = evidence.accepted.keys() - there
    if lost:
        yield f"{len(lost)} accepted and lost: {_names(evidence, lost)}"
    told = [message for message in firsts if message.event == RESYNC_REQUIRED]
    windows = [_window(message) for message in told]
    if any(json.loads(message.body)["cause"] in _DAMAGE for message in told):
        yield "told as damaged, though nothing is"
    hidden = {
        change.message.id
        for change in evidence.changes
        if change.message.id not in there and not any(since <= change.at <= until for since, until in windows)
    }
    if hidden:
        yield f"{len(hidden)} hidden: {_names(evidence, hidden)}; windows: {windows}"


def _out_of_order(firsts: Sequence[Message], *, gaps_too: bool) -> Iterator[str]:
    newest: dict[tuple[str | None, str | None], int] = {}
    for message in firsts:
        if message.event == GAP_DETECTED and not gaps_too:
            continue
        key, version = _subject(message)
        if version < newest.get(key, 0):
            yield f"{key} version {version} after {newest[key]}"
        newest[key] = max(newest.get(key, 0), version)


def _subject(message: Message) -> tuple[tuple[str | None, str | None], int]:
    """Give what a message is about, and of which version, 0 for none; also of a change that was stored without body."""
    if message.event == GAP_DETECTED:
        told = json.loads(message.body)
        return (told["resource"], told["id"]), told["toVersion"] or 0
    return (message.resource, message.resource_id), message.version or 0


def _late_windows(evidence: Evidence, firsts: Sequence[Message]) -> Iterator[str]:
    """Find windows that stand behind an event which was sent after their end."""
    sent_at = {change.message.id: change.at for change in evidence.changes}
    latest = 0.0
    for message in firsts:
        latest = max(latest, sent_at.get(message.id, 0.0))
        if message.event == RESYNC_REQUIRED and latest > _window(message)[1]:
            yield f"a window up to {_window(message)[1]:.3f} is told after an event of {latest:.3f}"


def _window(message: Message) -> tuple[float, float]:
    told = json.loads(message.body)["window"]
    since = datetime.fromisoformat(told["from"]).timestamp() if told["from"] else 0.0
    return since - _ROUNDED, datetime.fromisoformat(told["to"]).timestamp() + _ROUNDED


def _names(evidence: Evidence, identities: frozenset[str] | set[str]) -> list[str]:
    known = {change.message.id: change.message for change in evidence.changes}
    found = [known[identity] for identity in identities if identity in known]
    return [f"{message.resource_id} {message.version}" for message in found[:5]]
