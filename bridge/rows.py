"""The journal as it is shown: over the admin port, and by `portos-bridge journal`.

Pure. A row is JSON, a line each, in the order of the sequence numbers; what the hub sent is there only if it is asked
for. The lines of an export with bodies hold all that is stored, so that they can be read back.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.journal import Chunk, Places, State
from bridge.journal.listing import Hole, rows_of
from bridge.message import Message, rfc3339

__all__ = ["overview", "shown_rows"]


def overview(state: State, path: str) -> dict[str, Any]:
    """Write what a journal holds, without its rows: numbers, sinks, dead letters.

    `freed` is the last number that is settled and deleted, `head` the last that was given.
    """
    return {
        "journal": path,
        "freed": state.freed,
        "head": state.head,
        "sinks": {sink: {"settled": seq, "waiting": state.head - seq} for sink, seq in sorted(state.cursors.items())},
        "deadLetters": {sink: kept.events for sink, kept in sorted(state.dead_letters.items())},
        "orderlyEnd": state.clean,
        "provedAt": None if state.proved_at is None else rfc3339(state.proved_at),
    }


def shown_rows(chunks: Sequence[Chunk], after: int, places: Places, *, bodies: bool) -> list[dict[str, Any]]:
    """Write the rows behind a number as JSON has them; of what is settled and deleted nothing is left to be shown."""
    return [
        _hole(row) if isinstance(row, Hole) else _row(row.seq, row.message, places.cursors, bodies=bodies)
        for row in rows_of(chunks, max(after, places.freed), places.head)
    ]


def _hole(hole: Hole) -> dict[str, Any]:
    return {"seq": hole.seq, "lastSeq": hole.last, "lost": hole.last - hole.seq + 1, "leftBytes": hole.left_bytes}


def _row(seq: int, message: Message, cursors: Mapping[str, int], *, bodies: bool) -> dict[str, Any]:
    fields = {
        "seq": seq,
        "id": message.id,
        "event": message.event,
        "resource": message.resource,
        "resourceId": message.resource_id,
        "version": message.version,
        "action": message.action,
        "createdAt": _moment(message.created_at),
        "expiresAt": _moment(message.expires_at),
        "receivedAt": rfc3339(message.received_at),
        "flags": dict(message.flags),
        "waitingFor": sorted(sink for sink, settled in cursors.items() if settled < seq),
        "bytes": len(message.body),
    }
    return fields | _body(message.body) if bodies else fields


def _body(body: bytes) -> dict[str, str]:
    """Write a body as text where that gives the same bytes back, which JSON from a hub does."""
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"bodyBase64": base64.b64encode(body).decode()}


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else rfc3339(seconds)
