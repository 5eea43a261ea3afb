"""What a resource's newest state is in Kafka, and where it may lie."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiokafka.record.util import calc_crc32c
from pydantic import ValidationError

from bridge.contract import sample
from bridge.errors import Rejected
from bridge.ports import Sink
from sinks.kafka import KafkaConfig, plugin
from sinks.kafka.batch import Batch
from sinks.kafka.layout import Layout
from sinks.kafka.observation import Observation
from sinks.kafka.records import record_of
from sinks.kafka.sink import ToRecord, _KafkaSink
from sinks.kafka.state import state_record
from tests.unit.sinks.kafka.reading import headers_of, read
from tests.unit.sinks.kafka.test_sink import Producer

TEMPLATE = "portos.state.{resource}"


def config(**values: object) -> KafkaConfig:
    return KafkaConfig.model_validate({"bootstrap_servers": "kafka:9092"} | values)


@pytest.mark.parametrize("structured_mode", [False, True])
def test_a_state_is_its_event_on_another_topic(*, structured_mode: bool) -> None:
    event = record_of(sample(3), Layout(), structured_mode=structured_mode)

    state = state_record(sample(3), TEMPLATE, Layout(), structured_mode=structured_mode)

    assert msgspec.structs.replace(state, topic="portos.tickets") == event
    assert state.topic == "portos.state.tickets"


@pytest.mark.parametrize("structured_mode", [False, True])
def test_a_delete_is_a_tombstone_that_says_what_it_is_about(*, structured_mode: bool) -> None:
    """Consumers that see it before compaction does learn version and action from its headers."""
    deleted = msgspec.structs.replace(sample(3), action="deleted", body=b"")
    state = state_record(deleted, TEMPLATE, Layout(), structured_mode=structured_mode)
    batch = Batch(10**6, 1, calc_crc32c)
    batch.add(state)

    (found,) = read(batch)

    assert (found.key, found.value) == (state.key, None)
    assert dict(headers_of(state))["ce_resourceaction"] == b"deleted"


@pytest.mark.parametrize("template", [TEMPLATE, "portos.state.{site}.{resource}", "portos.state.shop-3.{resource}"])
def test_a_state_topic_may_name_the_site(template: str) -> None:
    assert config(state_topic_template=template).state_topic_template == template


@pytest.mark.parametrize(
    "template",
    [
        "portos.{resource}",
        "portos.states.{resource}",
        "portos.state.all",
        "portos.state.{resource}.{resource}",
        "portos.state.{resource}{site}",
        "portos.state.{resource_id}",
        "portos.state..{resource}",
        "portos.state.{resource}\n",
        "portos.state." + "x" * 40 + ".{resource}",
    ],
)
def test_a_state_topic_that_events_could_reach_or_resources_share_is_refused(template: str) -> None:
    with pytest.raises(ValidationError, match="state_topic_template"):
        config(state_topic_template=template)


def test_states_are_off_unless_there_is_a_topic() -> None:
    assert plugin.state is not None
    assert plugin.state(config()) is None


def test_another_topic_or_cluster_is_another_place() -> None:
    """It has no states yet, so all of them are published to it."""
    assert plugin.state is not None
    found = [
        plugin.state(config(**values))
        for values in (
            {"state_topic_template": TEMPLATE},
            {"state_topic_template": "portos.state.{site}.{resource}"},
            {"state_topic_template": TEMPLATE, "bootstrap_servers": "other:9092"},
            {"state_topic_template": TEMPLATE, "site": "shop"},
        )
    ]

    assert len({topics.target for topics in found if topics}) == 4


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, "portos-bridge-shop-1-state"), ({"transactional_id": "till-{site}"}, "till-shop-1-state")],
)
def test_states_always_have_a_transactional_id(settings: dict[str, str], expected: str) -> None:
    """Apart from that of the events, so that the two connections do not fence each other."""
    made = config(site="shop-1", **settings)

    assert made.state_fencing_id == expected
    assert made.state_fencing_id != made.fencing_id


async def test_a_state_that_is_too_large_is_rejected_and_never_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever becomes of its event: what is there stays as it was."""
    producer = Producer()
    producer.topics["portos.state.tickets"] = {0}

    @asynccontextmanager
    async def connect(given: KafkaConfig, seen: Observation, to_record: ToRecord, _: str) -> AsyncIterator[Sink]:
        yield _KafkaSink(producer, given, seen, to_record=to_record)

    monkeypatch.setattr("sinks.kafka.sink.connect", connect)
    assert plugin.state is not None
    topics = plugin.state(
        config(state_topic_template=TEMPLATE, batch_bytes=2_000, max_request_bytes=4_000, oversize="reference")
    )
    assert topics is not None

    async with topics.connect() as connected:
        (outcome,) = await connected.sink.deliver([sample(0, body=b"x" * 5_000)])

    assert isinstance(outcome, Rejected)
    assert (outcome.reason, producer.log) == ("too_large", [])
