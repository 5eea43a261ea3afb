"""Where an event goes in Kafka: its topic, and the key that keeps a resource in one partition, in order.

Pure. Used by `sinks.kafka.config`, which checks the templates, and by `sinks.kafka.records`.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence

from bridge.cache import remembered
from bridge.errors import Rejected
from bridge.message import Message, percent_encoded
from bridge.template import ENCODED, allows, filled, literals, placeholders, too_close, unknown

__all__ = [
    "GAPS_TOPIC",
    "LICENCE_TOPIC",
    "OTHER_TOPIC",
    "Layout",
    "is_reserved",
    "problem_of_key",
    "problem_of_topic",
    "segment",
]

LICENCE_TOPIC = "portos.licence"
GAPS_TOPIC = "portos.bridge.gaps"
"""What the bridge tells of its own: where something may have been missed."""
OTHER_TOPIC = "portos.other-events"
"""Events that name no resource and are no licence; `segment` can never give `other-events`, so no resource collides."""

_RESERVED_PREFIXES = ("portos.bridge.", "portos.state.")
_RESERVED = frozenset({LICENCE_TOPIC, OTHER_TOPIC})
_LONGEST_TOPIC = 249
_LONGEST_SEGMENT = 200
_LONGEST_KEY_TEMPLATE = 200
_ILLEGAL = re.compile(rb"[^A-Za-z0-9]")
_SEGMENT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-")
_ID_ALONE = "{resource_id}"


class Layout:
    """The topic and the key of every change of a resource, by the templates of the settings."""

    def __init__(
        self,
        site: str = "default",
        topic_template: str = "portos.{resource}",
        key_template: str = _ID_ALONE,
        dlq_topic: str | None = None,
        allowed: Sequence[str] = (),
    ) -> None:
        self.site = site
        self._topic_template = topic_template
        self._key_template = key_template
        self._dlq_topic = dlq_topic
        self._allowed = allowed
        self.topic = remembered(1024)(self._topic)
        """Gives the topic of a resource, or rejects one that has none."""

    def _topic(self, resource: str) -> str | Rejected:
        topic = filled(self._topic_template, {"site": self.site, "resource": segment(resource)})
        if is_reserved(topic) or (self._dlq_topic is not None and _plain(topic) == _plain(self._dlq_topic)):
            text = f"the resource {resource!r} leads to the reserved topic {topic}"
            return Rejected(text, reason="reserved_topic", target=topic)
        if not allows(self._allowed, topic):
            text = f"the resource {resource!r} leads to the topic {topic}, which TOPIC_ALLOW does not hold"
            return Rejected(text, reason="topic_not_allowed", target=topic)
        return topic

    def key(self, message: Message) -> bytes:
        """Give the key of a change.

        An id alone stands as it is. Beside anything else all names are encoded as in `bridge.message`, so that no two
        resources share a key.
        """
        resource, resource_id = message.resource or "", message.resource_id or ""
        if self._key_template == _ID_ALONE:
            return resource_id.encode()
        names = {"resource": percent_encoded(resource), "resource_id": percent_encoded(resource_id)}
        return filled(self._key_template, {"site": self.site, **names}).encode()


def is_reserved(topic: str) -> bool:
    """Say whether a topic belongs to the bridge and not to a resource."""
    return _plain(topic) in _RESERVED or _plain(topic).startswith(_RESERVED_PREFIXES)


def _plain(topic: str) -> str:
    """Give what Kafka makes of a topic in the names of metrics, where two topics must not be one."""
    return topic.replace("_", ".")


def segment(name: str) -> str:
    """Encode a foreign name as a part of a topic: injective, legal in Kafka, never empty, bounded.

    `A-Za-z0-9` pass, any other byte of its UTF-8 becomes `-XX`; an empty name is `-`; what is longer than 200
    characters then is cut to 160 and ends in `--` and 16 hexadecimal digits of the SHA-256 of the name.
    """
    if not name:
        return "-"
    encoded = _ILLEGAL.sub(lambda found: f"-{found[0][0]:02X}".encode(), name.encode()).decode()
    if len(encoded) <= _LONGEST_SEGMENT:
        return encoded
    return f"{encoded[:160]}--{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def problem_of_topic(template: str, site: str) -> str | None:
    """Say what is wrong with the template of a topic, or None."""
    return next(_problems_of_topic(template, site), None)


def _problems_of_topic(template: str, site: str) -> Iterator[str]:
    names, text = placeholders(template), "".join(literals(template))
    if {"resource_id", "action"} & set(names):
        yield "cannot hold {resource_id} or {action}: what happens to a resource would not stay in one partition"
    if problem := unknown(template, ("site", "resource")) or too_close(template, _SEGMENT, "a dot or an underscore"):
        yield problem
    if not re.fullmatch(r"[A-Za-z0-9._-]*", text):
        yield "should be made of A-Z, a-z, 0-9, '.', '_', '-' and placeholders in braces"
    if "" in template.split("."):
        yield "should have no empty segment between its dots"
    if not re.match(r"[A-Za-z0-9-]+(?:[._]|$)", template):
        yield "should begin with a literal segment, so that no name from outside chooses it"
    if "_" in text and "." in text:
        yield "should not hold both '.' and '_', which are one in the brokers' metric names"
    room = _LONGEST_TOPIC - names.count("resource") * _LONGEST_SEGMENT - names.count("site") * len(site)
    if len(text) > room:
        yield f"is {len(text)} characters beside its placeholders; {max(0, room)} fit"
    if isinstance(Layout(site, template).topic("x"), Rejected):
        yield "leads to a topic that the bridge keeps for itself"


def problem_of_key(template: str, topic_template: str) -> str | None:
    """Say what is wrong with the template of a key, or None.

    Topic and key together have to tell which resource it is: then its changes are in one partition, in order, and on a
    compacted topic none is taken for another's.
    """
    return next(_problems_of_key(template, topic_template), None)


def _problems_of_key(template: str, topic_template: str) -> Iterator[str]:
    names, known = placeholders(template), ("site", "resource", "resource_id")
    if "action" in names:
        yield "cannot hold {action}: what happens to a resource would not stay in one partition"
    if problem := unknown(template, known) or too_close(template, ENCODED, "a character such as a colon"):
        yield problem
    if not template.isascii() or not template.isprintable():
        yield "should be made of printable ASCII and placeholders in braces"
    if len(template) > _LONGEST_KEY_TEMPLATE:
        yield f"should be at most {_LONGEST_KEY_TEMPLATE} characters"
    if "resource_id" not in names:
        yield "should hold {resource_id}, else resources of a kind would share a key"
    if "resource" not in names and "resource" not in placeholders(topic_template):
        yield "should hold {resource}, since TOPIC_TEMPLATE does not: else two kinds with one id would share a key"
