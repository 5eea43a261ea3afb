"""What the Kafka sink says of itself is what it hands over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract import sample
from bridge.errors import Rejected
from bridge.message import Message
from bridge.reference import reference
from sinks.kafka.config import KafkaConfig
from sinks.kafka.explanation import explain
from sinks.kafka.records import Record, record_of
from tests.unit.sinks.any_message import any_message
from tests.unit.sinks.kafka.reading import headers_of

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def config(**settings: object) -> KafkaConfig:
    return KafkaConfig.model_validate({"bootstrap_servers": "kafka:9092", "site": "shop", **settings})


@given(any_message(NAMES), st.booleans())
def test_an_explanation_is_the_record(message: Message, structured: bool) -> None:  # noqa: FBT001
    """Topic, key, value and headers, these in their order, as an independent reader finds them in the record."""
    by = config(ce_mode="structured" if structured else "binary")
    record = record_of(message, by.layout, structured_mode=structured)
    assert isinstance(record, Record)

    said = explain(by, message)

    assert (said.topic, said.key, said.payload) == (record.topic, record.key, record.value)
    assert [(name, text.encode()) for name, text in said.headers] == headers_of(record)


def test_a_reserved_topic_is_explained_as_refused() -> None:
    with pytest.raises(Rejected, match="reserved topic"):
        explain(config(), sample(1, resource="licence"))


def test_what_goes_without_its_body_is_explained_so() -> None:
    """As it is delivered: the reference, and its flags among the headers."""
    large = sample(1, body=b"x" * 1900)

    said = explain(config(max_request_bytes=2048, batch_bytes=1024, oversize="reference"), large)

    assert said.payload == reference(large)
    assert ("ce_bodyshed", "true") in said.headers


def test_what_is_too_large_is_explained_as_refused() -> None:
    """The same limit as in the delivery, the record's head and headers included."""
    limited = config(max_request_bytes=2048, batch_bytes=1024)

    assert explain(limited, sample(1)).payload == sample(1).body
    with pytest.raises(Rejected, match="MAX_REQUEST_BYTES is 2048") as refusal:
        explain(limited, sample(1, body=b"x" * 1900))
    assert (refusal.value.reason, refusal.value.target) == ("too_large", "portos.tickets")
