"""What rides along with a transaction of the journal: what is deleted, what is remembered of it, and the ledger.

Pure; times are seconds of a monotonic clock. An event that comes while such a transaction is written has to wait for
it, so none of this is done with each, nor too much of it at once. Used by `bridge.journal.log`.
"""

from math import inf

from bridge.journal.change import Change
from bridge.journal.memory import Records

__all__ = ["Upkeep"]

_MUCH_EVENTS = 1000  # a large window: the next events take its pages before the log is folded into the file
_SOME_EVENTS, _SOME_SECONDS = 250, 0.25
_ANY_SECONDS = 1.0
_LEDGER_SECONDS = 1.0


class Upkeep:
    """See the module. What is freed is settled for every sink; `floor` is the last number of that."""

    def __init__(self, floor: int, records: Records) -> None:
        self._freed = floor
        self._freed_at = self._ledger_at = -inf
        self._records = records

    def ride_along(self, change: Change, floor: int, given: int, now: float, *, half_full: bool) -> bool:
        """Add to a change what is due, all but the ledger; say whether that is due too.

        `given` is the last number given. A change with events deletes nothing, unless there is little room.
        """
        if half_full or not change.chunks:
            change.settled = self._to_free(floor, now, at_once=half_full or bool(change.clean))
        if (record := self._records.next(given, change.settled)) is not None:
            change.records.append(record)
        proved = change.proved_at is not None and now - self._ledger_at >= _LEDGER_SECONDS
        if not (change.settled or change.edits is not None or change.clean is not None or proved):
            return False
        self._ledger_at = now
        return True

    def lower(self, given: int) -> None:
        """Take back the numbers behind `given`: what they were given to was not stored."""
        self._records.lower(given)

    def _to_free(self, floor: int, now: float, *, at_once: bool) -> int:
        """Say up to which number is deleted, 0 for nothing: when it is much, now and then, or when room is needed."""
        settled, seconds = floor - self._freed, now - self._freed_at
        some = settled >= _SOME_EVENTS and seconds >= _SOME_SECONDS
        if not settled or not (at_once or some or settled >= _MUCH_EVENTS or seconds >= _ANY_SECONDS):
            return 0
        self._freed, self._freed_at = floor, now
        return floor
