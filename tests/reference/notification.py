"""The schemas of what the hub sends: what the bridge needs to know of a notification, and else what is documented.

Only the former is demanded, and tests hold it against the reader of notifications: what that lets pass is valid here.
Of the rest the vendor's documentation says what to expect, and the bridge passes on whatever it is.
"""

from collections.abc import Mapping
from typing import Any

from bridge.message import LICENCE_ACTIVATED, OWN_EVENTS, RESOURCES_CHANGED

__all__ = ["notifications"]

_TEXT_OR_NULL = {"type": ["string", "null"]}
_USER = "`{u, d, f}`: user, device, feature; `SYSTEM` where it is the server itself"
_MEMBERS: Mapping[str, Any] = {
    "e": {"type": "string", "description": "the event's name"},
    "s": {"description": f"documented as the sender: `c` its connection, `u` who it is, {_USER}"},
    "r": {"description": "documented as an optional reference id, text or null"},
    "ca": {**_TEXT_OR_NULL, "description": "created at: ISO 8601, by the hub's clock"},
    "ea": {**_TEXT_OR_NULL, "description": "expires at: ISO 8601, if it does"},
}
_CHANGE: Mapping[str, Any] = {
    "type": "object",
    "description": "what was changed",
    "required": ["n"],
    "properties": {
        "u": {"description": f"documented as who has changed it, {_USER}"},
        "n": {"type": "string", "description": "the kind of resource"},
        "a": {"description": "documented as 1 created, 2 updated, 3 deleted; anything else is `unknown`"},
        "i": {
            "type": ["object", "null"],
            "description": "which one was changed",
            "properties": {
                "i": {"type": ["string", "integer", "null"], "description": "its id"},
                "n": {"description": "documented as the kind of resource once more"},
                "v": {
                    "type": ["integer", "null"],
                    "minimum": -(2**63),
                    "maximum": 2**63 - 1,
                    "description": "its version; null or absent where it has none",
                },
            },
        },
        "r": {
            "description": "documented as an array of the resources that were changed; not documented is what it holds"
            " after a delete, where it may be empty, null, or the last state"
        },
    },
}


def notifications() -> Mapping[str, Mapping[str, Any]]:
    """Give what is demanded of a notification, which is what the bridge needs to know of it."""
    texts = {
        RESOURCES_CHANGED: "The notification byte for byte. What is only documented may be anything.",
        LICENCE_ACTIVATED: "The notification byte for byte; documented is that `p` is the licence.",
        "notification": "The notification byte for byte; nothing but its name is known of it.",
    }
    payloads = {RESOURCES_CHANGED: _CHANGE}
    names = {"notification": {"minLength": 1, "pattern": rf"^(?!{OWN_EVENTS.replace('.', '[.]')})"}}
    return {
        name: {
            "description": text,
            "type": "object",
            "required": ["e", "p"] if name in payloads else ["e"],
            "properties": {
                **_MEMBERS,
                "e": {**_MEMBERS["e"], **names.get(name, {"const": name})},
                "p": payloads.get(name, {"description": "what the event is about"}),
            },
        }
        for name, text in texts.items()
    }
