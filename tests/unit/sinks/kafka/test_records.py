"""What a message is in Kafka."""

import base64
import json

import msgspec
import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as murmur2_of_aiokafka
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract import sample
from bridge.errors import Rejected
from bridge.message import (
    DLQ_REDRIVEN,
    GAP_CLOSED,
    GAP_DETECTED,
    LICENCE_ACTIVATED,
    RESYNC_REQUIRED,
    Message,
    attributes,
)
from sinks.kafka.records import (
    GAPS_TOPIC,
    LICENCE_TOPIC,
    OTHER_TOPIC,
    Record,
    _any_headers,
    _ordinary_headers,
    is_reserved,
    letter_record,
    murmur2,
    partition_of,
    record_of,
    segment,
    topic_of,
)
from tests.unit.sinks.any_message import any_message
from tests.unit.sinks.kafka.reading import headers_of

TEMPLATE = "portos.{resource}"
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def record(message: Message, template: str = TEMPLATE, site: str = "default") -> Record:
    made = record_of(message, template, site)
    assert isinstance(made, Record)
    return made


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("tickets", "tickets"),
        ("mPOS Link", "mPOS-20Link"),
        ("a.b", "a-2Eb"),
        ("$SYS/x", "-24SYS-2Fx"),
        ("", "-"),
        ("-", "-2D"),
        ("Š", "-C5-A0"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 160 + "--84a0678c90937f5d"),
    ],
)
def test_a_name_becomes_a_legal_segment(name: str, encoded: str) -> None:
    """The vectors of the convention hold."""
    assert segment(name) == encoded


@given(st.lists(NAMES, unique=True, min_size=2, max_size=20))
def test_two_names_never_share_a_segment(names: list[str]) -> None:
    """Encoding is injective, also against names that look like encoded ones."""
    everything = set(names) | {segment(name) for name in names}

    assert len({segment(name) for name in everything}) == len(everything)


@given(NAMES)
def test_a_segment_is_legal_in_kafka(name: str) -> None:
    """Whatever the name, its segment has 1 to 200 characters of A-Z, a-z, 0-9 and '-'."""
    encoded = segment(name)

    assert 1 <= len(encoded) <= 200
    assert encoded.isascii()
    assert encoded.replace("-", "").isalnum() or not encoded.replace("-", "")


def test_a_record_carries_the_body_as_it_is() -> None:
    """The value is the body, the very bytes."""
    message = sample(4, body=b" {\n} ")

    assert record(message).value is message.body


def test_a_resource_chooses_topic_and_key() -> None:
    """The topic comes from the resource and the key is the resource id, unencoded."""
    made = record(sample(4, resource="mPOS Link", resource_id="a/b š"))

    assert (made.topic, made.key) == ("portos.mPOS-20Link", "a/b š".encode())


def test_headers_are_cloudevents_in_binary_mode() -> None:
    """Attributes have the prefix ce_, and the content type has its own lower-case header without it."""
    message = sample(4, resource_id="67c6")

    assert dict(headers_of(record(message, site="shop-1"))) == {
        "ce_specversion": b"1.0",
        "ce_id": message.id.encode(),
        "ce_source": b"/portos/shop-1",
        "ce_type": b"portos.resources.changed",
        "ce_subject": b"tickets/67c6",
        "ce_time": b"2026-01-01T00:00:00.004Z",
        "ce_recordedtime": b"2026-01-01T00:00:00.005Z",
        "ce_resourcename": b"tickets",
        "ce_resourceid": b"67c6",
        "ce_resourceversion": b"4",
        "ce_resourceaction": b"updated",
        "content-type": b"application/json",
    }


@given(any_message(NAMES))
def test_the_structured_mode_has_all_in_one_document(message: Message) -> None:
    """The same attributes, and the notification as they stand beside it otherwise; topic and key are the same."""
    binary, made = record(message), record_of(message, TEMPLATE, "default", structured_mode=True)
    assert isinstance(made, Record)

    document = json.loads(made.value)
    body = document.pop("data_base64", None)
    data = json.loads(message.body) if body is None else base64.b64decode(body)

    assert headers_of(made) == [("content-type", b"application/cloudevents+json")]
    assert document.pop("datacontenttype") == "application/json"
    assert document.pop("data", data) == data
    assert document == dict(attributes(message, "default"))
    assert (made.topic, made.key) == (binary.topic, binary.key)


