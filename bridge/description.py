"""What a sink says of itself for `portos-bridge asyncapi`: where its broker is, and what no message shows.

Pure. The names are those of AsyncAPI 3.0 (https://www.asyncapi.com/docs/reference/specification/v3.0.0), and what is
`Json` here stands in the document as it is. Topics, keys, headers and payloads of events are not described: the bridge
asks the sink's `explain` for them. Nothing here may be a secret. Used by `bridge.ports` and `bridge.asyncapi`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["Description", "Json", "Server", "Topic"]

Json: TypeAlias = Mapping[str, Any]
"""An object as JSON has it."""


@dataclass(frozen=True, slots=True)
class Server:
    """One broker: `host` with its port, `protocol` as AsyncAPI names it (`kafka-secure`, `mqtt`, ...).

    `security` are Security Scheme Objects; where there are several, each is enough.
    """

    host: str
    protocol: str
    protocol_version: str | None = None
    pathname: str | None = None
    description: str | None = None
    security: Sequence[Json] = ()
    bindings: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that no event of the journal leads to, such as one for copies of dead letters.

    `address` may hold `{resource}`, `{resource_id}` and `{action}`. `schema` names one of `bridge.schemas`, if one is
    that of the payload; `payload` and `headers` are schemas, `examples` Message Example Objects, and the rest the
    bindings of the channel, of sending to it, and of its messages.
    """

    address: str
    name: str
    summary: str
    schema: str | None = None
    payload: Json = field(default_factory=dict)
    content_type: str = "application/json"
    headers: Json | None = None
    examples: Sequence[Json] = ()
    channel: Json = field(default_factory=dict)
    operation: Json = field(default_factory=dict)
    message: Json = field(default_factory=dict)


def _no_bindings(_: str | None) -> Json:
    return {}


@dataclass(frozen=True, slots=True)
class Description:
    """What is the same for all events of a sink, and its other topics.

    `prefix` stands before the names of CloudEvents attributes in `Explanation.headers`; `properties` are those names
    there that are no headers but have a place of their own in the protocol. `operation` are the bindings of sending an
    event; `message` gives those of a message, from its key with placeholders, None where it has none. `states` is where
    the newest state of each resource is kept: changes go there as well, and its own message is that of a resource that
    is gone.
    """

    servers: Sequence[Server]
    prefix: str = ""
    properties: Collection[str] = ()
    operation: Json = field(default_factory=dict)
    message: Callable[[str | None], Json] = _no_bindings
    topics: Sequence[Topic] = ()
    states: Topic | None = None
