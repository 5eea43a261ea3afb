"""Dead letters as they are asked for and shown: over the admin port, and by `portos-bridge dlq`.

Pure. A letter is JSON with names as they stand on Kafka in the headers of a dead letter; its event only if it is asked
for.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgspec

from bridge.journal import Letter, Retried, Which
from bridge.message import DLQ_REDRIVEN, Message, attributes, event_id, rfc3339
from bridge.payload import Redriven

__all__ = ["asked", "letter_number", "redriven", "shown", "told", "which_of"]

_TEXTS = ("sink", "reason", "resource", "id")
_TIMES = ("since", "until")
_MOST_NUMBERS = 10_000  # SQLite takes 32,766 values in a statement
_LARGEST_NUMBER = 2**63 - 1  # nor a larger one than this
Asked = Mapping[str, Any]


def asked(which: Which) -> dict[str, Any]:
    """Write a choice of letters as JSON has it: what is set, and nothing else."""
    return {name: value for name, value in asdict(which).items() if value not in (None, ())}


def which_of(given: Asked) -> Which:
    """Read a choice of letters; raises `ValueError` with a text for the operator."""
    if unknown := sorted(given.keys() - {*_TEXTS, *_TIMES, "numbers", "marked"}):
        raise ValueError(f"no letter can be chosen by {', '.join(unknown)}")
    sink, reason, resource, identity = (None if given.get(name) is None else str(given[name]) for name in _TEXTS)
    try:
        since, until = (None if given.get(name) is None else float(given[name]) for name in _TIMES)
    except (TypeError, ValueError) as error:
        raise ValueError("since and until are seconds since the epoch") from error
    marked = given.get("marked")
    if marked is not None and marked is not True and marked is not False:
        raise ValueError("marked is true or false")
    return Which(sink, reason, resource, identity, since, until, _numbers(given.get("numbers", ())), marked)


def _numbers(given: object) -> tuple[int, ...]:
    if not isinstance(given, list | tuple) or len(given) > _MOST_NUMBERS:
        raise ValueError(f"numbers are a list, of {_MOST_NUMBERS} at most")
    return tuple(map(letter_number, given))


def letter_number(given: object) -> int:
    """Read the number of a letter, or 0; raises `ValueError` with a text for the operator."""
    if type(given) is not int or not 0 <= given <= _LARGEST_NUMBER:
        raise ValueError("the number of a letter is a whole number")
    return given


def shown(letter: Letter, site: str, *, bodies: bool = False) -> dict[str, Any]:
    """Write a letter as JSON has it; with `bodies` the event as well, its attributes and what the hub sent."""
    kept = letter.kept
    fields = {
        "number": letter.number,
        "sink": kept.sink,
        "stage": kept.stage,
        "reason": kept.reason,
        "error": kept.error,
        "attempts": kept.attempts,
        "firstAt": rfc3339(kept.first_at),
        "lastAt": rfc3339(kept.last_at),
        "target": kept.target,
        "resource": kept.resource,
        "id": kept.resource_id,
        "version": kept.version,
        "eventId": kept.event_id,
        "bytes": letter.size,
        "retryAt": None if letter.retry_at is None else rfc3339(letter.retry_at),
        "overtakenBy": letter.overtaken_by,
        "state": _state(letter),
    }
    return fields | _event(letter, site) if bodies else fields


def told(retried: Retried) -> dict[str, int]:
    """Write what became of a retry as JSON has it."""
    return {
        "meant": retried.meant,
        "marked": retried.marked,
        "waiting": retried.waiting,
        "overtaken": retried.overtaken,
        "withoutEvent": retried.without_event,
    }


def redriven(which: Which, retried: Retried, site: str, now: float) -> Message:
    """Make the event that tells of a retry: who asked for what, and how many letters it is about."""
    body = msgspec.json.encode(Redriven(which.sink, retried.marked, asked(which), retried.overtaken))
    identity = event_id(site, DLQ_REDRIVEN, now, body.decode())
    return Message(identity, DLQ_REDRIVEN, None, None, None, None, now, None, now, body)


def _state(letter: Letter) -> str:
    """Say in a word what a retry would make of a letter."""
    if not letter.sendable:
        return "no event"
    if letter.overtaken_by is not None:
        return "overtaken"
    return "to be sent" if letter.retry_at is not None else "kept"


def _event(letter: Letter, site: str) -> dict[str, Any]:
    message = letter.event
    if message is None:
        return {"body": _text(letter.kept.data)}
    return {"attributes": dict(attributes(message, site)), "body": _text(message.body)}


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
