"""The newest messages of the journal, held in memory for sinks that keep up.

Pure. A contiguous run of sequence numbers up to the journal's head; what does not fit falls out at the old end and is
read from disk by whoever still needs it. Used by `bridge.journal.log`.
"""

from collections.abc import Sequence

from bridge.message import Message

__all__ = ["Tail"]

_MESSAGE_BYTES = 600  # what a message costs in memory beside its body, measured with sys.getsizeof over its parts
_TRIM_EVENTS = 1024  # the list is cut in pieces of this size, so that cutting costs nothing per message


class Tail:
    """Messages `first` to `first + len - 1`, bounded by bytes."""

    def __init__(self, head: int, max_bytes: int) -> None:
        self.first = head + 1
        self._messages: list[Message] = []
        self._gone = 0  # how many of the list's head are forgotten and not yet cut off
        self._bytes = 0
        self._max_bytes = max_bytes

    def add(self, messages: Sequence[Message]) -> None:
        """Put messages behind the newest, and drop the oldest beyond the limit."""
        self._messages.extend(messages)
        self._bytes += sum(len(message.body) for message in messages) + _MESSAGE_BYTES * len(messages)
        while self._bytes > self._max_bytes and self._gone < len(self._messages):
            self._drop(1)
        self._cut()

    def after(self, seq: int, limit: int) -> Sequence[Message]:
        """Return up to `limit` messages that follow a sequence number; none if the next is no longer here."""
        start = seq + 1 - self.first
        if start < 0:
            return ()
        start += self._gone
        return self._messages[start : start + limit]

    def received_at(self, seq: int) -> float | None:
        """Tell when a message was received, if it is here."""
        index = seq - self.first
        if index < 0 or index + self._gone >= len(self._messages):
            return None
        return self._messages[index + self._gone].received_at

    def forget(self, seq: int) -> None:
        """Drop everything up to a sequence number: no sink needs it any more."""
        self._drop(min(seq + 1 - self.first, len(self._messages) - self._gone))
        self._cut()

    def _drop(self, count: int) -> None:
        if count <= 0:
            return
        end = self._gone + count
        dropped = self._messages[self._gone : end]
        self._bytes -= sum(len(message.body) for message in dropped) + _MESSAGE_BYTES * count
        self._gone = end
        self.first += count

    def _cut(self) -> None:
        if self._gone >= _TRIM_EVENTS or self._gone == len(self._messages):
            del self._messages[: self._gone]
            self._gone = 0
