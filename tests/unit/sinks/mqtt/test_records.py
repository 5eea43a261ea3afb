"""What a message becomes on MQTT, held against an independent reader of MQTT 5."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import MQTTProtocolVersion

from bridge.contract import sample
from bridge.errors import Rejected
from bridge.message import RESOURCES_CHANGED, Message, attributes, own_attributes, structured
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.records import (
    LARGEST_PACKET_BYTES,
    _ordinary_properties,
    _user_properties,
    acknowledged,
    packet_builder,
    packets,
)
from tests.unit.sinks.any_message import any_message, each_a_little_other
from tests.unit.sinks.mqtt.reading import read

NOW = 1_700_000_000.0
BODY = b'{"p": {"n": "tickets"}, "spacing":  "kept" }'


def message(
    resource: str | None = "tickets",
    resource_id: str | None = "17",
    event: str = RESOURCES_CHANGED,
    body: bytes = BODY,
    expires_at: float | None = None,
) -> Message:
    return Message(
        "dc7281b9-8649-5188-9589-a02f34042efb",
        event,
        resource,
        resource_id,
        4 if resource else None,
        "updated" if resource else None,
        NOW - 1,
        expires_at,
        NOW,
        body,
    )


def config(**settings: object) -> MqttConfig:
    return MqttConfig.model_validate({"url": "mqtt://broker", **settings})


def builder(**settings: object) -> Callable[[Message, int, float], bytes]:
    return packet_builder(config(**settings), LARGEST_PACKET_BYTES)


def test_a_packet_holds_topic_bytes_and_attributes() -> None:
    """An independent reader finds the topic, the untouched body, and every attribute as a user property."""
    event = message(expires_at=NOW + 10.2)

    found = read(builder(site="shop")(event, 513, NOW))

    assert (found.topic, found.mid, found.qos, found.dup, found.retain) == (
        b"portos/resources/tickets",
        513,
        1,
        False,
        False,
    )
    assert found.payload == BODY
    assert found.properties.UserProperty == list(attributes(event, "shop"))
    assert found.properties.ContentType == "application/json"
    assert found.properties.MessageExpiryInterval == 11


def test_no_packet_has_properties_of_another() -> None:
    """What packets share is written once: what tells them apart is written for each."""
    for site in ("shop-1", "shop-2"):
        for event in each_a_little_other(message()):
            assert read(builder(site=site)(event, 1, NOW)).properties.UserProperty == list(attributes(event, site))


@pytest.mark.parametrize(
    ("expires_at", "seconds"), [(NOW - 100, 1), (NOW, 1), (NOW + 0.1, 1), (NOW + 1e12, 0xFFFFFFFF)]
)
def test_an_expiry_stays_within_what_mqtt_takes(expires_at: float, seconds: int) -> None:
    """An event that has expired is still delivered, and one that hardly ever does fits the field."""
    found = read(builder()(message(expires_at=expires_at), 1, NOW))

    assert found.properties.MessageExpiryInterval == seconds


def test_an_event_without_expiry_has_no_expiry_property() -> None:
    """Without `ea` the broker may keep the event for ever."""
    assert not hasattr(read(builder()(message(), 1, NOW)).properties, "MessageExpiryInterval")


def test_mqtt_3_carries_one_document_alone() -> None:
    """MQTT 3.1.1 has no properties: attributes and notification, byte for byte, stand in the payload."""
    event = message(expires_at=NOW)
    found = read(builder(version="3.1.1")(event, 7, NOW), MQTTProtocolVersion.MQTTv311)

    assert (found.topic, found.mid, found.payload) == (b"portos/resources/tickets", 7, structured(event, "default"))
    assert BODY in found.payload


def test_the_structured_mode_has_all_in_the_payload() -> None:
    """Of the properties the content type says so, and the expiry is left, which is for the broker."""
    event = message(expires_at=NOW + 10)
    found = read(builder(ce_mode="structured")(event, 7, NOW))

    assert found.payload == structured(event, "default")
    assert found.properties.ContentType == "application/cloudevents+json"
    assert found.properties.MessageExpiryInterval == 10
    assert not hasattr(found.properties, "UserProperty")


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=400), st.text(max_size=400), st.binary(max_size=300))
def test_any_name_makes_a_packet_that_can_be_read(resource: str, resource_id: str, body: bytes) -> None:
    """Whatever names the hub sends, the packet is well formed and the attributes come out as they went in."""
    event = message(resource, resource_id, body=body)

    try:
        packet = builder()(event, 65_535, NOW)
    except Rejected as rejection:
        assert rejection.reason == "invalid"  # noqa: PT017 - a surrogate is the only name without a place
        return

    found = read(packet)
    levels = found.topic.decode().split("/")
    assert (levels[:2], len(levels)) == (["portos", "resources"], 3)
    assert levels[2]
    assert not set(found.topic) & set(b"+#$\x00")
    assert found.payload == body
    assert [tuple(pair) for pair in found.properties.UserProperty] == list(attributes(event, "default"))


def test_a_packet_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    """The limit is that of the whole packet, as the broker counts it."""
    size = len(builder()(message(), 1, NOW))

    assert len(packet_builder(config(), size)(message(), 1, NOW)) == size
    with pytest.raises(Rejected) as rejection:
        packet_builder(config(), size - 1)(message(), 1, NOW)
    assert (rejection.value.reason, rejection.value.target) == ("too_large", "portos/resources/tickets")


def test_an_attribute_that_no_string_of_mqtt_holds_is_rejected() -> None:
    """A resource id of more than 65,535 bytes is a dead letter and no broken packet."""
    with pytest.raises(Rejected) as rejection:
        builder()(message(resource_id="x" * 65_536), 1, NOW)

    assert rejection.value.reason == "too_large"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(min_size=0, max_size=200), max_size=10), st.integers(min_value=1, max_value=50))
def test_packets_are_found_however_they_are_cut(bodies: list[bytes], cut: int) -> None:
    """The stream may be cut anywhere: the same packets come out, in order."""
    sent = [
        b"\xd0" + (bytes([len(b)]) if len(b) < 128 else bytes([len(b) & 127 | 128, len(b) >> 7])) + b for b in bodies
    ]
    stream = b"".join(sent)
    found: list[bytes] = []
    rest = b""

    for start in range(0, len(stream), cut):
        whole, rest = packets(rest + stream[start : start + cut])
        found += whole

    assert (found, rest) == (sent, b"")


@pytest.mark.parametrize("stream", [b"\x40\xff\xff\xff\xff\x01", b"\x40\xff\xff\xff\x7f", b"\x20\x80\x80\x04"])
def test_a_length_that_no_answer_has_is_refused(stream: bytes) -> None:
    """A peer that is no broker cannot make the bridge collect a quarter of a gigabyte."""
    with pytest.raises(ValueError, match="a packet of"):
        packets(stream)


@pytest.mark.parametrize(
    ("packet", "found"),
    [
        (b"\x40\x02\x01\x02", (258, 0)),
        (b"\x40\x03\x01\x02\x87", (258, 0x87)),
        (b"\x40\x04\xff\xff\x10\x00", (65_535, 0x10)),
        (b"\x40\x81\x01\x00\x05\x80" + b"x" * 126, (5, 0x80)),
        (b"\x40\x01\x01", None),
        (b"\x40\x00", None),
        (b"\xd0\x00", None),
        (b"\x20\x03\x00\x00\x00", None),
    ],
)
def test_an_acknowledgement_is_told_from_other_packets(packet: bytes, found: tuple[int, int] | None) -> None:
    """A PUBACK gives identifier and reason code, whose absence means success; anything else is not ours to read."""
    assert acknowledged(packet) == found


@given(any_message(st.text(st.characters(exclude_categories=["Cs"]), max_size=150)))
def test_the_quick_way_to_write_properties_gives_what_the_general_one_does(message: Message) -> None:
    quick = _ordinary_properties(message)

    assert quick is None or quick == _user_properties(own_attributes(message))


def test_an_ordinary_change_takes_the_quick_way() -> None:
    assert _ordinary_properties(sample(4, resource_id="67c6c5a1f0b2d4e6a8091b2c")) is not None
