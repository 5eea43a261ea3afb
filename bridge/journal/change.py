"""What one transaction of the journal writes, and as which SQL statements.

Pure. Made by `bridge.journal.log`, merged by `bridge.journal.writer`, carried out by `bridge.journal.store`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from bridge.journal import letter_table
from bridge.journal.letter import DeadLetter, Edits
from bridge.journal.letter_table import Kept, Key
from bridge.journal.memory import Recorded
from bridge.journal.seal import Value, seal
from bridge.labels import JOURNAL, SOURCE

__all__ = ["Change", "Chunk", "Places", "Previous", "State", "statements"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Messages of one commit: sequence numbers `first` to `last`, laid out by `bridge.journal.chunk`."""

    first: int
    last: int
    body_bytes: int
    rows: bytes


@dataclass(slots=True)
class Change:
    """What one transaction writes: all of it or nothing."""

    chunks: list[Chunk] = field(default_factory=list)
    cursors: dict[str, int] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    edits: Edits | None = None
    """What changes of letters that are kept already, and of those above."""
    settled: int = 0
    """Every sink has passed this sequence number: chunks up to it are deleted."""
    clean: bool | None = None
    """Whether the process has come to an orderly end, if that changes."""
    proved_at: float | None = None
    """Up to when all that the hub has sent is stored, this change included, if that is to be recorded."""
    scope: str | None = None
    """What the bridge asks the hub for, as `bridge.scope` writes it, if that is to be recorded."""
    ledger: bytes | None = None
    """The ledger with this change in it, if it is to be recorded."""
    identity: str | None = None
    """What tells this journal from any other, at its opening."""
    notes: dict[str, Value] = field(default_factory=dict)
    """What else is to be known when it is opened again, by name."""
    records: list[Recorded] = field(default_factory=list)
    """What is remembered of the messages, oldest first; the last says which of the earlier records may go."""

    def withdraw(self, head: int) -> None:
        """Take out the events, which found no room, and what is not true without them; the rest may be written later.

        `head` is the last number that is stored. What was set aside came with the events and goes with them. The ledger
        counts on all of it: the next change has to bring another.
        """
        kept = [letter for letter in self.dead_letters if letter.sink != SOURCE]
        if self.chunks or len(kept) < len(self.dead_letters):
            self.chunks, self.proved_at, self.scope = [], None, None
        self.dead_letters = kept
        self.ledger = None
        self.records = [
            replace(record, upto=min(record.upto, head), keep_from=min(record.keep_from, head))
            for record in self.records
        ]

    def frugal(self) -> "Change":
        """Take out what needs no room or makes some: what became of letters, and the places of the sinks.

        A sink that has new letters here keeps its place, and so do all for a row that was found damaged: no cursor is
        on disk before the letters up to it.
        """
        held = {letter.sink for letter in self.dead_letters}
        if JOURNAL in held:
            held |= self.cursors.keys()
        taken = Change(cursors={sink: seq for sink, seq in self.cursors.items() if sink not in held})
        self.cursors = {sink: seq for sink, seq in self.cursors.items() if sink in held}
        if self.edits is not None:
            taken.edits, kept = self.edits, [one for one in self.edits.overtaken if one.sink in held]
            taken.edits.overtaken = [one for one in taken.edits.overtaken if one.sink not in held]
            self.edits = Edits(overtaken=kept) if kept else None
        return taken

    def merge(self, later: "Change") -> None:
        """Add what was asked for later, so that both are one transaction."""
        self.chunks += later.chunks
        self.cursors |= later.cursors
        self.dead_letters += later.dead_letters
        if later.edits is not None:
            self.edits = self.edits or Edits()
            self.edits.merge(later.edits)
        self.settled = max(self.settled, later.settled)
        self.clean = later.clean if later.clean is not None else self.clean
        self.proved_at = later.proved_at if later.proved_at is not None else self.proved_at
        self.scope = later.scope if later.scope is not None else self.scope
        self.ledger = later.ledger if later.ledger is not None else self.ledger
        self.identity = later.identity if later.identity is not None else self.identity
        self.notes |= later.notes
        self.records += later.records


@dataclass(frozen=True, slots=True)
class Places:
    """How far the numbers of a journal go; `head` and `freed` as in `State`."""

    head: int
    freed: int
    cursors: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class State:
    """What the journal holds when it is opened. `head` is the highest sequence number ever given, as far as it shows.

    Of the numbers up to `freed` the messages may be settled and deleted; what is missing behind it is lost.
    """

    head: int
    freed: int
    identity: str | None
    """What tells this journal from any other; None if it is new, or of a release that gave it none."""
    cursors: Mapping[str, int]
    clean: bool | None
    """Whether the last session ended in order; None if there was none."""
    proved_at: float | None
    """Up to when all that the hub had sent was stored; None if that was never known."""
    scope: str | None
    """What was asked of the hub until then; None if that was never recorded."""
    ledger: bytes | None
    """The ledger as it was recorded last; None if it never was."""
    dead_letters: Mapping[str, Kept]
    """What is kept for each sink that has any."""
    letter_keys: Sequence[Key]
    """What those are about that a newer version could overtake yet."""
    corrupt_letters: Sequence[int]
    """The numbers of the damaged rows that are dead letters."""
    forgotten: bool
    """Whether a journal before this one was lost with all that was known, and that is not told yet."""


@dataclass(frozen=True, slots=True)
class Previous:
    """What the last session left: whether it ended in order, up to when all that the hub had sent was stored.

    `scope` is what was asked of the hub, see `bridge.scope`. All are None in a journal that is new; the moment is in
    seconds since the epoch.
    """

    clean: bool | None = None
    proved_at: float | None = None
    scope: str | None = None
    forgotten: bool = False
    """Whether a journal before this one was lost with all that was known."""


def statements(change: Change) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Give a change as statements with their values, as few as can be; first what makes room for the others."""
    if change.settled:
        # `first` as well: `last` has no index, and by it alone every chunk that is left would be looked at.
        yield "DELETE FROM chunk WHERE last <= ? AND first <= ?", (change.settled, change.settled)
    for chunk in change.chunks:
        yield "INSERT INTO chunk VALUES (?, ?, ?, ?)", (chunk.first, chunk.last, chunk.body_bytes, chunk.rows)
    if change.cursors:
        places = ", ".join(["(?, ?, ?)"] * len(change.cursors))
        rows = ((sink, seq, seal(sink, seq)) for sink, seq in change.cursors.items())
        yield f"INSERT OR REPLACE INTO cursor VALUES {places}", tuple(chain(*rows))  # noqa: S608 - marks
    for letter in change.dead_letters:
        yield letter_table.insertion(letter)
    if change.edits is not None:
        yield from letter_table.edits(change.edits)
    for record in change.records:
        yield "INSERT OR REPLACE INTO memory VALUES (?, ?)", (record.upto, record.data)
    if change.records:
        yield "DELETE FROM memory WHERE upto < ?", (change.records[-1].keep_from,)
    clean = None if change.clean is None else int(change.clean)
    session = (
        ("clean", clean),
        ("proved_at", change.proved_at),
        ("scope", change.scope),
        ("ledger", change.ledger),
        ("id", change.identity),
        *change.notes.items(),
    )
    for name, value in session:
        if value is not None:
            yield "INSERT OR REPLACE INTO session VALUES (?, ?, ?)", (name, value, seal(name, value))
