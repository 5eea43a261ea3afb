"""What is stored: messages laid out in chunks, and what becomes a dead letter.

Used by `bridge.journal.log` and by whatever else stores events.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.errors import Rejected
from bridge.journal.change import Chunk
from bridge.journal.chunk import CorruptRow, encode
from bridge.journal.letter import DeadLetter
from bridge.journal.reader import Page
from bridge.labels import SOURCE
from bridge.message import Message
from bridge.source import Unreadable

__all__ = ["Buried", "buried_letters", "chunks_of", "corrupt_letter", "set_aside"]

_CHUNK_MAX_BYTES = 8 * 1024 * 1024
_UNREADABLE_MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Buried:
    """A message of a page that becomes a dead letter: why, after how many attempts, the first of them when.

    `target` is the topic it would have had, where `why` does not say.
    """

    why: Rejected
    attempts: int
    since: float | None = None
    target: str | None = None


def buried_letters(sink: str, page: Page, buried: Mapping[int, Buried]) -> dict[int, DeadLetter]:
    """Make the dead letters of what a sink will never take, by index in the page."""
    now = time.time()
    letters = {}
    for index, letter in buried.items():
        message, seq, why = page.messages[index], page.seqs[index], letter.why
        letters[index] = DeadLetter(
            sink,
            "sink",
            why.reason,
            str(why),
            letter.attempts,
            now if letter.since is None else letter.since,
            now,
            encode([message], seq),
            seq,
            message.id,
            why.target or letter.target,
            message.resource,
            message.resource_id,
            message.version,
        )
    return letters


def corrupt_letter(sink: str, row: CorruptRow) -> DeadLetter:
    """Make the dead letter of a row that cannot be read back."""
    now = time.time()
    return DeadLetter(sink, "journal", "corrupt", "the row fails its checksum", 0, now, now, row.data, row.seq)


def set_aside(record: Unreadable) -> DeadLetter:
    """Make the dead letter of a record of the hub that is no notification."""
    data, at = record.body[:_UNREADABLE_MAX_BYTES], record.received_at
    return DeadLetter(SOURCE, "source", record.reason, record.text, 1, at, at, data)


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
