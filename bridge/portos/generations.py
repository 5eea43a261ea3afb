"""Where what is known of each resource is kept: bounded, and the longest unseen forgotten first.

Pure. There are two generations, and what is seen moves to the young one. When that is half of all that may be kept, or
old enough, the old one is dropped and the young one is the old one from then on: no order has to be kept up to date.
Used by `bridge.portos.memory`.
"""

from collections.abc import Iterator
from hashlib import sha256

from bridge.portos.versions import Seen

__all__ = ["Generation", "Generations", "Name", "bounded"]

Name = tuple[str, str | None]
"""Resource and id, neither longer than `bounded` lets them be."""
Generation = dict[str, dict[str | None, Seen]]

_LONGEST_NAME = 256


def bounded(resource: str, resource_id: str | None) -> Name:
    """Give the names under which a resource is kept: as they are, or a hash of one that is very long."""
    if len(resource) > _LONGEST_NAME:
        resource = _hash(resource)
    if resource_id is not None and len(resource_id) > _LONGEST_NAME:
        resource_id = _hash(resource_id)
    return resource, resource_id


def _hash(name: str) -> str:
    return sha256(name.encode(errors="surrogatepass")).hexdigest()


class Generations:
    """Two tables by resource and id; none is in both.

    `number` counts the generations; `since` is when the young one began, None before anything was seen.
    """

    def __init__(self, max_ids: int) -> None:
        self._half = max(max_ids // 2, 1)
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.young: Generation = {}
        self.old: Generation = {}
        self.young_ids = 0
        self.number = 0
        self.since: float | None = None

    def __len__(self) -> int:
        return self.young_ids + sum(map(len, self.old.values()))

    def find(self, resource: str, resource_id: str | None) -> Seen | None:
        """Give what is known of a resource, if anything."""
        for generation in (self.young, self.old):
            ids = generation.get(resource)
            if ids is not None and (seen := ids.get(resource_id)) is not None:
                return seen
        return None

    def add(self, resource: str, resource_id: str | None, seen: Seen) -> None:
        """Keep what nothing was known of."""
        ids = self.young.get(resource)
        if ids is None:
            ids = self.young[resource] = {}
        ids[resource_id] = seen
        self.young_ids += 1

    def put(self, resource: str, resource_id: str | None, seen: Seen | None) -> None:
        """Keep this as the youngest; None forgets the resource."""
        _take(self.old, resource, resource_id)
        if seen is None:
            self.young_ids -= _take(self.young, resource, resource_id)
            return
        ids = self.young.setdefault(resource, {})
        self.young_ids += resource_id not in ids
        ids[resource_id] = seen

    def replace(self, resource: str, resource_id: str | None, seen: Seen) -> None:
        """Keep something else of a resource that is kept, and no longer than before."""
        ids = self.young.get(resource)
        if ids is None or resource_id not in ids:
            ids = self.old[resource]
        ids[resource_id] = seen

    def put_old(self, resource: str, resource_id: str | None, seen: Seen) -> None:
        """Keep this as one of the old generation; the young one has nothing of it."""
        self.old.setdefault(resource, {})[resource_id] = seen

    def turn(self, now: float, keep_seconds: float) -> bool:
        """Let the old generation go if the young one is full or old enough; say whether that happened."""
        if self.since is None or now < self.since:  # the clock was set back
            self.since = now
        if self.young_ids < self._half and now - self.since < keep_seconds:
            return False
        self.start(self.number + 1, now)
        return True

    def start(self, number: int, since: float | None) -> None:
        """Begin a generation; the young one before it is old now, all before that is gone."""
        self.old = self.young if number == self.number + 1 else {}
        self.young, self.young_ids = {}, 0
        self.number, self.since = number, since

    def walk(self) -> Iterator[tuple[Generation, str, str | None, Seen]]:
        """Walk over all that is kept, the old first, each as it is when it is reached; changes meanwhile do no harm.

        What moves to the young generation meanwhile may be left out.
        """
        for generation in (self.old, self.young):
            for resource, ids in list(generation.items()):
                for resource_id in list(ids):
                    if (seen := ids.get(resource_id)) is not None:
                        yield generation, resource, resource_id, seen


def _take(generation: Generation, resource: str, resource_id: str | None) -> bool:
    ids = generation.get(resource)
    return ids is not None and ids.pop(resource_id, None) is not None
