"""The parts of an AsyncAPI document, each under a key of its own, as they come together."""

import re
from collections.abc import Mapping
from typing import Any

from bridge.description import Json
from bridge.schemas import schema

__all__ = ["Parts", "reference"]

_NO_PART_OF_A_KEY = re.compile(r"[^A-Za-z0-9._-]+")  # keys of components (AsyncAPI 3.0.0, "Components Object")


class Parts:
    """What a document holds besides its head."""

    def __init__(self) -> None:
        self._servers: dict[str, Json] = {}
        self._channels: dict[str, dict[str, Any]] = {}
        self._operations: dict[str, Json] = {}
        self._messages: dict[str, Json] = {}
        self._schemas: dict[str, Json] = {}
        self._security: dict[str, Json] = {}

    def add_server(self, key: str, server: Json) -> str:
        """Add a server; gives its key."""
        return _put(self._servers, key, server)

    def add_security(self, key: str, scheme: Json) -> Json:
        """Add a security scheme, or find one that is the same; gives the reference to it."""
        return reference("components", "securitySchemes", _put(self._security, key, scheme))

    def add_schema(self, name: str) -> Json:
        """Add a schema of `bridge.schemas`; gives the reference to it."""
        own = {name: value for name, value in schema(name).items() if name not in ("$schema", "$id")}
        return reference("components", "schemas", _put(self._schemas, name, own))

    def add_message(self, key: str, message: Json) -> str:
        """Add a message, or find one that is the same; gives its key."""
        return _put(self._messages, key, message)

    def add_channel(self, key: str, channel: Mapping[str, Any], message: str, operation: Json) -> None:
        """Add a channel and the operation of sending to it; the one that is there gets the message as well."""
        found = next((name for name, there in self._channels.items() if _same_place(there, channel)), None)
        if found is None:
            found = _put(self._channels, key, {**channel, "messages": {}})
            self._operations[f"send.{found}"] = {
                "action": "send",
                "channel": reference("channels", found),
                **({"bindings": operation} if operation else {}),
            }
        self._channels[found]["messages"][message] = reference("components", "messages", message)

    def written(self) -> Mapping[str, Any]:
        """Give all of it, as the document has it."""
        components = {"messages": self._messages, "schemas": self._schemas, "securitySchemes": self._security}
        return {
            "servers": self._servers,
            "channels": self._channels,
            "operations": self._operations,
            "components": {name: part for name, part in components.items() if part},
        }


def reference(*path: str) -> Json:
    """Point to a part of the document; no key holds what would have to be escaped."""
    return {"$ref": f"#/{'/'.join(path)}"}


def _same_place(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[name] == other[name] for name in ("address", "servers"))


def _put(parts: dict[str, Any], wanted: str, part: Any) -> str:
    """Put a part under the key, or one like it where that is taken by another; gives the key."""
    base = key = _NO_PART_OF_A_KEY.sub(".", wanted).strip(".") or "part"
    number = 1
    while key in parts and parts[key] != part:
        number += 1
        key = f"{base}-{number}"
    parts[key] = part
    return key
