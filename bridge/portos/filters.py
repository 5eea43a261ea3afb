"""Which of the hub's events are left out: by resource, action, id or sender.

Pure. Actions are asked for in the subscription already; this is for a hub that sends others all the same.
"""

import re
from collections.abc import Callable
from fnmatch import translate
from typing import Any

import msgspec

from bridge.message import Message
from bridge.settings.core import Filter, Subscribe
from bridge.settings.privacy import same_name

__all__ = ["filtered"]

_ALL_ACTIONS = frozenset({"created", "updated", "deleted"})
_THE_SERVER = frozenset({"SYSTEM"})
_NOBODY: frozenset[str] = frozenset()


class _Change(msgspec.Struct, gc=False):
    u: Any = None


class _Notification(msgspec.Struct, gc=False):
    s: Any = None
    p: _Change | None = None


class _Other(msgspec.Struct, gc=False):
    s: Any = None


_decode = msgspec.json.Decoder(_Notification).decode
_decode_other = msgspec.json.Decoder(_Other).decode


def filtered(subscribe: Subscribe, filters: Filter) -> Callable[[Message], str | None] | None:
    """Give the function that says why a message is left out, None of one that is not; None where nothing is.

    The reasons are those of `bridge.labels.FILTER_REASONS`.
    """
    actions = frozenset(subscribe.actions)
    narrow = actions < _ALL_ACTIONS
    resources = frozenset(map(same_name, filters.exclude_resources))
    ids = re.compile("|".join(map(translate, filters.exclude_ids))).match if filters.exclude_ids else None
    senders = frozenset(filters.exclude_senders)
    if not (narrow or resources or ids or senders):
        return None

    def reason(message: Message) -> str | None:
        if message.resource is not None:
            if resources and same_name(message.resource) in resources:
                return "resource"
            if narrow and message.action not in actions:
                return "action"
            if ids and message.resource_id is not None and ids(message.resource_id):
                return "id"
        return "sender" if senders and senders & _senders(message.body) else None

    return reason


def _senders(body: bytes) -> frozenset[str]:
    """Name the user and the device behind a notification: those of `p.u`, and of `s.u` unless it is the server.

    The server is mostly the one who sends (`s`) what a user did (`p.u`).
    """
    try:
        notification = _decode(body)
    except (ValueError, RecursionError):  # the payload of an event that is no change of a resource can be anything
        sender, actor = _sender(body), _NOBODY
    else:
        sender, actor = notification.s, _names(notification.p and notification.p.u)
    names = _names(sender.get("u")) if isinstance(sender, dict) else _NOBODY
    return actor | (names - _THE_SERVER) if actor else names


def _sender(body: bytes) -> object:
    try:
        return _decode_other(body).s
    except (ValueError, RecursionError):  # `read` skips it, so that a number in it may be out of any range
        return None


def _names(identity: object) -> frozenset[str]:
    match identity:
        case dict():
            return frozenset(str(name) for name in (identity.get("u"), identity.get("d")) if name is not None)
        case str(name):
            return frozenset({name})
        case _:
            return _NOBODY
