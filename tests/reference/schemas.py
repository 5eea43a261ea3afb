"""`bridge/schemas/*.json`: the JSON Schemas of what the bridge publishes, each with examples that the code has made.

`python -m tests.reference.schemas` writes them anew. What the bridge writes itself is derived from the structs that it
writes, attributes from the table of `docs/events.md`; what the hub sends is in `tests.reference.notification`.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

import bridge.schemas
from bridge.blind import CAUSES, CORRUPTION, TRIMMED
from bridge.journal import Which
from bridge.message import (
    CORRELATION_ID,
    DLQ_REDRIVEN,
    GAP_CLOSED,
    GAP_DETECTED,
    LICENCE_ACTIVATED,
    RESOURCES_CHANGED,
    RESYNC_REQUIRED,
    VERSION_RESET,
    attributes,
    structured,
)
from bridge.payload import (
    EventReference,
    GapClosed,
    GapDetected,
    Health,
    Info,
    Redriven,
    Reference,
    ResyncRequired,
    State,
)
from bridge.reference import BODY_SHED, RESOURCE_URL, reference
from bridge.specimen import LICENCE, OTHER, notices, notification
from tests.reference.events import ATTRIBUTES, examples
from tests.reference.notification import notifications

__all__ = ["FOLDER", "main", "schemas"]

FOLDER = Path(bridge.schemas.__file__).parent
_SITE = "default"
_NUMBER = {"pattern": "^-?[0-9]+$"}
_MOMENT = {"format": "date-time"}
_ACTIONS = ["created", "updated", "deleted", "unknown"]
_REQUIRED = ["specversion", "id", "source", "type", "recordedtime"]
_FORMS: Mapping[str, Mapping[str, Any]] = {
    "specversion": {"const": "1.0"},
    "id": {"format": "uuid"},
    "source": {"format": "uri-reference", "pattern": "^/portos/[a-z0-9][a-z0-9-]{0,40}$"},
    "type": {"minLength": 1},
    "subject": {"pattern": "^[^/]+/[^/]+$"},
    "time": _MOMENT,
    "recordedtime": _MOMENT,
    "expirytime": _MOMENT,
    "resourcename": {},
    "resourceid": {},
    "resourceversion": _NUMBER,
    "resourceaction": {"enum": _ACTIONS},
    VERSION_RESET: {"const": "true"},
    "gapfrom": _NUMBER,
    CORRELATION_ID: {},
    BODY_SHED: {"const": "true"},
    RESOURCE_URL: {"format": "uri-reference", "pattern": "^/api/[^/]+/[^/]+$"},
}
"""What an attribute looks like, by its name; all are text."""


def main() -> int:
    """Write the files, and remove those of schemas that are no more."""
    made = schemas()
    for path in FOLDER.glob("*.json"):
        if path.stem not in made:
            path.unlink()
    for name, schema in made.items():
        (FOLDER / f"{name}.json").write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def schemas() -> Mapping[str, Mapping[str, Any]]:
    """Make every schema, by its name."""
    made: dict[str, Mapping[str, Any]] = {
        **notifications(),
        RESYNC_REQUIRED: _resync_required(),
        GAP_DETECTED: _derived(GapDetected),
        GAP_CLOSED: _derived(GapClosed),
        DLQ_REDRIVEN: _redriven(),
        **{f"bridge.{name}": _derived(struct) for name, struct in _NOTICES.items()},
        "reference": _reference(),
        "resource": _RESOURCE,
        "attributes": _attributes(),
        "event": _event(),
    }
    return {name: _headed(name, made[name]) for name in sorted(made)}


_NOTICES: Mapping[str, type[msgspec.Struct]] = {"state": State, "info": Info, "health": Health}
_TITLES: Mapping[str, str] = {
    "bridge.state": "Whether the bridge is there",
    "bridge.info": "What bridge it is",
    "bridge.health": "How the bridge is",
    RESOURCES_CHANGED: "A change of a resource, as the hub sent it",
    LICENCE_ACTIVATED: "A licence was activated, as the hub sent it",
    "notification": "An event that Portos may have one day, as the hub sent it",
    "resource": "The resource in a notification",
    "reference": "Which event it was, and nothing that it holds",
    RESYNC_REQUIRED: "Something may have been missed",
    GAP_DETECTED: "Versions are missing",
    GAP_CLOSED: "Missing versions have come",
    DLQ_REDRIVEN: "Dead letters were sent again",
    "attributes": "The attributes beside a payload, in binary mode",
    "event": "A whole event, in structured mode",
}


def _headed(name: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:portos-bridge:schema:{name}",
        "title": _TITLES[name],
        "description": schema["description"],
    }
    return {**head, **schema, "title": _TITLES[name], "examples": _examples(name)}


def _examples(name: str) -> Sequence[Any]:
    made = list(examples().values())
    others: Mapping[str, Sequence[Any]] = {
        "attributes": [dict(attributes(each, _SITE)) for each in made[:3]],
        "event": [json.loads(structured(each, _SITE)) for each in made[:3]],
        "reference": [json.loads(reference(each)) for each in made[:2]],
        "resource": json.loads(notification("tickets"))["p"]["r"],
        "notification": [json.loads(OTHER)],
        **{f"bridge.{notice}": [json.loads(body)] for notice, body in notices().items()},
        RESOURCES_CHANGED: [json.loads(notification("tickets"))],
        LICENCE_ACTIVATED: [json.loads(LICENCE)],
    }
    return others.get(name) or [json.loads(each.body) for each in made if each.event == name]


_RESOURCE: Mapping[str, Any] = {
    "description": "`EVENT__CONTENT=resource`: the object in `p.r`, or the array of them where there are several; less"
    " what is redacted. What a resource holds is for Portos to say.",
    "anyOf": [{"type": "object"}, {"type": "array", "minItems": 2, "items": {"type": "object"}}],
}


def _derived(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Derive the schema of a struct; structs in it stand where they are used, so that it can stand in any document."""
    (schema,), parts = msgspec.json.schema_components([struct], ref_template="{name}")
    resolved = _resolved(schema, parts)
    return {**resolved, "description": " ".join(resolved["description"].split())}


