"""What the MQTT consumer reads out of a PUBLISH, against what paho-mqtt reads out of it."""

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.oracle.publication import Publication, publication

_TOPIC = b"\x00\x03a/b"


def _properties(**given: object) -> bytes:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it untyped
    for name, value in given.items():
        setattr(properties, name, value)
    return bytes(properties.pack())  # type: ignore[no-untyped-call]


def test_a_publication_is_read_with_all_that_paho_can_write() -> None:
    """Topic, identifier, attributes, content type and payload are found among every property a PUBLISH may have."""
    packed = _properties(
        PayloadFormatIndicator=1,
        MessageExpiryInterval=0x26030326,
        ContentType="application/json",
        ResponseTopic="answers/here",
        CorrelationData=b"\x26\x00\x03",
        SubscriptionIdentifier=200_000,
        TopicAlias=0x2626,
        UserProperty=[("id", "7"), ("subject", "žltý" * 50)],
    )

    read = publication(0b1010, _TOPIC + b"\x01\x02" + packed + b'{"e":1}')

    assert read == Publication(
        "a/b", 0x0102, {"id": "7", "subject": "žltý" * 50}, "application/json", b'{"e":1}', again=True
    )


def test_a_publication_of_qos_0_has_no_identifier() -> None:
    """Without QoS the properties follow the topic."""
    read = publication(0, _TOPIC + _properties(UserProperty=("id", "7")) + b"x")

    assert read == Publication("a/b", 0, {"id": "7"}, None, b"x", again=False)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x00\x05a/b",
        _TOPIC + b"\x00\x01",
        _TOPIC + b"\x00\x01\x03\x26\x00\x05ab",
        _TOPIC + b"\x00\x01\x02\x02\x00\x00\x00\x01x",
        _TOPIC + b"\x00\x01\x01\x7f",
        _TOPIC + b"\x00\x01\xff\xff\xff\xff\x01",
        _TOPIC + b"\x00\x01\x09\x01\x01",
    ],
    ids=[
        "nothing",
        "topic cut",
        "no properties",
        "property cut",
        "property too long",
        "no such property",
        "long length",
        "payload missing",
    ],
)
def test_what_is_no_publication_is_refused(packet: bytes) -> None:
    """A consumer that guessed would accuse the bridge."""
    with pytest.raises(ValueError, match=r"."):
        publication(0b0010, packet)
