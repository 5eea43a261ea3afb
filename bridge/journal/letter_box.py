"""Dead letters within their share of the journal: what waits for the next transaction, and what is kept.

Used by `bridge.journal.log`, filled from the disk by `bridge.journal.opening`.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bridge.journal.letter import LETTER_BYTES, SOURCE, DeadLetter
from bridge.journal.letter_table import Kept

__all__ = ["LetterBox"]

_log = logging.getLogger(__name__)
_REMAINDER = 8  # beyond its share, letters without their event may take this part of it more


@dataclass(slots=True)
class _Count:
    """What is kept for a sink, what is on its way to the disk included."""

    events: int = 0
    data_bytes: int = 0
    shed: int = 0


class LetterBox:
    """See the module.

    Beyond `most_bytes` an event's letter keeps what it is about and why it is there, but not the event; an unreadable
    record is counted by the metrics alone, and so is everything a little further on. So a hub or a broker that spoils
    everything cannot fill the journal with what is never delivered.
    """

    def __init__(self, kept: Mapping[str, Kept], most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._counts = {sink: _Count(one.events, one.data_bytes) for sink, one in kept.items()}
        self._bytes = sum(one.data_bytes + LETTER_BYTES * one.events for one in kept.values())
        self._capped = False
        self._waiting: list[DeadLetter] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, letter: DeadLetter) -> None:
        """Put a dead letter behind those that wait."""
        count = self._counts.setdefault(letter.sink, _Count())
        if self._bytes + len(letter.data) + LETTER_BYTES > self.most_bytes:
            self._tell_cap()
            count.shed += 1
            if letter.sink == SOURCE or self._bytes > self.most_bytes + self.most_bytes // _REMAINDER:
                return
            letter = replace(letter, data=b"")
        count.events += 1
        count.data_bytes += len(letter.data)
        self._bytes += len(letter.data) + LETTER_BYTES
        self._waiting.append(letter)

    def add_all(self, letters: Iterable[DeadLetter]) -> None:
        """Put several there."""
        for letter in letters:
            self.add(letter)

    def take(self) -> list[DeadLetter]:
        """Give those that wait to whoever writes them."""
        taken, self._waiting = self._waiting, []
        return taken

    def count(self, sink: str) -> tuple[int, int, int]:
        """Tell how many letters of a sink are kept, the bytes of their data, and how many had no room."""
        one = self._counts.get(sink) or _Count()
        return one.events, one.data_bytes, one.shed

    def _tell_cap(self) -> None:
        if not self._capped:
            self._capped = True
            _log.error(
                "the dead letters have used up their quarter of the journal: what comes now is kept without its event,"
                " or not at all; see `portos-bridge dlq list`, then `dlq retry` or `dlq purge`"
            )
