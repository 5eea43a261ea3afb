"""What two sinks received over hours, in little memory: a bit for each version. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.oracle.record import Received, identity_of

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """One sink's changes so far; `add` takes them in the order of their streams."""

    changes: int = 0
    repeats: int = 0
    disorder: int = 0
    """Changes that came first after a newer one of their resource."""
    unknown: int = 0
    """Records that are no changes."""
    _versions: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, records: Iterable[Received]) -> None:
        """Count what has come since."""
        for record in records:
            identity = identity_of(record.value)
            if identity is None:
                self.unknown += 1
                continue
            key, bit = identity[:2], 1 << identity.version
            seen = self._versions.get(key, 0)
            if seen & bit:
                self.repeats += not record.redelivered
                continue
            self.changes += 1
            self.disorder += seen > bit
            self._versions[key] = seen | bit

    def lacking(self, other: "Tally") -> int:
        """Count the changes that the other has and this one has not."""
        return sum((versions & ~self._versions.get(key, 0)).bit_count() for key, versions in other._versions.items())
