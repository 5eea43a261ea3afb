"""One sink's part of an AsyncAPI document: its servers, and a channel for each topic. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bridge.asyncapi.message import message_object
from bridge.asyncapi.part import Parts, reference
from bridge.asyncapi.sort import Sort
from bridge.description import Description, Json, Server, Topic
from bridge.errors import Rejected
from bridge.message import RESOURCES_CHANGED, Message
from bridge.ports import Explanation, SinkPlugin
from bridge.schemas import schema
from bridge.settings import SinkConfig

__all__ = ["add_sink"]

# Names that every encoding of topics leaves as they are, and that nobody writes into a template.
_MARKS = {"resource": "anyResource0", "resource_id": "anyId0", "action": "anyAction0"}
_PARAMETERS: Mapping[str, Json] = {
    "resource": {"description": "the kind of resource, encoded as this sink encodes names"},
    "resource_id": {"description": "which one of that kind, encoded as this sink encodes names"},
    "action": {"description": "what was done to it", "enum": ["created", "updated", "deleted", "unknown"]},
}

_Messages = dict[tuple[str, str | None], str]
"""The messages of events, by event and key: where both are the same, so is the message."""


def add_sink(parts: Parts, name: str, plugin: SinkPlugin[Any], config: SinkConfig, sorts: Sequence[Sort]) -> None:
    """Add what there is to say of a sink; one that does not explain itself has no channels for events."""
    described = plugin.describe(config) if plugin.describe else Description([_unknown(name)])
    sink = _Sink(parts, name, plugin, config, described, list(_servers(parts, name, described)))
    messages: _Messages = {}
    for sort in sorts:
        sink.add_events(sort, messages)
    for topic in described.topics:
        sink.add_topic(topic)
    if described.states is not None:
        sink.add_states(described.states, messages)


def _unknown(name: str) -> Server:
    return Server(host=name, protocol=name, description=f"The sink {name} does not say where its broker is.")


def _servers(parts: Parts, name: str, described: Description) -> Iterator[Json]:
    for number, server in enumerate(described.servers, start=1):
        members = {
            "host": server.host,
            "pathname": server.pathname,
            "protocol": server.protocol,
            "protocolVersion": server.protocol_version,
            "description": server.description,
            "security": [parts.add_security(f"{name}.{scheme['type']}", scheme) for scheme in server.security],
            "bindings": server.bindings,
        }
        key = parts.add_server(name if number == 1 else f"{name}-{number}", _set(members))
        yield reference("servers", key)


@dataclass(frozen=True, slots=True)
class _Sink:
    parts: Parts
    name: str
    plugin: SinkPlugin[Any]
    config: SinkConfig
    described: Description
    servers: Sequence[Json]

    def add_events(self, sort: Sort, messages: _Messages) -> None:
        """Add the channel of a sort, unless the sink refuses it, and its message, unless that is there."""
        shown = [(specimen, said) for specimen in sort.specimens if (said := self._explained(specimen)) is not None]
        if not shown:
            return
        form = self._explained(_marked(sort, any_resource=sort.open)) or shown[0][1]
        # Resources share a message, and so the key of any of them is told; a list of topics may know them by name only.
        of_any = self._explained(_marked(sort, any_resource=True)) or form
        name = sort.event or "other"
        key = None if of_any.key is None else _unmarked(of_any.key.decode(errors="backslashreplace"))
        if (name, key) not in messages:
            described = message_object(self.parts, self.described, sort, shown, self.config.site)
            message = _set({**described, "bindings": self.described.message(key)})
            messages[name, key] = self.parts.add_message(f"{self.name}.{name}", message)
        self._add_channel(_unmarked(form.topic), messages[name, key], self.described.operation)

    def add_topic(self, topic: Topic) -> None:
        """Add the channel of a topic that no event of the journal leads to."""
        named = schema(topic.schema) if topic.schema else {}
        members = {
            "name": topic.name,
            "summary": topic.summary,
            "contentType": topic.content_type,
            "headers": topic.headers,
            "payload": self.parts.add_schema(topic.schema) if topic.schema else topic.payload,
            "bindings": topic.message,
            "examples": topic.examples or [{"payload": example} for example in named.get("examples", ())],
        }
        message = self.parts.add_message(f"{self.name}.{topic.name}", _set(members))
        self._add_channel(topic.address, message, topic.operation, topic.channel)

    def add_states(self, topic: Topic, messages: _Messages) -> None:
        """Add the topic of states, with the messages of changes and of resources that are gone."""
        self.add_topic(topic)
        for (name, _), message in messages.items():
            if name == RESOURCES_CHANGED:
                self._add_channel(topic.address, message, topic.operation, topic.channel)

    def _explained(self, message: Message) -> Explanation | None:
        if self.plugin.explain is None:
            return None
        try:
            return self.plugin.explain(self.config, message)
        except Rejected:
            return None

    def _add_channel(self, address: str, message: str, operation: Json, bindings: Json | None = None) -> None:
        channel = {
            "address": address,
            "servers": self.servers,
            "parameters": {name: text for name, text in _PARAMETERS.items() if f"{{{name}}}" in address},
            "bindings": bindings,
        }
        self.parts.add_channel(f"{self.name}.{address}", _set(channel), message, operation)


def _marked(sort: Sort, *, any_resource: bool) -> Message:
    """Give a specimen whose names are marks, so that what is made of them shows where they stand."""
    specimen = sort.specimens[0]
    if specimen.resource is None:
        return specimen
    resource = _MARKS["resource"] if any_resource else specimen.resource
    return msgspec.structs.replace(
        specimen, resource=resource, resource_id=_MARKS["resource_id"], action=_MARKS["action"]
    )


def _unmarked(text: str) -> str:
    for name, mark in _MARKS.items():
        text = text.replace(mark, f"{{{name}}}")
    return text


def _set(members: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out what says nothing."""
    return {name: value for name, value in members.items() if value}
