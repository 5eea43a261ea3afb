"""What a consumer received, and which change of the hub it is: read from the payload, not from what is beside it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from tests.brokers import Change

__all__ = ["Identity", "Received", "created_at", "identities", "identity_of", "identity_of_change"]

_ACTIONS = {1: "created", 2: "updated", 3: "deleted"}


class Identity(NamedTuple):
    """What makes a change of a versioned resource unique."""

    resource: str
    id: str
    version: int
    action: str


@dataclass(frozen=True, slots=True)
class Received:
    """One record or message, in the order of its stream: a partition, or an MQTT session.

    `attributes` are the CloudEvents attributes without their prefix. `redelivered` is the broker's own word that it
    hands this out again; such a message is no repeat of the bridge's.
    """

    stream: str
    topic: str
    key: bytes | None
    value: bytes
    attributes: dict[str, str] = field(default_factory=dict)
    content_type: str | None = None
    at: float = 0.0
    redelivered: bool = False


def identity_of(value: bytes) -> Identity | None:
    """Read the identity out of a notification; None where it has none (a licence, garbage)."""
    try:
        payload = json.loads(value)["p"]
        info = payload["i"]
        return Identity(payload["n"], info["i"], int(info["v"]), _ACTIONS[payload["a"]])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def created_at(value: bytes) -> float:
    """Read when the hub wrote a notification; far in the future where it does not say."""
    try:
        return datetime.fromisoformat(json.loads(value)["ca"]).timestamp()
    except (ValueError, KeyError, TypeError):
        return float("inf")


def identities(records: Iterable[Received]) -> set[Identity]:
    """Read the identities of all that have one."""
    return {identity for record in records if (identity := identity_of(record.value)) is not None}


def identity_of_change(change: Change) -> Identity:
    return Identity(change.resource, change.id, change.version, change.action)
