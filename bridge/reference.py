"""What is left of an event without its body: which resource it is about, and where that can be had.

Pure. `EVENT__CONTENT=reference` publishes nothing else; and what is too large for a broker goes out so, flagged, by the
sinks, which know a limit before they send, and by `bridge.pipeline`, where only the broker's answer tells of one.
"""

from urllib.parse import quote

import msgspec

from bridge.message import OWN_EVENTS, Message, rfc3339
from bridge.payload import EventReference, Reference

__all__ = ["BODY_SHED", "RESOURCE_URL", "reference", "without_body"]

BODY_SHED = "bodyshed"
"""The flag of an event whose body was too large for the broker."""
RESOURCE_URL = "resourceurl"
"""The flag that says where the resource can be had: a path of Portos's REST API, on whatever address it is reached."""

_encode = msgspec.json.Encoder().encode


def reference(message: Message) -> bytes:
    """Write what a message is about and nothing that it holds."""
    created_at = None if message.created_at is None else rfc3339(message.created_at)
    if message.resource is None:
        return _encode(EventReference(message.event, created_at))
    return _encode(Reference(message.resource, message.resource_id, message.version, message.action, created_at))


def without_body(message: Message) -> Message | None:
    """Give an event as a flagged reference; None where that is no smaller, or the body is all there is of the event.

    The latter are the bridge's own. What was given once is not given again, so that nobody shortens for ever.
    """
    body = reference(message)
    if len(body) >= len(message.body) or message.event.startswith(OWN_EVENTS):
        return None
    flags = [(BODY_SHED, "true")]
    if message.resource and message.resource_id and message.action != "deleted":
        names = (quote(name, safe="") for name in (message.resource, message.resource_id))
        flags.append((RESOURCE_URL, f"/api/{'/'.join(names)}"))
    return msgspec.structs.replace(message, body=body, flags=(*message.flags, *flags))
