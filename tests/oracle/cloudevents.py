"""Two CloudEvents SDKs as readers of what the bridge sent: the Python one here, the JavaScript one through node."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from bridge.message import STRUCTURED_CONTENT_TYPE
from tests.oracle.node import NodeScript
from tests.oracle.record import Received

__all__ = ["JavaScriptSdk", "python_event"]

_SOURCE = Path(__file__).parents[1] / "interop" / "cloudevents-js"
_MOMENTS = ("time",)


def python_event(received: Received) -> Mapping[str, Any]:
    """Read a record by the Python SDK's Kafka binding, a message by its parts, since it has no MQTT binding.

    Raises what the SDK raises about an attribute that is missing or wrong.
    """
    if received.key is not None:
        headers = {f"ce_{name}": value.encode() for name, value in received.attributes.items()}
        headers["content-type"] = (received.content_type or "").encode()
        event = from_kafka_event(KafkaMessage(headers, received.key, received.value))
    elif received.content_type == STRUCTURED_CONTENT_TYPE:
        event = JSONFormat().read(None, received.value)
    else:
        attributes: dict[str, Any] = {"datacontenttype": received.content_type, **received.attributes}
        for name in _MOMENTS:
            if name in attributes:
                attributes[name] = datetime.fromisoformat(attributes[name])
        event = CloudEvent(attributes, json.loads(received.value))
    return {**event.get_attributes(), "data": event.get_data()}


class JavaScriptSdk:
    """The npm package `cloudevents`, with its Kafka and its MQTT binding, installed in a folder that is kept."""

    def __init__(self, folder: Path) -> None:
        self._script = NodeScript(_SOURCE / "read.mjs", folder)

    def events(self, messages: Sequence[Received]) -> list[dict[str, Any]]:
        """Read messages by the binding of their broker, in order; raise what the SDK says about the first bad one."""
        events = self._script.answers(
            {
                "binding": "mqtt" if received.key is None else "kafka",
                "headers": received.attributes
                if received.key is None
                else {"content-type": received.content_type}
                | {f"ce_{name}": value for name, value in received.attributes.items()},
                "contentType": received.content_type,
                "key": received.key and received.key.decode(),
                "value": received.value.decode(),
            }
            for received in messages
        )
        for event in events:
            if "error" in event:
                raise ValueError(event["error"])
        return list(events)
