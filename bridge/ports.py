"""All that a sink must know: what it is given, what it gives back, and what it may rely on.

An adapter lives for one connection and never reconnects: when the connection is lost it raises `Unavailable` and is
thrown away. It has no locks, no retries, no back-off and no metrics; the pipeline has them, once, for all.

What `bridge.source` holds stood here and can still be imported from here.
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar, runtime_checkable

from bridge.description import Description
from bridge.errors import Rejected, Unavailable
from bridge.message import Message
from bridge.source import Batch, Missed, Source, SourceActivity, Unreadable

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


@dataclass(slots=True)
class SinkActivity:
    """What a sink has seen of its broker since the process started, over all its connections.

    `throttled_seconds` is how long the broker has had it wait for its quotas; `partition_changes` counts how often a
    topic had another number of partitions than before, by which keys move; `unheard_events` are those that the broker
    has confirmed though nobody was subscribed to them.
    """

    throttled_seconds: float = 0.0
    partition_changes: int = 0
    unheard_events: int = 0


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
