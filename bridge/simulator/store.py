"""The shop's resources with their versions, and the ledger of every change: the truth to hold the bridge against.

Pure. Used by the simulator, which alone knows to how many connections a change was sent.
"""

import secrets
from collections import deque
from collections.abc import Iterator, Mapping

import msgspec

from bridge.simulator.notation import encoded
from bridge.simulator.notification import ACTIONS, sample

__all__ = ["Change", "Ledger", "Resource", "Store"]


class Resource(msgspec.Struct, frozen=True, gc=False):
    """One resource as it is now: its version and its JSON."""

    version: int
    body: bytes


class Change(msgspec.Struct, frozen=True, gc=False):
    """One change of a resource.

    `seq` counts from 1; `at` is in seconds since the epoch; `sent_to` is to how many connections it was sent; `sha256`
    is of the notification's bytes, None for a change that nobody was told of by design.
    """

    seq: int
    at: float
    resource: str
    id: str
    version: int
    action: str
    sent_to: int
    sha256: str | None


class Ledger:
    """Every change made, the newest `capacity` of them."""

    def __init__(self, capacity: int) -> None:
        self._changes: deque[Change] = deque(maxlen=capacity)
        self.last_seq = 0

    def append(self, change: Change) -> None:
        """Add the next change."""
        self._changes.append(change)
        self.last_seq = change.seq

    def since(self, seq: int = 0) -> Iterator[Change]:
        """Give the changes after number `seq`, oldest first."""
        return (change for change in tuple(self._changes) if change.seq > seq)


class Store:
    """What the shop has, by resource and id."""

    def __init__(self) -> None:
        self._resources: dict[str, dict[str, Resource]] = {}

    def of(self, resource: str) -> Mapping[str, Resource]:
        """Give what there is of a resource, by id."""
        return self._resources.get(resource, {})

    def truth(self) -> dict[str, dict[str, int]]:
        """Give the version of everything there is now."""
        return {name: {key: item.version for key, item in table.items()} for name, table in self._resources.items()}

    def change(  # noqa: PLR0913 - what a change is
        self,
        resource: str,
        action: str,
        resource_id: str | None,
        body: Mapping[str, object] | None,
        *,
        size: int,
        skip_versions: int,
    ) -> tuple[str, Resource]:
        """Carry out one change and give the id and the new state; a deleted resource keeps its last body.

        Without an id one is made up; without a body, a sample of about `size` bytes. A deleted resource that was not
        there has no body. Its next version starts at 1 again, as the real stand-in's does. Raise ValueError for an
        action that there is not.
        """
        if action not in ACTIONS:
            raise ValueError(f"no action {action!r}: should be one of {', '.join(ACTIONS)}")
        table = self._resources.setdefault(resource, {})
        key = secrets.token_hex(12) if resource_id is None else resource_id
        old = table.get(key)
        version = (old.version if old else 0) + 1 + skip_versions
        if action == "deleted":
            table.pop(key, None)
            return key, Resource(version, old.body if old else b"")
        new = sample(resource, key, version, size) if body is None else encoded({**body, "_v": version})
        table[key] = Resource(version, new)
        return key, table[key]
