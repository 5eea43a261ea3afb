"""One life of a hub: what it changed, and which connections were subscribed when; both are gone when it is killed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from operator import itemgetter
from typing import Any

from tests.brokers import Change, Hub

__all__ = ["Life", "Subscription", "life_of", "most_connections", "subscriptions"]

_CHANGES = "portos.resources.changed"


@dataclass(frozen=True, slots=True)
class Subscription:
    """From the moment at which a connection asked for changes until it left or the hub noticed its end."""

    connection: str
    since: float
    until: float | None = None

    def held(self, at: float) -> bool:
        """Say whether the hub took it for alive at a moment."""
        return self.since < at and (self.until is None or at <= self.until)


@dataclass(frozen=True, slots=True)
class Life:
    """The ledger and the subscriptions, both in the order of the hub's clock."""

    ledger: Sequence[Change]
    subscriptions: Sequence[Subscription] = field(default_factory=list)
    connections: int = 0
    """The most at one time."""


def life_of(hub: Hub) -> Life:
    """Ask a hub for its life so far."""
    log = hub.state()["log"]
    return Life(hub.ledger(), subscriptions(log), most_connections(log))


def subscriptions(log: Sequence[Mapping[str, Any]]) -> list[Subscription]:
    """Find the subscriptions to changes in the hub's log."""
    begun: dict[str, float] = {}
    ended: dict[str, float] = {}
    for at, entry in _in_order(log):
        what, connection = entry["what"], entry["id"]
        changes = what in {"subscribed", "unsubscribed"} and entry["request"]["e"] == _CHANGES
        if what == "subscribed" and changes:
            begun.setdefault(connection, at)
        elif what == "disconnected" or changes:
            ended.setdefault(connection, at)
    return [Subscription(connection, at, ended.get(connection)) for connection, at in begun.items()]


def most_connections(log: Sequence[Mapping[str, Any]]) -> int:
    """Count the connections that were there at one time, at the most."""
    steps = {"connected": 1, "disconnected": -1}
    return max(accumulate((steps.get(entry["what"], 0) for _, entry in _in_order(log)), initial=0))


def _in_order(log: Sequence[Mapping[str, Any]]) -> list[tuple[float, Mapping[str, Any]]]:
    return sorted(((_seconds(entry["at"]), entry) for entry in log), key=itemgetter(0))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
