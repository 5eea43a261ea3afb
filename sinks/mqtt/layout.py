"""The topic of every event on MQTT, by the templates of the settings.

Pure. Used by `sinks.mqtt.config`, which checks the templates, and by `sinks.mqtt.records`.
"""

from collections.abc import Sequence

from bridge.cache import remembered
from bridge.errors import Rejected
from bridge.message import (
    DLQ_REDRIVEN,
    GAP_CLOSED,
    GAP_DETECTED,
    LICENCE_ACTIVATED,
    RESOURCES_CHANGED,
    RESYNC_REQUIRED,
    Message,
    example,
)
from bridge.message import percent_encoded as level
from bridge.template import ENCODED, allows, filled, literals, placeholders, too_close, unknown

__all__ = ["Topics", "problem_of_base", "problem_of_topic"]

_OTHER_EVENTS = "other-events"  # those that name no resource and are no licence, as on Kafka
_RESERVED = ("bridge", "state", "licence", _OTHER_EVENTS)
_OWN = {
    LICENCE_ACTIVATED: "licence",
    RESYNC_REQUIRED: "bridge/resync",
    GAP_DETECTED: "bridge/gap",
    GAP_CLOSED: "bridge/gap",
    DLQ_REDRIVEN: "bridge/dlq",
}
_FROM_EVENTS = ("resource", "resource_id", "action")
_LONGEST_TEMPLATE_BYTES = 1024
_LONGEST_TOPIC_BYTES = 0xFFFF
_LONGEST_NAME_BYTES = 256  # as `level` bounds it


class Topics:
    """Names the topic of a message."""

    def __init__(self, base_topic: str, site: str, template: str, allowed: Sequence[str] = ()) -> None:
        self.base = filled(base_topic, {"site": site})
        names = {name: f"{{{name}}}" for name in _FROM_EVENTS}
        self._template = filled(template, {"base": self.base, "site": site, **names})
        """What is left to be filled in are names from events; neither base nor site holds a brace."""
        self.beginning = literals(self._template)[0]
        """How the topic of every change of a resource begins."""
        self._by_id, self._by_action = "{resource_id}" in template, "{action}" in template
        self._allowed = allowed
        self._own = {event: f"{self.base}/{levels}".encode() for event, levels in _OWN.items()}
        self._other = f"{self.base}/{_OTHER_EVENTS}".encode()
        self._of_a_resource = remembered(4096)(self._filled)

    def of(self, message: Message) -> bytes:
        """Name the topic of a message; raise `Rejected` where it has none."""
        if message.resource is None:
            return self._own.get(message.event, self._other)
        resource_id = message.resource_id or "" if self._by_id else ""
        action = message.action or "unknown" if self._by_action else ""
        return self._of_a_resource(message.resource, resource_id, action)

    def shown(self, message: Message) -> str:
        """Name the topic of a message for the log, where no id belongs: its place is shown as in the template."""
        if message.resource is None:
            return self.of(message).decode()
        names = {"resource": message.resource, "action": message.action or "unknown"}
        encoded = {name: level(value) for name, value in names.items()}
        return filled(self._template, encoded | {"resource_id": "{resource_id}"})

    def _filled(self, resource: str, resource_id: str, action: str) -> bytes:
        names = {"resource": level(resource), "resource_id": level(resource_id), "action": level(action)}
        topic = filled(self._template, names)
        if any(f"{topic}/".startswith(f"{self.base}/{reserved}/") for reserved in _RESERVED):
            text = f"the resource {resource!r} leads to the reserved topic {topic}"
            raise Rejected(text, reason="reserved_topic", target=topic)
        if not allows(self._allowed, topic):
            text = f"the resource {resource!r} leads to the topic {topic}, which TOPIC_ALLOW does not hold"
            raise Rejected(text, reason="topic_not_allowed", target=topic)
        return topic.encode()


def problem_of_base(template: str) -> str | None:
    """Say what is wrong with the first levels of all topics, or None."""
    return unknown(template, ("site",)) or too_close(template, ENCODED, "a slash") or _problem_of_levels(template)


def problem_of_topic(template: str, base: str, site: str) -> str | None:
    """Say what is wrong with the template of a topic, or None; `base` is that of the first levels."""
    whole = template.replace("{base}", base)
    if problem := unknown(template, ("base", "site", *_FROM_EVENTS)) or _problem_of_levels(template):
        return problem
    if problem := too_close(whole, ENCODED, "a slash"):
        return problem
    names, text = placeholders(whole), "".join(literals(whole))
    if set(_FROM_EVENTS) & set(placeholders(template.split("/", 1)[0])):
        return "the first level should be fixed, so that no event leaves it: begin with {base}/"
    longest = len(text.encode()) + _LONGEST_NAME_BYTES * len(names)
    if longest > _LONGEST_TOPIC_BYTES:
        return f"gives topics of up to {longest} bytes; MQTT takes {_LONGEST_TOPIC_BYTES}"
    try:
        Topics(base, site, template).of(example(RESOURCES_CHANGED, "x"))
    except Rejected:
        return "leads to a topic that the bridge keeps for itself"
    return None


def _problem_of_levels(template: str) -> str | None:
    """Say why no broker would take such a topic, or why it could address more than it says."""
    literal = filled(template, dict.fromkeys(placeholders(template), "x"))
    if "+" in literal or "#" in literal:
        return "the wildcards + and # cannot be published to"
    if "$" in literal:
        return "$ is kept for the broker's own topics"
    if "" in literal.split("/"):
        return "a level is empty: there should be no leading, trailing or double slash"
    if not literal.isprintable():
        return "control characters cannot be part of a topic"
    if len(template.encode()) > _LONGEST_TEMPLATE_BYTES:
        return f"should be at most {_LONGEST_TEMPLATE_BYTES} bytes"
    return None
