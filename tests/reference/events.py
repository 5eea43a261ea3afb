"""`docs/events.md`: what consumers get, with examples that the code itself has made.

`python -m tests.reference.events` writes the page anew. The words stand here, everything between them is made by the
functions that the bridge uses; a test sees that nothing it can send is left out.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from bridge.blind import CORRUPTION, TRIMMED
from bridge.message import (
    CORRELATION_ID,
    LICENCE_ACTIVATED,
    RESOURCES_CHANGED,
    VERSION_RESET,
    Message,
    attributes,
    event_id,
)
from bridge.portos.notifications import read
from bridge.ports import Explanation
from bridge.reference import BODY_SHED, RESOURCE_URL, without_body
from bridge.schemas import names, schema
from bridge.specimen import own_events
from sinks.kafka.config import KafkaConfig
from sinks.kafka.explanation import explain as explain_kafka
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.explanation import explain as explain_mqtt
from tests.reference.notices import section
from tests.reference.states import state_lines

__all__ = ["ATTRIBUTES", "CAUSE_TEXTS", "PAGE", "attribute_names", "examples", "main", "page"]

PAGE = Path(__file__).parents[2] / "docs" / "events.md"
_SITE = "default"
_AT = 1_790_000_000.0
_ID = "67c6c5a1f0b2d4e6a8091b2c"

ATTRIBUTES: Mapping[str, str] = {
    "specversion": "the version of CloudEvents, `1.0`",
    "id": "the event's own, the same on every sink, in every repeat and after every restart: what to tell a repeat by",
    "source": "the shop, `/portos/{SITE}`",
    "type": "the event's name: as Portos has it, or one that begins with `portos.bridge.`",
    "subject": "the resource and its id, each percent-encoded like a level of an address on the web",
    "time": "when the hub made the event, by the hub's clock; for the bridge's own events when they were made",
    "recordedtime": "when the bridge stored it, by the bridge's clock",
    "expirytime": "until when the event is of use, if the hub says so; it is delivered afterwards all the same",
    "resourcename": "the kind of resource",
    "resourceid": "which one of that kind",
    "resourceversion": "its version; higher is newer, but for a change with `versionreset`. A number, written as text",
    "resourceaction": "`created`, `updated`, `deleted`, or `unknown` for one that Portos may have one day",
    CORRELATION_ID: "the notification's own reference `r`, where it has one and is published whole (`EVENT__CONTENT`)",
    VERSION_RESET: "`true` where the versions of this resource begin anew, and a lower one is the newest",
    "gapfrom": "the version seen before, where those between it and this one are missing (`VERSION__MODE=contiguous`)",
    BODY_SHED: "`true` where the event is too large for this sink's broker and its data is a reference; see below",
    RESOURCE_URL: "where the resource of such an event can be had, a path of Portos's REST API; not if it is deleted",
}
"""What each attribute says, by its name."""

CAUSE_TEXTS: Mapping[str, str] = {
    "first_start": "the bridge was started for the first time; `from` is null",
    "unclean_start": "the bridge was killed, or lost its power",
    "stopped": "the bridge was stopped in order",
    "journal_lost": "the journal was lost with all that it knew; `from` is null",
    "closed": "the hub closed the connection",
    "silence": "the hub said nothing any more, not even a ping",
    "network": "the connection broke, or could not be made",
    "unauthorized": "the hub did not accept the login",
    "protocol": "the hub said what the bridge does not understand",
    "oversize": "the hub sent a message larger than `HUB__MAX_MESSAGE_BYTES`",
    "planned": "the bridge changed its connection, and the hub took no second one beside it",
    "deaf": "the hub had forgotten the subscription, without a word",
    "shed": "there was no room to store what came",
    "other": "anything else; the log says what",
    CORRUPTION: "events were stored and can no longer be read: `lostEvents` of them, in this place",
    TRIMMED: "an operator has given events up with `journal trim`: `lostEvents` of them, in this place",
}
"""What each cause of a window says."""


def main() -> int:
    """Write the page."""
    PAGE.write_text(page())
    return 0


def _change(version: int | None = 4, flags: tuple[tuple[str, str], ...] = ()) -> Message:
    body = {
        "e": RESOURCES_CHANGED,
        "ca": "2026-09-21T14:13:20.000Z",
        "p": {"n": "tickets", "a": 2, "i": {"i": _ID, "v": version}, "r": []},
    }
    identity = event_id(_SITE, "tickets", _ID, version, "updated")
    data = json.dumps(body, separators=(",", ":")).encode()
    return Message(identity, RESOURCES_CHANGED, "tickets", _ID, version, "updated", _AT, None, _AT + 0.012, data, flags)


def examples() -> Mapping[str, Message]:
    """Give an event of each sort, made as the bridge makes it."""
    licence = b'{"e":"portos.licence.activated","ca":"2026-09-21T14:13:20.000Z","p":null}'
    return {
        "a change of a resource": _change(),
        "a licence": Message(
            event_id(_SITE, LICENCE_ACTIVATED, None, None, None, "2026-09-21T14:13:20.000Z", "..."),
            LICENCE_ACTIVATED,
            None,
            None,
            None,
            None,
            _AT,
            None,
            _AT + 0.012,
            licence,
        ),
        **own_events(_change(), ("orders", "tickets"), _SITE),
    }


def page() -> str:
    """Write the whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "<!-- made by: make reference -->"
    yield "# What consumers get"
    yield ""
    yield (
        "Every event is a [CloudEvent](https://github.com/cloudevents/spec) 1.0.2 and has the same attributes on every"
        " sink, in one of two modes (`CE_MODE`): in binary mode they stand beside the payload, in Kafka's headers with"
        " `ce_` before their names, in MQTT 5 as user properties; in structured mode they and the payload are one JSON"
        " document. The examples below are made by the code that the bridge runs."
    )
    yield ""
    yield "## Attributes"
    yield ""
    yield from _attribute_table()
    yield ""
    yield (
        "An attribute that an event has no value for is absent. Events may come again after a lost connection or a"
        " crash, each with the `id` it had; of one resource they come in order. See `guarantees.md`."
    )
    yield ""
    yield "## What the hub sends"
    made = examples()
    change = made["a change of a resource"]
    yield from _shown("A change of a resource, in Kafka, binary", explain_kafka(_kafka("binary"), change))
    yield from _shown("In Kafka, structured", explain_kafka(_kafka("structured"), change))
    yield from _shown("In MQTT 5, binary", explain_mqtt(MqttConfig(url="mqtt://broker"), change))
    old = MqttConfig(url="mqtt://broker", version="3.1.1")
    yield from _shown("In MQTT 3.1.1, which has the structured mode alone", explain_mqtt(old, change))
    yield from _shown("A licence was activated, in Kafka, binary", explain_kafka(_kafka("binary"), made["a licence"]))
    yield ""
    yield "### An event that is too large"
    yield ""
    yield (
        "With `EVENT__OVERSIZE=reference`, which is the default, an event that a broker does not take for its size"
        " goes out in its place without its body: with all of its attributes, the flag `bodyshed`, and data that only"
        " say which resource it was. Ask Portos for the rest; what you get there may be newer. Other sinks get the"
        " event whole where their brokers take it. With `EVENT__OVERSIZE=dead_letter`, or where even the reference is"
        " too large, nothing goes out: the event is kept, whole, as a dead letter. A dead letter that is sent again is"
        " meant to arrive whole: where the broker still refuses it for its size, it is not shortened but stays a dead"
        " letter; above the sink's own limit (`MAX_REQUEST_BYTES`, `MAX_PACKET_BYTES`, or what an MQTT 5 broker told of"
        " its own) it goes out as any event does. What the bridge says itself is never shortened."
    )
    yield from _shown("In Kafka, binary, with a small `MAX_REQUEST_BYTES`", explain_kafka(_narrow_kafka(), _large()))
    yield ""
    yield "## What the bridge says itself"
    yield ""
    yield (
        "These stand in the stream where they belong: on Kafka in a topic of their own, on MQTT below `{base}/bridge/`."
        " A consumer that keeps state has to fetch it again from the hub for whatever they name."
    )
    for sort in list(made)[2:]:
        yield ""
        yield f"### {sort[0].upper()}{sort[1:]}: `{made[sort].event}`"
        yield ""
        yield f"Kafka: `{explain_kafka(_kafka('binary'), made[sort]).topic}`, MQTT: `{_mqtt_topic(made[sort])}`"
        yield ""
        yield from _json(made[sort].body)
    yield ""
    yield (
        "The `cause` of a gap is `version` (versions were jumped over), `window` (the same, and they may have been sent"
        " in the blind window with the id `window`), or `shed` (a change was stored, and its body found no room)."
    )
    yield ""
    yield "### Causes of a window"
    yield ""
    yield from _table("cause", CAUSE_TEXTS)
    yield from state_lines(made["a change of a resource"], _SITE)
    yield ""
    yield from section()
    yield ""
    yield from _schemas()


