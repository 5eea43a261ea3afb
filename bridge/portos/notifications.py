"""What a notification of Portos says: the argument of `OnEvent`, read into a message, its bytes untouched.

Pure. Names and types are those of the vendor's documentation (developers.portos.sk, SignalR); where it is silent the
reader is lenient: a notification is unreadable only if it does not tell which event or which resource it is about.
"""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated

import msgspec

from bridge.cache import remembered
from bridge.message import CORRELATION_ID, OWN_EVENTS, RESOURCES_CHANGED, Message, event_id, percent_encoded
from bridge.source import Unreadable

__all__ = ["UNREADABLE", "read", "unreadable"]

UNREADABLE = ("encoding", "json", "shape")
"""Why something is unreadable: not UTF-8; not JSON, or nested too deeply; JSON, but not what it should be."""

_ACTIONS: dict[object, str] = {
    1: "created",
    2: "updated",
    3: "deleted",
    "created": "created",
    "updated": "updated",
    "deleted": "deleted",
}
_CODES = (int, str, float)
_LONGEST_REFERENCE_BYTES = 256  # as long as percent_encoded gives
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what the journal's columns hold


class _Info(msgspec.Struct, gc=False):
    i: str | int | None = None
    v: _Int64 | None = None


_NO_INFO = _Info()


class _Change(msgspec.Struct, gc=False):
    n: str | None = None
    a: object = None
    i: _Info | None = None


class _Notification(msgspec.Struct, gc=False):
    e: str
    ca: str | None = None
    ea: str | None = None
    r: object = None
    p: _Change | None = None


class _Envelope(msgspec.Struct, gc=False):
    e: str
    ca: str | None = None
    ea: str | None = None
    r: object = None
    p: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Notification).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode


def read(argument: bytes, site: str, received_at: float) -> Message | Unreadable:
    """Read the argument of one `OnEvent`.

    `action` is `unknown` for a code that the documentation does not name; an event that is no change of a resource has
    neither resource nor action. A time that is no ISO 8601 is left out: it never costs the event.
    """
    try:
        if not argument.isascii():
            argument.decode()  # msgspec does not check the text it skips
        return _message(argument, site, received_at)
    except (ValueError, RecursionError) as error:
        return unreadable(argument, error, received_at)


def unreadable(body: bytes, error: Exception, received_at: float) -> Unreadable:
    """Set aside what could not be decoded, with the reason that its error stands for."""
    match error:
        case UnicodeDecodeError():
            reason = "encoding"
        case msgspec.ValidationError():
            reason = "shape"
        case _:
            reason = "json"
    return Unreadable(reason, str(error), body, received_at)


def _message(argument: bytes, site: str, received_at: float) -> Message:
    try:
        notification = _decode(argument)
    except msgspec.ValidationError:
        envelope = _decode_envelope(argument)
        if envelope.e == RESOURCES_CHANGED:
            raise
        return _other(envelope, argument, site, received_at)
    if notification.e != RESOURCES_CHANGED:
        return _other(_decode_envelope(argument), argument, site, received_at)
    change = notification.p
    if change is None or (resource := change.n) is None:
        raise msgspec.ValidationError("Object missing required field `n` - at `$.p`")
    info = change.i or _NO_INFO
    resource_id, version = info.i, info.v
    if type(resource_id) is int:
        resource_id = str(resource_id)
    code = change.a
    action = _ACTIONS.get(code, "unknown") if type(code) in _CODES else "unknown"
    if version is None:
        identity = _unversioned(site, resource, resource_id, action, _decode_envelope(argument))
    else:
        identity = event_id(site, resource, resource_id, version, action)
    expires, correlation = notification.ea, notification.r
    return Message(
        identity,
        RESOURCES_CHANGED,
        resource,
        resource_id,  # type: ignore[arg-type]  # an int was made a string above; a cast costs a call
        version,
        action,
        _moment(notification.ca),
        None if expires is None else _moment(expires),
        received_at,
        argument,
        () if correlation is None else _correlated(correlation),
    )


def _other(envelope: _Envelope, body: bytes, site: str, received_at: float) -> Message:
    """Make a message of an event that is no change of a resource: it is passed through whatever its payload is."""
    if not envelope.e:
        raise msgspec.ValidationError("The event has no name - at `$.e`")
    if envelope.e.startswith(OWN_EVENTS):
        raise msgspec.ValidationError("The event bears a name of the bridge's own - at `$.e`")
    identity = _unversioned(site, envelope.e, None, None, envelope)
    times = _moment(envelope.ca), _moment(envelope.ea)
    flags = _correlated(envelope.r)
    return Message(identity, envelope.e, None, None, None, None, *times, received_at, body, flags)


def _correlated(reference: object) -> tuple[tuple[str, str], ...]:
    """Give the attribute for a notification's `r`, documented as a text; anything else is left out."""
    if type(reference) is not str or not reference:
        return ()
    plain = reference.isprintable() and len(reference.encode()) <= _LONGEST_REFERENCE_BYTES
    return ((CORRELATION_ID, reference if plain else percent_encoded(reference)),)


def _unversioned(site: str, name: str, resource_id: str | int | None, action: str | None, envelope: _Envelope) -> str:
    """Identify what has no version by its time and its payload, as the hub wrote both.

    The payload's own bytes, not a normal form of it: the hub writes a notification once for all its connections, and a
    normal form would have to round numbers that JSON does not limit.
    """
    return event_id(site, name, resource_id, None, action, envelope.ca, sha256(envelope.p).hexdigest())


@remembered(256)
def _moment(text: str | None) -> float | None:
    """Read a time of .NET: ISO 8601 with 0 to 7 digits of a second's fraction, UTC if it does not say otherwise.

    Cached, since under load many notifications bear the same millisecond.
    """
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
