"""What `portos-bridge check --connect` says of an MQTT broker's topics: which rights the bridge needs there.

Pure. MQTT has no question for rights, and a message published to try one would be heard, so nothing is tried.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from bridge.errors import Rejected
from bridge.message import Message
from bridge.ports import Finding
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.state import mark_topic, shown_state_topic

__all__ = ["inspect"]


async def inspect(config: MqttConfig, examples: Sequence[Message], *, create: bool) -> AsyncGenerator[Finding, None]:  # noqa: ARG001 - topics need not be made
    """Name the topics that the events lead to."""
    layout, topics = config.topics, set()
    for message in examples:
        with suppress(Rejected):  # it leads to no topic
            layout.of(message)
            topics.add(layout.shown(message))
        if config.state_topic_template and message.resource:
            topics.add(shown_state_topic(config, message))
    if config.announce:
        topics |= {f"{config.base}/bridge/{kind}" for kind in ("state", "info", "health")}
    if config.state_topic_template:
        topics.add(mark_topic(config))
    named = ", ".join(sorted(topics))
    text = "whether it may publish is not tried, since it would be heard, and shows with the first event: it needs the"
    yield Finding("warning", f"{text} right to {named}")
