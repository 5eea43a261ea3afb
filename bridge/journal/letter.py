"""What a dead letter is: an event that a sink will never take, or a record that is no event, and why.

Pure. Made where something is buried, kept by `bridge.journal.letter_table`, looked at and sent again through
`bridge.journal.letter_desk`.
"""

from dataclasses import dataclass, field
from typing import Literal

from bridge.journal.chunk import decode
from bridge.message import Message

__all__ = ["LETTER_BYTES", "DeadLetter", "Edits", "Letter", "Overtaking", "Refusal", "Stage", "Which"]

LETTER_BYTES = 512
"""What a letter takes on disk beside its data, generously."""
Stage = Literal["source", "journal", "sink"]
"""Where something was buried: the record could not be read, its row was damaged, a sink would never take it."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One on its way to the disk.

    `data` is the event's row as `bridge.journal.chunk` lays it out, or the bytes of what is no event; `seq` and the
    fields from `resource` on are None there. `target` is the topic it would have had. `attempts` lie between `first_at`
    and `last_at`, in seconds since the epoch.
    """

    sink: str
    stage: Stage
    reason: str
    error: str
    attempts: int
    first_at: float
    last_at: float
    data: bytes
    seq: int | None = None
    event_id: str | None = None
    target: str | None = None
    resource: str | None = None
    resource_id: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """One that is kept: its number in the journal, and what became of it since.

    `overtaken_by` is the version of the same resource that the sink was given after it; `retry_at` is when somebody
    asked for it to be sent again; `size` is that of its data, which is only there if it was asked for.
    """

    number: int
    kept: DeadLetter
    size: int
    overtaken_by: int | None
    retry_at: float | None

    @property
    def event(self) -> Message | None:
        """The event, where the data was asked for; None if it is damaged, or none."""
        seq = self.kept.seq
        match decode(self.kept.data, seq, seq) if seq is not None else ():
            case [Message() as message]:
                return message
            case _:
                return None

    @property
    def sendable(self) -> bool:
        """Whether there is an event that could be sent again."""
        return self.kept.stage == "sink" and self.kept.seq is not None and self.size > 0


@dataclass(frozen=True, slots=True)
class Which:
    """Which letters are meant: those to which all that is set applies; times are those of the last attempt.

    `id` is that of the resource or of the event.
    """

    sink: str | None = None
    reason: str | None = None
    resource: str | None = None
    id: str | None = None
    since: float | None = None
    until: float | None = None
    numbers: tuple[int, ...] = ()
    marked: bool | None = None
    """Whether they are to be sent again."""


@dataclass(frozen=True, slots=True)
class Overtaking:
    """A sink was given this version of a resource: letters of the same with an older number are not sent any more."""

    sink: str
    resource: str
    resource_id: str
    version: int
    seq: int
    reset: bool = False
    """Whether versions began anew with it, so that it overtakes any."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A letter that was sent again was refused again."""

    number: int
    reason: str
    error: str
    at: float


@dataclass(slots=True)
class Edits:
    """What changes of letters that are kept, in one transaction and behind the letters that are new in it.

    `marked` are those to be sent again, and since when; None takes the mark away.
    """

    overtaken: list[Overtaking] = field(default_factory=list)
    marked: dict[int, float | None] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)
    copied: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.overtaken or self.marked or self.refused or self.copied or self.gone)

    def merge(self, later: "Edits") -> None:
        """Add what was asked for later."""
        self.overtaken += later.overtaken
        self.marked |= later.marked
        self.refused += later.refused
        self.copied += later.copied
        self.gone += later.gone