def _resolved(schema: Any, parts: Mapping[str, Any]) -> Any:
    match schema:
        case {"$ref": str(part), **beside}:
            return _resolved(parts[part], parts) | {name: _resolved(value, parts) for name, value in beside.items()}
        case dict():
            return {name: _resolved(value, parts) for name, value in schema.items() if name != "title"}
        case list():
            return [_resolved(value, parts) for value in schema]
    return schema


def _resync_required() -> Mapping[str, Any]:
    schema = _derived(ResyncRequired)
    schema["properties"]["cause"]["enum"] = [*CAUSES, CORRUPTION, TRIMMED]
    return schema


def _redriven() -> Mapping[str, Any]:
    """Say of the filter what a choice of letters can be made by; only what was asked for is in it."""
    schema = _derived(Redriven)
    (choice,), parts = msgspec.json.schema_components([Which], ref_template="{name}")
    members = _resolved(choice, parts)["properties"]
    schema["properties"]["filter"]["properties"] = {name: _asked(member) for name, member in members.items()}
    return schema


def _asked(member: Mapping[str, Any]) -> Mapping[str, Any]:
    kinds = [kind for kind in member.get("anyOf", [member]) if kind != {"type": "null"}]
    return {name: value for name, value in kinds[0].items() if name != "default"}


def _reference() -> Mapping[str, Any]:
    forms = [_derived(struct) for struct in (Reference, EventReference)]
    text = (
        "`EVENT__CONTENT=reference`, and in the place of a resource that the notification does not hold, or of anything"
        " that is too large for a broker (`EVENT__OVERSIZE`)."
    )
    return {"description": text, "anyOf": forms}


def _attributes() -> Mapping[str, Any]:
    return {
        "description": "All are text, whatever they mean. Kafka has them in headers with `ce_` before their names, MQTT"
        " 5 in user properties. One that an event has no value for is absent.",
        "type": "object",
        "required": _REQUIRED,
        "properties": {name: {"type": "string", "description": ATTRIBUTES[name], **_FORMS[name]} for name in _FORMS},
        "additionalProperties": {"type": "string"},
    }


def _event() -> Mapping[str, Any]:
    own = _attributes()
    data = {
        "datacontenttype": {"const": "application/json", "description": "what `data` is"},
        "data": {"description": "the payload: what stands alone in binary mode"},
        "data_base64": {
            "type": "string",
            "contentEncoding": "base64",
            "description": "the payload in the place of `data`, where it is no JSON or holds line breaks",
        },
    }
    return {
        "description": "Attributes and payload as one JSON document (JSON event format of CloudEvents 1.0.2).",
        "type": "object",
        "required": [*_REQUIRED, "datacontenttype"],
        "properties": {**own["properties"], **data},
        "oneOf": [{"required": ["data"]}, {"required": ["data_base64"]}],
    }


if __name__ == "__main__":
    sys.exit(main())
