"""The events that tell of versions that were jumped over, and of those that came late after all.

Pure. Used by `bridge.portos.memory`.
"""

import msgspec

from bridge.message import GAP_CLOSED, GAP_DETECTED, Message, event_id
from bridge.portos.versions import Gap

__all__ = ["gap_closed", "gap_detected"]

_MOST_LISTED = 1000


def gap_detected(shown_by: Message, gap: Gap, site: str, cause: str, window: str | None) -> Message:
    """Make the event that stands before the message which shows that versions are missing.

    Its data is `{"resource", "id", "fromVersion", "toVersion", "missing", "missingEvents", "window", "cause"}`: the
    version seen before and the one that showed it; those missing between them, the first 1,000 of them listed; and the
    id of the blind window in which they may have been sent, or null.
    """
    listed = list(range(gap.after + 1, min(gap.until, gap.after + 1 + _MOST_LISTED)))
    return _own(
        GAP_DETECTED,
        shown_by,
        gap,
        site,
        {"missing": listed, "missingEvents": gap.events, "window": window, "cause": cause},
    )


def gap_closed(closed_by: Message, gap: Gap, site: str) -> Message:
    """Make the event that follows the last of a gap's versions to come.

    Its data is `{"resource", "id", "fromVersion", "toVersion", "by"}`, the first four those of the event that told it.
    """
    return _own(GAP_CLOSED, closed_by, gap, site, {"by": "late"})


def _own(event: str, about: Message, gap: Gap, site: str, further: dict[str, object]) -> Message:
    at = about.received_at
    identity = event_id(site, event, about.resource, about.resource_id, gap.after, gap.until, at)
    data = {
        "resource": about.resource,
        "id": about.resource_id,
        "fromVersion": gap.after,
        "toVersion": gap.until,
        **further,
    }
    return Message(identity, event, None, None, None, None, at, None, at, msgspec.json.encode(data))