@pytest.mark.parametrize(
    ("event", "topic"),
    [
        (LICENCE_ACTIVATED, LICENCE_TOPIC),
        ("portos.weather", OTHER_TOPIC),
        ("portos.bridge.unheard.of", OTHER_TOPIC),
        (RESYNC_REQUIRED, GAPS_TOPIC),
        (GAP_DETECTED, GAPS_TOPIC),
        (GAP_CLOSED, GAPS_TOPIC),
        (DLQ_REDRIVEN, GAPS_TOPIC),
    ],
)
def test_events_without_a_resource_have_topics_of_their_own(event: str, topic: str) -> None:
    """A licence goes to its topic and anything unknown to one that no resource can reach, both by site."""
    message = Message("id", event, None, None, None, None, 1.0, None, 2.0, b"{}")

    made = record(message, site="shop-1")

    assert (made.topic, made.key) == (topic, b"shop-1")
    assert dict(headers_of(made))["ce_type"] == event.encode()


@pytest.mark.parametrize(
    ("template", "resource"),
    [
        ("portos.{resource}", "licence"),
        ("portos.{resource}.events", "bridge"),
        ("portos.{resource}.x", "state"),
    ],
)
def test_a_name_cannot_address_a_reserved_topic(template: str, resource: str) -> None:
    """A resource that would land on a topic of the bridge's own is rejected, with the reason."""
    made = record_of(sample(1, resource=resource), template, "default")

    assert isinstance(made, Rejected)
    assert (made.reason, made.target) == ("reserved_topic", topic_of(template, "default", resource))


@given(NAMES)
def test_no_name_at_all_reaches_a_reserved_topic(name: str) -> None:
    """With the default template only the name `licence` leads to a reserved topic."""
    assert is_reserved(topic_of(TEMPLATE, "default", name)) == (name == "licence")


def test_what_is_filled_in_is_not_a_template() -> None:
    """A resource that is named like a placeholder stays a name."""
    assert topic_of("a.{site}.{resource}", "shop", "{site}") == "a.shop.-7Bsite-7D"


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_keys_hash_as_in_java(key: bytes, hashed: int) -> None:
    """The vectors of Kafka's UtilsTest.testMurmur2 hold."""
    assert murmur2(key) == hashed & 0xFFFFFFFF


@given(st.binary(max_size=80), st.integers(1, 50))
def test_partitions_are_those_of_the_client_library(key: bytes, partitions: int) -> None:
    """Our quicker hash and aiokafka's choose the same partition for every key."""
    assert murmur2(key) == murmur2_of_aiokafka(key)
    assert partition_of(key, partitions) == DefaultPartitioner()(key, list(range(partitions)), [])


@given(any_message(NAMES))
def test_the_quick_way_to_write_headers_gives_what_the_general_one_does(message: Message) -> None:
    quick = _ordinary_headers(message, "shop-1")

    assert quick is None or quick == _any_headers(message, "shop-1")


def test_an_ordinary_change_takes_the_quick_way() -> None:
    assert _ordinary_headers(sample(4, resource_id="67c6c5a1f0b2d4e6a8091b2c"), "default") is not None


@given(any_message(NAMES))
def test_a_copy_of_a_dead_letter_is_its_record_with_what_is_known_of_it_behind(message: Message) -> None:
    """On the topic of the copies, whatever topic the event has: key, value and headers are the event's."""
    known = (("bridge-dlq-reason", "too_large"), ("bridge-dlq-error", "příliš velké"))
    copy = letter_record(msgspec.structs.replace(message, flags=(*message.flags, *known)), "portos.bridge.dlq", "shop")
    record = record_of(message, "portos.x-{resource}", "shop")
    assert isinstance(record, Record)

    assert copy.topic == "portos.bridge.dlq"
    assert (copy.key, copy.value) == (record.key, record.value)
    assert headers_of(copy) == [*headers_of(record), *((name, text.encode()) for name, text in known)]
