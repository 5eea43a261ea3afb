"""An event of each sort, made by the code that makes the real ones: to explain, to document, to make schemas of.

Pure: the same each time. Used by `bridge.asyncapi`, the command `explain`, and `docs/events.md`.
"""

from collections.abc import Mapping, Sequence

import msgspec

from bridge.blind import CORRUPTION, TRIMMED, Window, corruption, resync_required, trimmed
from bridge.journal import Retried, Which
from bridge.letters import redriven
from bridge.message import LICENCE_ACTIVATED, RESOURCES_CHANGED, Message, rfc3339
from bridge.payload import Health, HubHealth, Info, SinkHealth, State, Subscriptions
from bridge.portos.gaps import body_shed, gap_closed, gap_detected
from bridge.portos.versions import Gap

__all__ = ["LICENCE", "OTHER", "RECEIVED_AT", "notices", "notification", "own_events"]

RECEIVED_AT = 1_741_079_727.116
"""When the bridge has read these notifications: 12 milliseconds after the hub made them."""

_SENT_AT = "2025-03-04T09:15:27.104Z"
_SERVER = {"u": "SYSTEM", "d": "SYSTEM", "f": None}
_SENDER = {"c": "6h0r1Jx2QkK9vXq3cN8b5w", "u": _SERVER}
_TICKET = {
    "id": "67c6c5a1f0b2d4e6a8091b2c",
    "_v": 4,
    "state": "Closed",
    "name": "14",
    "customer": {"fullName": "Test Customer", "phone": "+421 900 000 000", "email": "customer@example.com"},
    "employee": {"name": "Test Waiter", "userName": "12"},
    "items": [{"plu": {"name": "Espresso", "code": 7}, "comment": "no sugar", "unitPrice": {"amount": 1.5}}],
}
_MISSING = Gap(4, 7, ((5, 6),))
_JOURNAL = "5f1c0e9a77d24b31"


def notification(resource: str) -> bytes:
    """Write what the hub sends for a change of a resource of this kind."""
    change = {
        "u": {"u": "12", "d": "P01", "f": None},
        "n": resource,
        "a": 2,
        "i": {"i": _TICKET["id"], "n": resource, "v": _TICKET["_v"]},
        "r": [_TICKET],
    }
    return _written(RESOURCES_CHANGED, change)


def _written(event: str, payload: object) -> bytes:
    members = {"e": event, "s": _SENDER, "r": None, "ca": _SENT_AT, "ea": None, "p": payload}
    return msgspec.json.encode(members)


LICENCE = _written(LICENCE_ACTIVATED, {"shopId": 700123, "activationTime": "2025-03-04T09:15:27Z"})
"""What the hub sends when a licence is activated."""
OTHER = _written("portos.shop.opened", {"shopId": 700123})
"""What a hub might send one day."""


def own_events(change: Message, resources: Sequence[str], site: str) -> Mapping[str, Message]:
    """Give what the bridge says itself, by what has happened, around the time of a change of a resource."""
    at = change.created_at or change.received_at
    window = Window(at - 90, at - 30, "network")
    lost, given_up = (Window(at - 5, at - 4, cause) for cause in (CORRUPTION, TRIMMED))
    return {
        "a blind window": resync_required(window, resources, site),
        "events lost of the journal": corruption(lost, 17, (_JOURNAL, 4711), resources, site),
        "events given up": trimmed(given_up, 17, (_JOURNAL, 4711, 4727), resources, site),
        "versions that are missing": gap_detected(change, _MISSING, site, "version", None),
        "missing versions that came late": gap_closed(change, _MISSING, site),
        "a change whose body found no room": body_shed(change, site),
        "dead letters sent again": redriven(Which(sink="kafka"), Retried(marked=2, overtaken=1), site, at),
    }


def notices() -> Mapping[str, bytes]:
    """Give what the bridge says of itself to brokers, by the name of the notice."""
    started_at, at = rfc3339(RECEIVED_AT - 3600), rfc3339(RECEIVED_AT)
    subscriptions = Subscriptions(("tickets",), ("created", "updated", "deleted"), licence=True)
    sinks = {
        "kafka": SinkHealth(connected=False, held=True, lag_events=12, lag_bytes=7956, lag_seconds=8.2),
        "mqtt": SinkHealth(connected=True, held=False, lag_events=0, lag_bytes=0, lag_seconds=0),
    }
    letters = {"kafka": 1, "mqtt": 0, "journal": 0, "source": 0}
    about = Info("0.1.0", "default", "shop-1", started_at, "5f1c0e9a77d2", subscriptions, "notification", list(sinks))
    health = Health(at, "degraded", ["sink kafka"], HubHealth(True, started_at), 0, 0, sinks, letters)
    made = {"state": State("online"), "info": about, "health": health}
    return {name: msgspec.json.encode(notice) for name, notice in made.items()}
