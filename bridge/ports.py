"""All that an adapter must know: what it is given, what it gives back, and what it may rely on.

An adapter lives for one connection and never reconnects: when the connection is lost it raises `Unavailable` and is
thrown away. It has no locks, no retries, no back-off and no metrics; the pipeline has them, once, for all.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence, Sized
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar, runtime_checkable
from weakref import WeakSet

from bridge.description import Description
from bridge.errors import Rejected, Unavailable
from bridge.message import Message

__all__ = [
    "DLQ_FLAGS",
    "OFFLINE",
    "Announcer",
    "Batch",
    "Connect",
    "Explanation",
    "Finding",
    "Inspect",
    "Mark",
    "Missed",
    "Notice",
    "Outcome",
    "Shed",
    "Sink",
    "SinkActivity",
    "SinkPlugin",
    "Source",
    "SourceActivity",
    "StateConnection",
    "StateTopics",
    "Unreadable",
    "turns",
]


@dataclass(frozen=True, slots=True)
class Shed:
    """The broker has confirmed a message without its body, as `bridge.reference` has it: the text says what was why."""

    text: str


Outcome = Rejected | Unavailable | Shed | None
"""What became of one message: None is confirmed by the broker, `Rejected` never taken, `Unavailable` unknown."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record of the hub that is no notification: kept as it came, so that nobody has to guess what was missed."""

    reason: str
    text: str
    body: bytes
    received_at: float


@dataclass(frozen=True, slots=True)
class Missed:
    """Something may be missing: `cause` is one of `bridge.blind.CAUSES`, or a reason of `Unavailable`.

    `since` is where it begins, in seconds since the epoch; None is where all was last proved to be there.
    """

    cause: str
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What a source read since the last batch, oldest first; empty where only `proved_at` has moved on.

    `proved_at`: all that the hub has sent up to then is in this batch or in one before, in seconds since the epoch on
    this machine's clock; None where that is not known. `missed`: something may be missing between the batch before and
    that moment, though the source goes on.
    """

    messages: Sequence[Message]
    unreadable: Sequence[Unreadable] = ()
    proved_at: float | None = None
    missed: Missed | None = None


_CLOCK_RESOLUTION_SECONDS = 2.0  # a `Date` header tells a second, and servers keep it for another


@dataclass(slots=True)
class SourceActivity:
    """What the source has seen since the process started, over all its connections; written by it, read by the metrics.

    `frames` counts the hub's records by type (`invocation`, `completion`, `ping`, `close`, `ack`, `sequence`, `other`).
    Times are seconds since the epoch; None is never. `token_requests` counts logins and refreshes by result: `ok` or a
    reason of `Unavailable`. `clock_offset_seconds` is how far the hub's clock is ahead of ours, if known.
    `received` counts events and unreadable records; of these `dropped` still found the memory full after the longest
    pause, `waiting` are in one of the `queues`, and `abandoned` were in one whose connection was closed.
    """

    frames: dict[str, int] = field(default_factory=dict)
    received_bytes: int = 0
    last_frame_at: float | None = None
    last_event_at: float | None = None
    token_expires_at: float | None = None
    clock_offset_seconds: float | None = None
    token_requests: dict[str, int] = field(default_factory=dict)
    received: int = 0
    dropped: int = 0
    queues: "WeakSet[Sized]" = field(default_factory=WeakSet)
    abandoned: int = 0

    @property
    def waiting(self) -> int:
        """How many events and unreadable records nobody has taken yet."""
        return sum(map(len, self.queues))

    @property
    def clocks_differ_by(self) -> float:
        """How far the hub's clock is ahead of ours, 0 where that is less than what can be told apart."""
        offset = self.clock_offset_seconds or 0.0
        return offset if abs(offset) >= _CLOCK_RESOLUTION_SECONDS else 0.0


@dataclass(slots=True)
class SinkActivity:
    """What a sink has seen of its broker since the process started, over all its connections; the twin of the above.

    `throttled_seconds` is how long the broker has had it wait for its quotas; `partition_changes` counts how often a
    topic had another number of partitions than before, by which keys move.
    """

    throttled_seconds: float = 0.0
    partition_changes: int = 0


class Source(Protocol):
    """One live, subscribed connection to a hub."""

    def batches(self) -> AsyncIterator[Batch]:
        """Read on, oldest first, until the connection ends in `Unavailable`.

        The first batch is given at once, whether or not the hub says anything: its `proved_at` is the moment from which
        on the hub is heard. The caller stores a batch before it asks for the next: the code after `yield` runs only
        when the batch is on disk.
        """
        ...


