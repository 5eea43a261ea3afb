"""What a resource's newest state is in Kafka: a record on a compacted topic, and a tombstone once it is deleted.

Pure. All state topics begin with `portos.state.`, where no event of a resource ever goes, whatever its template.
"""

import re

from bridge.cache import remembered
from bridge.message import Message
from bridge.template import filled
from sinks.kafka.layout import Layout, segment
from sinks.kafka.records import Record, content_of

__all__ = ["problem_of_state_topic", "state_record", "state_topic"]

_TEMPLATE = re.compile(r"portos\.state\.(?:(?:[A-Za-z0-9-]+|\{site\})\.)*\{resource\}")
_LONGEST_LITERAL = 49  # with a resource of at most 200 characters a topic stays within Kafka's 249


def problem_of_state_topic(template: str, site: str) -> str | None:
    """Say what is wrong with the template of the state topics, or None."""
    if not _TEMPLATE.fullmatch(template):
        return (
            "should be `portos.state.{resource}`, with further segments of A-Z, a-z, 0-9, '-', or {site} in the middle"
        )
    literals = template.replace("{resource}", "").replace("{site}", site)
    if len(literals) > _LONGEST_LITERAL:
        return f"is {len(literals)} characters without the resource; {_LONGEST_LITERAL} fit"
    return None


@remembered(1024)
def state_topic(template: str, site: str, resource: str) -> str:
    """Name the topic of a resource's states."""
    return filled(template, {"site": site, "resource": segment(resource)})


def state_record(message: Message, template: str, layout: Layout, *, structured_mode: bool) -> Record:
    """Turn a state into a record: key and value as those of its event, no value at all where it is a delete.

    What a tombstone is about stands in its headers, also in structured mode.
    """
    topic = state_topic(template, layout.site, message.resource or "")
    value, headers = content_of(message, layout.site, structured_mode=structured_mode and bool(message.body))
    return Record(topic, layout.key(message), value if message.body else None, headers)
