"""The events that tell of versions that are missing: jumped over, or without a body, and of those that came late.

Pure. Used by `bridge.portos.memory`.
"""

import msgspec

from bridge.message import GAP_CLOSED, GAP_DETECTED, RESOURCES_CHANGED, Message, event_id
from bridge.payload import GapClosed, GapDetected
from bridge.portos.versions import Gap

__all__ = ["body_shed", "change_of", "gap_closed", "gap_detected"]

_MOST_LISTED = 1000
_SHED = "shed"


def gap_detected(shown_by: Message, gap: Gap, site: str, cause: str, window: str | None) -> Message:
    """Make the event that stands before the message which shows that versions are missing.

    `window` is the id of the blind window in which they may have been sent; the first 1,000 of them are listed.
    """
    listed = range(gap.after + 1, min(gap.until, gap.after + 1 + _MOST_LISTED))
    data = GapDetected(
        shown_by.resource or "", shown_by.resource_id, gap.after, gap.until, list(listed), gap.events, window, cause
    )
    return _own(GAP_DETECTED, shown_by, gap, site, data)


def gap_closed(closed_by: Message, gap: Gap, site: str) -> Message:
    """Make the event that follows the last of a gap's versions to come.

    It names the same resource and versions as the event that told the gap.
    """
    data = GapClosed(closed_by.resource or "", closed_by.resource_id, gap.after, gap.until, "late")
    return _own(GAP_CLOSED, closed_by, gap, site, data)


def body_shed(change: Message, site: str) -> Message:
    """Make the event that stands in the place of a change whose body found no room.

    Its data is that of `gap_detected`, with the cause `shed` and the `action`. The one version that is missing is the
    change's own and so `toVersion`; `fromVersion` is null. A change without a version has null and nothing listed.
    """
    version = change.version
    data = GapDetected(
        change.resource or "",
        change.resource_id,
        None,
        version,
        [] if version is None else [version],
        1,
        None,
        _SHED,
        change.action,
    )
    return msgspec.structs.replace(
        change,
        id=event_id(site, GAP_DETECTED, change.id),
        event=GAP_DETECTED,
        resource=None,
        resource_id=None,
        version=None,
        action=None,
        expires_at=None,
        body=msgspec.json.encode(data),
    )


def change_of(told: Message) -> Message | None:
    """Say which change, now without a body, an event of `body_shed` stands for; None of any other event."""
    if told.event != GAP_DETECTED:
        return None
    data = _decode(told.body)
    if data.cause != _SHED:
        return None
    return msgspec.structs.replace(
        told,
        event=RESOURCES_CHANGED,
        resource=data.resource,
        resource_id=data.id,
        version=data.to_version,
        action=data.action,
        body=b"",
    )


class _Shed(msgspec.Struct, rename="camel"):
    cause: str
    resource: str | None = None
    id: str | None = None
    to_version: int | None = None
    action: str | None = None


_decode = msgspec.json.Decoder(_Shed).decode


def _own(event: str, about: Message, gap: Gap, site: str, data: GapDetected | GapClosed) -> Message:
    at = about.received_at
    identity = event_id(site, event, about.resource, about.resource_id, gap.after, gap.until, at)
    return Message(identity, event, None, None, None, None, at, None, at, msgspec.json.encode(data))