class Sink(Protocol):
    """One live connection to a broker."""

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Hand over a batch and report one outcome a message, in the order of the batch.

        None only after the broker has confirmed that very message. Raising `Unavailable` says it of the whole batch.
        An empty batch only asks whether the connection still stands; it is handed over when there is nothing else.
        Never called twice at once, nor after an `Unavailable`; it may be cancelled at any await, after which the sink
        is only closed. Locking is not necessary.
        """
        ...


@dataclass(frozen=True, slots=True)
class Notice:
    """What the bridge says of itself beside the stream of events: the newest of a name replaces those before it.

    `name` is `state`, `info` or `health`; `body` is JSON. What is `kept` the broker should give to whoever asks later.
    """

    name: str
    body: bytes
    kept: bool = True


OFFLINE = Notice("state", b'{"state":"offline"}')
"""That the bridge is gone: its last word, and what its broker is to say for it when it goes without one."""


@runtime_checkable
class Announcer(Protocol):
    """A sink whose broker has a place for notices. A sink that lacks this is not asked."""

    async def announce(self, notice: Notice) -> Rejected | None:
        """Hand over a notice and report what became of it: None once the broker has confirmed it.

        Raises `Unavailable` where the connection is of no more use; what the broker refuses is `Rejected`, whatever it
        may mean for an event, since no event waits for a notice. Never called at once with `deliver`. Once something
        was announced, any end of the connection but that behind an announced `OFFLINE` leaves `OFFLINE` at the broker.
        That one is also announced behind a delivery that was cancelled, of which nothing more may be sent.
        """
        ...


class Mark(Protocol):
    """A text that a broker keeps beside the states, and loses with them."""

    @property
    def text(self) -> str:
        """The text as the broker had it when the connection was opened; empty where it had none."""
        ...

    async def keep(self, text: str) -> None:
        """Have the broker keep another text, behind all that was delivered; raise `Unavailable` where it does not.

        Never called while a delivery is on its way.
        """
        ...


@dataclass(frozen=True, slots=True)
class StateConnection:
    """One live connection to where a broker keeps the newest state of each resource.

    What is delivered to `sink` takes the place of what is kept of that resource; a message without a body clears it.
    `mark` is None where brokers of this kind keep what they have confirmed.
    """

    sink: Sink
    mark: Mark | None = None


def turns(batch: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Cut a batch into pieces, in order, none of which holds two messages of one resource and id.

    For a sink whose broker may refuse a message for now and take the next one: it sends a piece, waits for all answers,
    and goes on with the next only if nothing was `Unavailable`. So no message arrives before one that comes again.
    What is about no resource is as of one.
    """
    begin, seen = 0, set[tuple[str | None, str | None]]()
    for index, message in enumerate(batch):
        about = (message.resource, message.resource_id)
        if about in seen:
            yield batch[begin:index]
            begin, seen = index, set()
        seen.add(about)
    if begin < len(batch):
        yield batch[begin:]


T_co = TypeVar("T_co", covariant=True)
C = TypeVar("C")
C_contra = TypeVar("C_contra", contravariant=True)

Connect = Callable[[], AbstractAsyncContextManager[T_co]]
"""Opens one connection: entering connects (or raises `Unavailable`), leaving flushes and closes."""


@dataclass(frozen=True, slots=True)
class StateTopics:
    """Where a sink keeps states. `target` tells one place from another: a new one gets all of them."""

    target: str
    connect: Connect[StateConnection]


DLQ_FLAGS = "bridge-dlq-"
"""How the flags begin that a copy of a dead letter bears, beside those of its event."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a sink would hand to its broker for a message; `headers` are whatever stands beside the payload."""

    topic: str
    payload: bytes
    key: bytes | None = None
    headers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at a broker has shown, in a line: `warning` works but should be known, `failed` is to be mended."""

    rank: Literal["ok", "warning", "failed"]
    text: str


class Inspect(Protocol[C_contra]):
    """Looks at what the broker has for events like these, before there are any."""

    def __call__(self, config: C_contra, examples: Sequence[Message], *, create: bool) -> AsyncGenerator[Finding, None]:
        """Yield a finding a line, over a connection of its own; `create` makes topics that are missing first.

        Raises `Unavailable` where the broker cannot be asked.
        """
        ...


@dataclass(frozen=True, slots=True)
class SinkPlugin(Generic[C]):
    """A kind of sink: its settings and how to connect it. The entry point `portos_bridge.sinks` names one of these.

    `config` is a subclass of `bridge.settings.SinkConfig`; its `window_events` bounds a batch. `connect` may raise
    `Unavailable`, or `ConfigError` where only connecting shows that a setting is wrong. `explain` may be left out: it
    says without a connection what becomes of a message, for `portos-bridge explain`, and raises `Rejected` where that
    is known without a broker. It is pure, and agrees with what is delivered. `copies` may be left out too: it gives how
    to connect to where the sink's dead letters are copied, None where the settings want no copies; what is delivered
    there are the events as they were, with flags that begin with `DLQ_FLAGS`. So may `inspect`:
    `portos-bridge check --connect` asks it with an event of each kind that the settings lead to. `describe` is for the
    document that `portos-bridge asyncapi` writes: where the broker is, and what of its protocol `explain` does not
    show. It is pure, and gives away no secret; without it the document says what `explain` does.
    And `state` may be left out: it gives where the newest state of each resource is kept, None where the settings want
    none of it. And `observed`: it gives the same sink once more,
    which writes down in an activity what it sees; that is the one the bridge runs.
    """

    config: type[C]
    connect: Callable[[C], AbstractAsyncContextManager[Sink]]
    explain: Callable[[C, Message], Explanation] | None = None
    copies: Callable[[C], Connect[Sink] | None] | None = None
    inspect: Inspect[C] | None = None
    describe: Callable[[C], Description] | None = None
    state: Callable[[C], StateTopics | None] | None = None
    observed: "Callable[[SinkActivity], SinkPlugin[C]] | None" = None
