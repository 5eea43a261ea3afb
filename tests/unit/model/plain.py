"""What a journal should be, as a list of messages and a dict of places: without a disk, a thread or a bound.

Pure. Used by `tests.unit.model.machine`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bridge.journal.chunk import encode
from bridge.journal.letter import LETTER_BYTES
from bridge.labels import SOURCE
from bridge.message import VERSION_RESET, Message

__all__ = ["Place", "PlainJournal", "PlainLetter"]


@dataclass(frozen=True, slots=True)
class PlainLetter:
    """A dead letter; `unsure`: it may have lost its event, or not be kept at all, for want of room.

    `seq` and what is about the event is None of a record that is no event; its `data` tells it from others.
    """

    sink: str
    seq: int | None
    data: bytes
    reason: str
    message: Message | None = None
    attempts: int = 1
    overtaken_by: int | None = None
    marked: bool = False
    unsure: bool = False

    @property
    def size(self) -> int:
        """How long its data is."""
        return len(self.data)

    @property
    def sendable(self) -> bool:
        """Whether there is an event to send again."""
        return self.seq is not None and bool(self.data)

    def about(self, identity: str | None) -> bool:
        """Say whether it is of a resource or an event with this id; None is any."""
        return identity is None or (self.message is not None and identity == self.message.resource_id)

    def overtaken(self, message: Message, seq: int) -> "PlainLetter":
        """Give what it is once its sink was given a message."""
        mine = self.message
        if mine is None or self.seq is None or self.seq >= seq or self.overtaken_by is not None:
            return self
        if (mine.resource, mine.resource_id) != (message.resource, message.resource_id) or mine.resource_id is None:
            return self
        if mine.version is None or message.version is None:
            return self
        reset = any(name == VERSION_RESET for name, _ in message.flags)
        return replace(self, overtaken_by=message.version) if reset or message.version >= mine.version else self


Letters = tuple[PlainLetter, ...]


@dataclass(slots=True)
class Place:
    """Where a sink is: `was` has each place that a crash may lead to, with the letters of then; the last is now."""

    was: list[tuple[int, Letters]]

    @property
    def cursor(self) -> int:
        """The last number that is settled."""
        return self.was[-1][0]

    @property
    def letters(self) -> Letters:
        """The sink's dead letters."""
        return self.was[-1][1]

    def move(self, cursor: int, letters: Letters) -> None:
        """Settle up to a number."""
        self.was.append((cursor, letters))

    def durable(self) -> None:
        """Note that a crash leads back to nowhere before this."""
        del self.was[:-1]

    def change(self, edit: Callable[[Letters], Letters]) -> None:
        """Change letters on disk, whatever comes of the places."""
        self.was = [(cursor, edit(letters)) for cursor, letters in self.was]

    def crashed(self, cursor: int) -> None:
        """Go back to where a crash has led."""
        self.was = [next(one for one in reversed(self.was) if one[0] == cursor)]


@dataclass(slots=True)
class PlainJournal:
    """See the module. `floor` is the highest number that may be freed; `crowded`: there may be little room."""

    letters_cap: int
    stored: list[Message] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    source: Letters = ()
    floor: int = 0
    proved_at: float | None = None
    crowded: bool = False

    @property
    def letters(self) -> Sequence[PlainLetter]:
        """All that are kept."""
        return [*self.source, *(letter for place in self.places.values() for letter in place.letters)]

    def unsettled(self, sink: str) -> Sequence[Message]:
        """What a sink has still to settle."""
        return self.stored[self.places[sink].cursor :]

    def append(self, messages: Sequence[Message], records: Sequence[bytes], proved_at: float | None) -> None:
        """Take what is stored: events, and what is none."""
        self.stored += messages
        for data in records:
            self.source += (self.letter(SOURCE, None, data, "json", None, self.source),)
        if proved_at is not None:
            self.proved_at = proved_at

    def settle(self, sink: str, count: int, buried: Mapping[int, str]) -> None:
        """Move a sink's place; those of `buried` become letters, with a reason, and the others overtake."""
        place = self.places[sink]
        letters = place.letters
        for seq, message in enumerate(self.unsettled(sink)[:count], place.cursor + 1):
            reason = buried.get(seq - place.cursor - 1)
            if reason is None:
                letters = tuple(letter.overtaken(message, seq) for letter in letters)
            else:
                letters += (self.letter(sink, seq, encode([message], seq), reason, message, letters),)
        place.move(place.cursor + count, letters)

    def letter(
        self, sink: str, seq: int | None, data: bytes, reason: str, message: Message | None, others: Letters
    ) -> PlainLetter:
        """Make a letter beside all that are kept; `others` are those of its sink."""
        kept = [*(letter for letter in self.letters if letter.sink != sink), *others]
        size = sum(letter.size + LETTER_BYTES for letter in kept) + len(data) + LETTER_BYTES
        return PlainLetter(sink, seq, data, reason, message, unsure=self.crowded or size > self.letters_cap)

    def crash(self, cursors: Mapping[str, int]) -> None:
        """Go back to what a crash has left of the places."""
        for sink, cursor in cursors.items():
            self.places[sink].crashed(cursor)
