"""A memory is given back what a journal knows: its records, and the messages that have come since the last of them.

Used by `bridge.journal.opening`, and by `bridge.journal.trim` before messages are deleted.
"""

import logging

from bridge.journal.change import State
from bridge.journal.chunk import decode
from bridge.journal.letter_desk import Ask
from bridge.journal.memory import Memory, Records, unsealed
from bridge.message import Message

__all__ = ["recalled"]

_log = logging.getLogger(__name__)
_RECORDS_SHARE = 32
_LEARNT_EVENTS = 1000
_LEARNT_BYTES = 4 * 1024 * 1024


async def recalled(ask: Ask, state: State, memory: Memory | None, max_bytes: int) -> Records:
    """Give a memory all that the journal knows; its records may take a part of the journal's `max_bytes`."""
    stored = await ask(lambda store: store.records())
    covered = stored[-1][0] if stored else 0
    if stored and covered < state.freed:
        _log.warning("the journal was used by a release that remembers no versions: what was known of them is dropped")
        stored = []
    if memory is not None:
        records = [unsealed(data) for _, data in stored]
        if None in records:
            _log.warning("records of the versions seen are damaged or found no room: what only they knew is forgotten")
        memory.restore(records)
        after = covered
        while chunks := await ask(lambda store: store.read(after, _LEARNT_EVENTS, _LEARNT_BYTES)):  # noqa: B023 - awaited here
            for chunk in chunks:
                rows = decode(chunk.rows, chunk.first, chunk.last)
                memory.learn([row for row in rows if isinstance(row, Message)])
            after = chunks[-1].last
    return Records(memory, covered, [(upto, len(data)) for upto, data in stored], max_bytes // _RECORDS_SHARE)
