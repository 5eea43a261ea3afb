"""What consumers received, held against the schemas that the bridge publishes, by a validator that is not the bridge's.

A schema is open, so that members may be added; here what the bridge writes itself is closed, so that none is added
without its schema. Used by the readers of both brokers for all that they read.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jsonschema_rs import Validator, validator_for

from bridge.schemas import names, schema
from tests.oracle.record import Received

__all__ = ["ANYTHING", "CONTENTS", "NOTIFICATIONS", "check", "validator"]

ANYTHING: Sequence[str] = ()
"""What others than the bridge have published, or a sink with payloads that no bridge would give it."""
NOTIFICATIONS = ("notification",)
CONTENTS = ("notification", "resource", "reference")
"""What `EVENT__CONTENT` may be."""

_NOTICE = re.compile(r".*/bridge/(state|info|health)")
_ENVELOPE = "application/cloudevents+json"
_LETTER = "bridge-dlq-"
_OWN = "portos.bridge."
_CLOSED = ("attributes", "event", "reference")
_REFERENCES = ({"resource", "id", "version", "action", "createdAt"}, {"event", "createdAt"})


def check(received: Received, contents: Sequence[str] = NOTIFICATIONS) -> None:
    """Raise AssertionError unless it is a published event, with one of these as `EVENT__CONTENT`.

    Without a content type or attributes, as over MQTT 3.1.1, it has to be in structured mode. An empty one, which says
    that something is gone, has attributes at most.
    """
    if not contents or received.topic.endswith("/bridge/marker"):
        return
    if (notice := _NOTICE.fullmatch(received.topic)) is not None:
        _hold(received, f"bridge.{notice[1]}", _read(received, received.value))
        return
    if not received.value:
        if received.attributes:
            _hold(received, "attributes", received.attributes)
        return
    if received.content_type == _ENVELOPE or not (received.content_type or received.attributes):
        event = _read(received, received.value)
        _hold(received, "event", event)
        if "data" in event:
            _hold(received, _schema_of(event["type"], event["data"], _left(event, contents)), event["data"])
        return
    attributes = {name: text for name, text in received.attributes.items() if not name.startswith(_LETTER)}
    _hold(received, "attributes", attributes)
    data = _read(received, received.value)
    _hold(received, _schema_of(attributes["type"], data, _left(attributes, contents)), data)


def _left(attributes: Mapping[str, Any], contents: Sequence[str]) -> Sequence[str]:
    """Give what the content may be: of what was too large for the broker a reference is left."""
    return ["reference"] if "bodyshed" in attributes else contents


def _schema_of(event: str, data: Any, contents: Sequence[str]) -> str:
    """Name the schema that a payload has to have, as strict as its members allow to say."""
    if event.startswith(_OWN):
        return event
    members = data.keys() if isinstance(data, dict) else ()
    if "notification" in contents and (len(contents) == 1 or "e" in members):
        return event if event in names() else "notification"
    return "reference" if set(members) in _REFERENCES or "resource" not in contents else "resource"


def _read(received: Received, text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise AssertionError(f"{received.topic}: {text[:200]!r} is no JSON: {error}") from error


def _hold(received: Received, name: str, value: Any) -> None:
    error = next(iter(validator(name).iter_errors(value)), None)
    if error is not None:
        place = "/".join(map(str, error.instance_path)) or "its root"
        text = f"{received.topic}: no valid {name}, at {place}: {error.message[:200]}"
        raise AssertionError(f"{text}: {received.value[:300]!r}")


@cache
def validator(name: str) -> Validator:
    """Make the validator of a schema."""
    found = schema(name)
    return validator_for(
        _closed(found) if name.startswith((_OWN, "bridge.")) or name in _CLOSED else found, validate_formats=True
    )


def _closed(part: Any) -> Any:
    match part:
        case Mapping():
            closed = {name: _closed(value) for name, value in part.items()}
            return {**closed, "additionalProperties": False} if "properties" in closed else closed
        case list():
            return [_closed(value) for value in part]
    return part
