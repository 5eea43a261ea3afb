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
from bridge.message import (
    DLQ_REDRIVEN,
    GAP_CLOSED,
    GAP_DETECTED,
    LICENCE_ACTIVATED,
    RESYNC_REQUIRED,
    Message,
    attributes,
)
from sinks.kafka.layout import GAPS_TOPIC, LICENCE_TOPIC, OTHER_TOPIC, Layout
from sinks.kafka.records import (
    Record,
    _any_headers,
    _ordinary_headers,
    letter_record,
    murmur2,
    partition_of,
    record_of,
)
from tests.unit.sinks.any_message import any_message, each_a_little_other
from tests.unit.sinks.kafka.reading import headers_of

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def record(message: Message, site: str = "default") -> Record:
    made = record_of(message, Layout(site))
    assert isinstance(made, Record)
    return made


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


def test_no_record_has_headers_of_another() -> None:
    """What records share is written once: what tells them apart is written for each."""
    for site in ("shop-1", "shop-2"):
        for message in each_a_little_other(sample(4)):
            pairs = [(f"ce_{name}", text.encode()) for name, text in attributes(message, site)]

            assert headers_of(record(message, site)) == [("content-type", b"application/json"), *pairs]


@given(any_message(NAMES))
def test_the_structured_mode_has_all_in_one_document(message: Message) -> None:
    """The same attributes, and the notification as they stand beside it otherwise; topic and key are the same."""
    binary, made = record(message), record_of(message, Layout(), structured_mode=True)
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
    layout = Layout("shop", "portos.x-{resource}", "{site}:{resource_id}")
    copy = letter_record(msgspec.structs.replace(message, flags=(*message.flags, *known)), "portos.bridge.dlq", layout)
    record = record_of(message, layout)
    assert isinstance(record, Record)

    assert copy.topic == "portos.bridge.dlq"
    assert (copy.key, copy.value) == (record.key, record.value)
    assert headers_of(copy) == [*headers_of(record), *((name, text.encode()) for name, text in known)]
