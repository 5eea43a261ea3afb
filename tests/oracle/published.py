"""What consumers received, held against the schemas that the bridge publishes, by a validator that is not the bridge's.

A schema is open, so that members may be added; here what the bridge writes itself is closed, so that none is added
without its schema.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema_rs import Validator, validator_for

from bridge.schemas import names, schema
from tests.oracle.record import Received

__all__ = ["CONTENTS", "check", "validator"]

CONTENTS = ("notification", "resource", "reference")
"""What `EVENT__CONTENT` may be."""

_ENVELOPE = "application/cloudevents+json"
_LETTER = "bridge-dlq-"
_OWN = "portos.bridge."
_CHANGE = "portos.resources.changed"


def check(received: Received, content: str = "notification") -> None:
    """Raise ValueError unless attributes and payload are those of a published event with this `EVENT__CONTENT`.

    Without a content type or attributes, as over MQTT 3.1.1, it has to be in structured mode.
    """
    if received.content_type == _ENVELOPE or not (received.content_type or received.attributes):
        event = json.loads(received.value)
        _hold("event", event)
        attributes, data = event, event.get("data")
        if "data_base64" in event:
            return
    else:
        attributes, data = received.attributes, json.loads(received.value)
        _hold("attributes", {name: text for name, text in attributes.items() if not name.startswith(_LETTER)})
    _hold(_schema_of(attributes["type"], data, content), data)


def _schema_of(event: str, data: Any, content: str) -> str:
    if event.startswith(_OWN):
        return event
    match content:
        case "notification":
            return event if event in names() else content
        case "resource" if not (isinstance(data, dict) and "createdAt" in data and data.keys() <= _REFERENCE):
            return content
    return "reference"


_REFERENCE = {"resource", "id", "version", "action", "event", "createdAt"}


def _hold(name: str, value: Any) -> None:
    error = next(iter(validator(name).iter_errors(value)), None)
    if error is not None:
        place = "/".join(map(str, error.instance_path))
        raise ValueError(f"no valid {name}, at {place or 'its root'}: {error.message}")


@cache
def validator(name: str) -> Validator:
    """Make the validator of a schema."""
    found = schema(name)
    return validator_for(_closed(found) if name.startswith(_OWN) or name in _CLOSED else found, validate_formats=True)


_CLOSED = ("attributes", "event", "reference")


def _closed(part: Any) -> Any:
    match part:
        case Mapping():
            closed = {name: _closed(value) for name, value in part.items()}
            return {**closed, "additionalProperties": False} if "properties" in closed else closed
        case list():
            return [_closed(value) for value in part]
    return part
