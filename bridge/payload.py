"""The payloads that the bridge writes itself: what it tells of its own, and references in the place of what it keeps.

Pure. These are what consumers parse, so a member is only ever added, never renamed. From these structs
`tests.reference.schemas` makes the JSON Schemas in `bridge/schemas`, so that the two cannot differ. Used by whoever
tells something: `bridge.blind`, `bridge.portos.gaps`, `bridge.letters`, `bridge.portos.content` and `bridge.notices`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

__all__ = [
    "EventReference",
    "GapClosed",
    "GapDetected",
    "Health",
    "HubHealth",
    "Info",
    "Redriven",
    "Reference",
    "ResyncRequired",
    "SinkHealth",
    "Span",
    "State",
    "Subscriptions",
]

_Moment = Annotated[str, Meta(description="RFC 3339, UTC, milliseconds", extra_json_schema={"format": "date-time"})]
_Count = Annotated[int, Meta(ge=0)]
_Resource = Annotated[str, Meta(description="the kind of resource")]
_Id = Annotated[str | None, Meta(description="which one of that kind")]
_Since = Annotated[int | None, Meta(description="the version seen before; null where there is none to name")]
_Until = Annotated[int | None, Meta(description="the version that showed it")]


class Span(Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """A blind window: when it was, on the bridge's clock."""

    id: Annotated[str, Meta(description="the event's own id")]
    since: Annotated[_Moment | None, Meta(description="where it begins; null is before all time")]
    until: Annotated[_Moment, Meta(description="where it ends")]


class ResyncRequired(Struct, frozen=True, rename="camel"):
    """Something may have been missed in a window: whoever keeps state of these resources has to fetch it again."""

    window: Span
    cause: Annotated[str, Meta(description="why nothing was heard, or is there any more")]
    resources: Annotated[Sequence[str], Meta(description="what may have been missed; `*` is every resource")]
    clock_offset_seconds: Annotated[
        float | UnsetType, Meta(description="how far the hub's clock is ahead, where that is known and not nothing")
    ] = UNSET
    lost_events: Annotated[
        _Count | UnsetType, Meta(description="how many were stored and are lost, in the place of this event")
    ] = UNSET
    first_number: Annotated[_Count | UnsetType, Meta(description="the number of the first in the journal")] = UNSET
    last_number: Annotated[_Count | UnsetType, Meta(description="the number of the last in the journal")] = UNSET


class GapDetected(Struct, frozen=True, rename="camel"):
    """Versions of one resource are missing, or one that was stored had no room for its body."""

    resource: _Resource
    id: _Id
    from_version: _Since
    to_version: _Until
    missing: Annotated[Sequence[int], Meta(description="the versions that are missing, the first 1,000 of them")]
    missing_events: Annotated[_Count, Meta(description="how many are missing")]
    window: Annotated[
        str | None, Meta(description="the id of the blind window in which they may have been sent, if there was one")
    ]
    cause: Annotated[
        str,
        Meta(
            description="`version`: versions were jumped over; `window`: the same, and they may have been sent in it;"
            " `shed`: a change was stored, and its body found no room",
            extra_json_schema={"enum": ["version", "window", "shed"]},
        ),
    ]
    action: Annotated[str | UnsetType | None, Meta(description="the action of a change that was shed")] = UNSET


class GapClosed(Struct, frozen=True, rename="camel"):
    """All the missing versions of a gap have come."""

    resource: _Resource
    id: _Id
    from_version: _Since
    to_version: _Until
    by: Annotated[
        str, Meta(description="how they came: `late`, from the hub itself", extra_json_schema={"enum": ["late"]})
    ]


class Redriven(Struct, frozen=True):
    """Somebody had dead letters sent again."""

    sink: Annotated[str | None, Meta(description="the sink whose letters they are; null where all were meant")]
    count: Annotated[_Count, Meta(description="how many are sent again")]
    filter: Annotated[Mapping[str, Any], Meta(description="what the letters were chosen by")]
    overtaken: Annotated[_Count, Meta(description="how many are not, since something newer was delivered")]


class Reference(Struct, frozen=True, rename="camel"):
    """Which change of a resource it was, and nothing that the resource holds."""

    resource: _Resource
    id: _Id
    version: Annotated[int | None, Meta(description="its version, if it has one")]
    action: Annotated[str | None, Meta(description="`created`, `updated`, `deleted`, or `unknown`")]
    created_at: Annotated[_Moment | None, Meta(description="when the hub made the event, by the hub's clock")]


class EventReference(Struct, frozen=True, rename="camel"):
    """Which event it was that is about no resource, and nothing that it holds."""

    event: Annotated[str, Meta(description="the event's name, as Portos has it")]
    created_at: Annotated[_Moment | None, Meta(description="when the hub made the event, by the hub's clock")]


_Word = Annotated[str, Meta(description="`degraded`: what the hub says does not reach all sinks")]


class State(Struct, frozen=True):
    """Whether the bridge is there, and does what it should."""

    state: Annotated[_Word, Meta(extra_json_schema={"enum": ["online", "degraded", "offline"]})]


class Subscriptions(Struct, frozen=True):
    """What the bridge asks the hub for."""

    resources: Annotated[Sequence[str], Meta(description="kinds of resources; `*` is every one")]
    actions: Sequence[str]
    licence: bool


class Info(Struct, frozen=True, rename="camel"):
    """What bridge this is and what it was told to bring; told anew where a setting changes while it runs."""

    version: str
    site: Annotated[str, Meta(description="the shop")]
    host: Annotated[str, Meta(description="the machine that it runs on")]
    started_at: _Moment
    configuration: Annotated[str, Meta(description="a hash of its settings, by which a change of them shows")]
    subscriptions: Subscriptions
    content: Annotated[str, Meta(description="`EVENT__CONTENT`")]
    sinks: Sequence[str]


class HubHealth(Struct, frozen=True):
    """Whether the hub is subscribed."""

    connected: bool
    since: _Moment


class SinkHealth(Struct, frozen=True, rename="camel"):
    """How one sink is, and how much of what was stored it has not got yet."""

    connected: bool
    held: Annotated[bool, Meta(description="whether it waits for an operator")]
    lag_events: _Count
    lag_bytes: _Count
    lag_seconds: Annotated[float, Meta(description="the age of the oldest")]


class Health(Struct, frozen=True, rename="camel"):
    """How the bridge is just now."""

    at: _Moment
    state: _Word
    because: Annotated[Sequence[str], Meta(description="what degrades it")]
    hub: HubHealth
    blind_seconds: Annotated[float, Meta(description="since its start, as far as they were told")]
    open_gaps: _Count
    sinks: Annotated[Mapping[str, SinkHealth], Meta(description="each sink, by name")]
    dead_letters: Annotated[Mapping[str, int], Meta(description="how many, by the sink, the journal or the source")]