def _schemas() -> Iterator[str]:
    yield "## As JSON Schemas, and as AsyncAPI"
    yield ""
    yield (
        "The bridge brings a JSON Schema (2020-12) of each payload, of the attributes and of a whole event;"
        " `portos-bridge schema` lists them, and `portos-bridge schema NAME` prints one. They are open: members and"
        " attributes may be added, so that a consumer leaves alone what it does not know."
    )
    yield ""
    yield from _table(
        "schema", {name: f"{schema(name)['title'][0].lower()}{schema(name)['title'][1:]}" for name in names()}
    )
    yield ""
    yield (
        "`portos-bridge asyncapi` prints an [AsyncAPI](https://www.asyncapi.com) 3.0 document of what the bridge is"
        " configured to publish: the brokers, every topic, keys and flags, with these schemas and with examples. A"
        " bridge that runs has the same one at `/asyncapi.json` on its admin port. No secret is in it, and the same"
        " configuration always gives the same document, so that a change shows in a review."
    )


def _attribute_table() -> Iterator[str]:
    """Give every attribute with what it says, and the value that the bridge writes for an event that has it."""
    notification = {**json.loads(_change().body), "ea": "2026-09-21T15:13:20.000Z", "r": "r-17"}
    read_one = read(json.dumps(notification).encode(), _SITE, _AT + 0.012)
    assert isinstance(read_one, Message)
    flagged = msgspec.structs.replace(read_one, flags=(*read_one.flags, (VERSION_RESET, "true"), ("gapfrom", "2")))
    values = dict(attributes(flagged, _SITE)) | dict(attributes(without_body(_large()) or flagged, _SITE))
    yield "| attribute | what it says | such as |"
    yield "|---|---|---|"
    yield from (f"| `{name}` | {text} | `{values[name]}` |" for name, text in ATTRIBUTES.items())


