"""The part of `docs/events.md` about the newest state of each resource; see `tests.reference.events`."""

from collections.abc import Iterator

import msgspec

from bridge.message import Message
from sinks.kafka.layout import Layout
from sinks.kafka.state import state_record
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.state import mark_topic
from sinks.mqtt.state_topic import state_topics

__all__ = ["state_lines"]

_KAFKA = "portos.state.{resource}"
_MQTT = "{base}/state/{resource}/{resource_id}"


def state_lines(change: Message, site: str) -> Iterator[str]:
    """Write what a consumer has to know, with what the code makes of a change and of a delete."""
    broker = MqttConfig(url="mqtt://broker", state_topic_template=_MQTT)
    made = {"newest": change, "deleted": msgspec.structs.replace(change, action="deleted", body=b"")}
    records = {name: state_record(one, _KAFKA, Layout(site), structured_mode=False) for name, one in made.items()}
    topic = state_topics(_MQTT, broker.base, site)(change.resource or "", change.resource_id or "").decode()
    yield ""
    yield "## The newest state of each resource"
    yield ""
    yield (
        "Beside the events, for whoever comes late or only wants to know how things are: the newest change of each"
        f" resource, on compacted topics of Kafka (`STATE_TOPIC_TEMPLATE={_KAFKA}`) and retained by MQTT brokers"
        f" (`STATE_TOPIC_TEMPLATE={_MQTT}`). Off unless set. A state is its event, with the attributes above, the same"
        " `id` and, in both modes, the same payload; a delete is an empty one that still bears the attributes"
        " (but for MQTT 3.1.1, which has none)."
    )
    yield ""
    yield "| | Kafka | MQTT |"
    yield "|---|---|---|"
    yield f"| where | `{records['newest'].topic}`, key `{records['newest'].key.decode()}` | `{topic}`, retained |"
    yield f"| deleted | {'a tombstone' if records['deleted'].value is None else 'a value'} | an empty message |"
    yield ""
    yield from (f"- {text}" for text in _texts(mark_topic(broker)))


def _texts(mark: str) -> Iterator[str]:
    yield (
        "**It never goes back.** What is published is always the newest that was accepted, whatever is repeated, sent"
        " again or restarted; a state may come again. Versions that begin anew bear `versionreset`, as in the events."
    )
    yield (
        "**It is not every change.** A broker that is slow, or away, gets the newest then, and not those in between."
        " States have a connection of their own, and no event waits for one."
    )
    yield (
        "**What is not there is deleted or not known.** A resource is known from its first change on that was accepted"
        " with states switched on; nothing is fetched for it."
    )
    yield (
        "**It is as old as what the bridge missed.** What `portos.bridge.resync.required` and"
        " `portos.bridge.gap.detected` say of events holds of states as well: a resource that they are about is shown"
        " as it was, until it changes again. A delete whose body found no room is a delete all the same."
    )
    yield (
        f"**A broker that lost its store gets it again.** On MQTT a mark at `{mark}` says how far the retained states"
        " go; without it all that are known come again, and behind an older one what came after it. Keep your hands off"
        " it, unless that is what you want: clear it and reconnect. On Kafka a new topic, cluster or `CE_MODE` gets all"
        " of them; a topic that was emptied by hand gets what changes from then on."
    )
    yield (
        "**Where states are switched off** the file behind them (`journal.state.db`, beside the journal) is not fed."
        " Switched on again, it misses what all sinks had settled by then: how many events that were is in the log and"
        " in `state_missed_events_total`, and what they changed is shown as it was, until it changes again. If"
        " that will not do, delete the file while the bridge is stopped and empty the topics: then only what is new"
        " is there."
    )
    yield (
        "**Room.** The file may hold `STATE__MAX_BYTES`, at most 10 % of its volume. Beyond it the states that changed"
        " least recently are forgotten once all sinks have published them (`state_forgotten_total`): they stay at the"
        " broker, and cannot be published again should it lose them. One state may have a sixteenth of it."
    )
    yield (
        "**Where the file cannot be written**, since its volume is full or a sink has not yet published what fills it,"
        " events go on, and the journal keeps what the file has to take, as it does for a sink that is down. If that"
        " lasts, the journal is full in the end, which is no longer about states alone: so `state_store_held` is 1,"
        " `state_store_lag_events` grows, and MQTT brokers are told `degraded`, because of the `state store`."
    )
    yield (
        "**What a sink never takes** is passed over, and counted in `state_rejected_total`: what is there stays as it"
        " was, also where its event goes out as a reference. It becomes no dead letter. Another `MAX_REQUEST_BYTES` or"
        " `MAX_PACKET_BYTES` publishes all states again. What the disk has spoilt is left out as well, and counted in"
        " `state_damaged_total`."
    )
