"""What is stored: messages laid out in chunks, and dead letters within their share of the file.

Used by `bridge.journal.log`.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.errors import Rejected
from bridge.journal.chunk import CorruptRow, encode
from bridge.journal.reader import Page
from bridge.journal.store import Chunk, DeadLetter
from bridge.message import Message
from bridge.ports import Unreadable

__all__ = ["Buried", "Letters", "buried_letters", "chunks_of", "corrupt_letter", "set_aside"]

_log = logging.getLogger(__name__)
_CHUNK_MAX_BYTES = 8 * 1024 * 1024
_UNREADABLE_MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Buried:
    """A message of a page that becomes a dead letter: why, and after how many attempts."""

    why: Rejected
    attempts: int


class Letters:
    """Dead letters on their way to the disk.

    Beyond `most_bytes` an event's letter keeps its reason and not the event, and an unreadable record is counted by
    the metrics alone, so that a hub or a broker that spoils everything cannot fill the journal with what is never
    delivered.
    """

    def __init__(self, kept_bytes: int, most_bytes: int) -> None:
        self._kept_bytes = kept_bytes
        self._most_bytes = most_bytes
        self._waiting: list[DeadLetter] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, letter: DeadLetter) -> None:
        """Put a dead letter behind those that wait."""
        if self._kept_bytes + len(letter.data) > self._most_bytes:
            if self._kept_bytes <= self._most_bytes:
                _log.error("the dead letters have used up their quarter of the journal: what comes now is not kept")
            self._kept_bytes = self._most_bytes + 1
            if letter.seq is None:
                return
            letter = replace(letter, data=b"")
        self._kept_bytes += len(letter.data)
        self._waiting.append(letter)

    def take(self) -> list[DeadLetter]:
        """Give those that wait to whoever writes them."""
        taken, self._waiting = self._waiting, []
        return taken


def buried_letters(sink: str, page: Page, buried: Mapping[int, Buried]) -> list[DeadLetter]:
    """Make the dead letters of what a sink will never take."""
    now = time.time()
    letters = []
    for index, letter in buried.items():
        message, seq = page.messages[index], page.seqs[index]
        why = letter.why
        data = encode([message], seq)
        letters.append(DeadLetter(sink, seq, message.id, why.reason, str(why), letter.attempts, now, data))
    return letters


def corrupt_letter(sink: str, row: CorruptRow) -> DeadLetter:
    """Make the dead letter of a row that cannot be read back."""
    why = "the row fails its checksum" if row.data else "the row is gone"
    return DeadLetter(sink, row.seq, None, "corrupt", why, 0, time.time(), row.data)


def set_aside(record: Unreadable) -> DeadLetter:
    """Make the dead letter of a record of the hub that is no notification."""
    data = record.body[:_UNREADABLE_MAX_BYTES]
    return DeadLetter("source", None, None, record.reason, record.text, 1, record.received_at, data)


def chunks_of(messages: Sequence[Message], first: int) -> list[Chunk]:
    """Lay messages out in chunks of a size that can be read back one by one."""
    chunks: list[Chunk] = []
    start = size = 0
    for index, message in enumerate(messages):
        if size and size + len(message.body) > _CHUNK_MAX_BYTES:
            chunks.append(_chunk(messages[start:index], first + start))
            start, size = index, 0
        size += len(message.body)
    if start < len(messages):
        chunks.append(_chunk(messages[start:], first + start))
    return chunks


def _chunk(messages: Sequence[Message], first: int) -> Chunk:
    body_bytes = sum(len(message.body) for message in messages)
    return Chunk(first, first + len(messages) - 1, body_bytes, encode(messages, first))