def _table(what: str, texts: Mapping[str, str]) -> Iterator[str]:
    yield f"| {what} | what it says |"
    yield "|---|---|"
    yield from (f"| `{name}` | {text} |" for name, text in texts.items())


def _kafka(mode: str) -> KafkaConfig:
    return KafkaConfig.model_validate({"bootstrap_servers": "kafka:9092", "ce_mode": mode})


def _narrow_kafka() -> KafkaConfig:
    values = {"bootstrap_servers": "kafka:9092", "oversize": "reference"}
    return KafkaConfig.model_validate(values | {"max_request_bytes": 2048, "batch_bytes": 2048})


def _large() -> Message:
    return msgspec.structs.replace(_change(), body=b'{"p":"%b"}' % (b"x" * 2048))


def _mqtt_topic(message: Message) -> str:
    return explain_mqtt(MqttConfig(url="mqtt://broker"), message).topic


def _shown(title: str, explained: Explanation) -> Iterator[str]:
    yield ""
    yield f"### {title}"
    yield ""
    yield "| part | value |"
    yield "|---|---|"
    yield f"| topic | `{explained.topic}` |"
    if explained.key is not None:
        yield f"| key | `{explained.key.decode()}` |"
    yield from (f"| `{name}` | `{text}` |" for name, text in explained.headers)
    yield ""
    yield from _json(explained.payload)


def _json(payload: bytes) -> Sequence[str]:
    return ["```json", json.dumps(json.loads(payload), indent=2, ensure_ascii=False), "```"]


def attribute_names(message: Message) -> set[str]:
    """Name the attributes that a message has."""
    return {name for name, _ in attributes(message, _SITE)}


if __name__ == "__main__":
    sys.exit(main())
