"""The Message Object of a sort of event at a sink: what stands beside the payload, what is in it, examples. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from bridge.asyncapi.part import Parts
from bridge.asyncapi.sort import Sort
from bridge.description import Description, Json
from bridge.message import STRUCTURED_CONTENT_TYPE, Message, structured
from bridge.ports import Explanation
from bridge.schemas import schema

__all__ = ["Shown", "message_object"]

Shown = tuple[Message, Explanation]
"""A specimen, and what a sink makes of it."""


def message_object(parts: Parts, described: Description, sort: Sort, shown: Sequence[Shown], site: str) -> Json:
    """Describe the messages of a sort; their schemas are added to the parts.

    Which of CloudEvents' modes it is shows in the bytes. What is in neither has examples and no schema.
    """
    specimen, said = shown[0]
    in_one, plain = said.payload == structured(specimen, site), said.payload == specimen.body
    beside = plain and any(name == f"{described.prefix}id" for name, _ in said.headers)
    own = schema(sort.schemas[0])
    members: dict[str, Any] = {
        "name": sort.event or "other",
        "title": own["title"],
        "summary": own["description"],
        "contentType": _content_type(said, in_one=in_one),
    }
    if in_one or beside:
        place = f"header#/{described.prefix}id" if beside else "payload#/id"
        members["correlationId"] = {"location": f"$message.{place}", "description": "what to tell a repeat by"}
    if beside:
        members["headers"] = _headers(described, sort, said)
    if in_one or plain:
        members["payload"] = _payload(parts, sort, in_one=in_one)
    members["examples"] = [_example(described, each, beside=beside) for _, each in shown]
    return members


def _content_type(said: Explanation, *, in_one: bool) -> str:
    named = [text for name, text in said.headers if name.lower().replace(" ", "-") == "content-type"]
    return next(iter(named), STRUCTURED_CONTENT_TYPE if in_one else "application/json")


def _headers(described: Description, sort: Sort, said: Explanation) -> Json:
    """Give the schema of the attributes as this sink names them, and of what it sets beside them."""
    attributes, prefix = schema("attributes"), described.prefix
    properties = {f"{prefix}{name}": value for name, value in attributes["properties"].items()}
    if sort.event is not None:
        properties[f"{prefix}type"] = {**properties[f"{prefix}type"], "const": sort.event}
    required = [f"{prefix}{name}" for name in attributes["required"]]
    for name, text in said.headers:
        if name not in properties and name not in described.properties:
            properties[name] = {"type": "string", "const": text}
            required.append(name)
    return {"type": "object", "properties": properties, "required": required}


def _payload(parts: Parts, sort: Sort, *, in_one: bool) -> Json:
    found = [parts.add_schema(name) for name in sort.schemas]
    data = found[0] if len(found) == 1 else {"anyOf": found}
    if not in_one:
        return data
    named = {} if sort.event is None else {"type": {"const": sort.event}}
    return {"allOf": [parts.add_schema("event"), {"properties": {**named, "data": data}}]}


def _example(described: Description, said: Explanation, *, beside: bool) -> Json:
    try:
        payload = json.loads(said.payload)
    except ValueError:  # a sink may write what is no JSON
        payload = said.payload.decode(errors="backslashreplace")
    headers = {name: text for name, text in said.headers if name not in described.properties}
    return {"headers": headers, "payload": payload} if beside else {"payload": payload}
