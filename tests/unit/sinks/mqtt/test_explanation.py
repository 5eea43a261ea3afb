"""What the MQTT sink says of itself is what it hands over."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract import sample
from bridge.errors import Rejected
from bridge.message import Message, structured
from bridge.ports import Explanation
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.explanation import explain
from sinks.mqtt.records import LARGEST_PACKET_BYTES, packet_builder
from tests.unit.sinks.any_message import any_message
from tests.unit.sinks.mqtt.reading import read

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def config(**settings: object) -> MqttConfig:
    return MqttConfig.model_validate({"url": "mqtt://broker", "site": "shop", **settings})


def explained(by: MqttConfig, message: Message) -> Explanation | None:
    with suppress(Rejected):
        return explain(by, message)
    return None


def packet(by: MqttConfig, message: Message) -> bytes | None:
    with suppress(Rejected):
        return packet_builder(by, LARGEST_PACKET_BYTES)(message, 1, message.received_at)
    return None


@given(any_message(NAMES), st.sampled_from(["binary", "structured"]))
def test_an_explanation_is_the_packet(message: Message, mode: str) -> None:
    """Topic, payload and properties, these in their order, as an independent reader finds them in the packet."""
    by = config(topic_template="{base}/{resource}/{resource_id}/{action}", ce_mode=mode)
    said, sent = explained(by, message), packet(by, message)

    assert (said is None) == (sent is None)
    if said is not None and sent is not None:
        found = read(sent)
        expiry = getattr(found.properties, "MessageExpiryInterval", None)
        named = [("Content Type", found.properties.ContentType)]
        named += [("Message Expiry Interval", str(expiry))] if expiry is not None else []
        assert (said.topic.encode(), said.key, said.payload) == (found.topic, None, found.payload)
        assert list(said.headers) == [*named, *getattr(found.properties, "UserProperty", [])]


def test_mqtt_3_has_no_properties_to_explain() -> None:
    said = explain(config(version="3.1.1"), sample(1))

    assert said == Explanation("portos/resources/tickets", structured(sample(1), "shop"))


def test_what_is_larger_than_the_settings_allow_is_explained_as_refused() -> None:
    with pytest.raises(Rejected, match="takes packets of 300"):
        explain(config(max_packet_bytes=300), sample(1, body=b"x" * 300))
