"""What a resource's newest state is on MQTT, where it may lie, and what is asked of the broker first."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import MQTTProtocolVersion
from pydantic import ValidationError

from bridge.contract import sample
from bridge.errors import Rejected, Unavailable
from bridge.message import Message, structured
from bridge.ports import StateConnection
from sinks.mqtt import plugin, retaining
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.records import LARGEST_PACKET_BYTES, packet_builder
from sinks.mqtt.state import mark_of, mark_topic, state_packet_builder
from sinks.mqtt.state_topic import state_topics
from tests.unit.sinks.mqtt.fake_broker import FakeBroker, puback
from tests.unit.sinks.mqtt.reading import read

TEMPLATE = "{base}/state/{resource}/{resource_id}"
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def config(**values: object) -> MqttConfig:
    return MqttConfig.model_validate({"url": "mqtt://broker", "state_topic_template": TEMPLATE} | values)


def builder(**values: object) -> Callable[[Message, int, float], bytes]:
    return state_packet_builder(config(**values), LARGEST_PACKET_BYTES)


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_a_state_is_its_event_retained_on_another_topic(mode: str) -> None:
    event = read(packet_builder(config(ce_mode=mode), LARGEST_PACKET_BYTES)(sample(3), 7, 0.0))

    state = read(builder(ce_mode=mode)(sample(3), 7, 0.0))

    assert (state.payload, str(state.properties)) == (event.payload, str(event.properties))
    assert (state.topic.decode(), state.retain, state.qos) == (f"portos/state/tickets/{sample(3).resource_id}", True, 1)


def test_a_state_does_not_expire_with_its_event() -> None:
    """It is what is known until something newer is; when the event would have expired stands beside it."""
    expiring = msgspec.structs.replace(sample(3), expires_at=1.0)

    state = read(builder()(expiring, 7, 0.0))

    assert not hasattr(state.properties, "MessageExpiryInterval")
    assert "expirytime" in dict(state.properties.UserProperty)


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_a_delete_is_empty_and_says_what_it_is_about(mode: str) -> None:
    deleted = msgspec.structs.replace(sample(3), action="deleted", body=b"")

    state = read(builder(ce_mode=mode)(deleted, 7, 0.0))

    assert (state.payload, state.retain) == (b"", True)
    assert dict(state.properties.UserProperty)["resourceaction"] == "deleted"


def test_over_mqtt_3_a_state_is_one_document_and_a_delete_is_nothing() -> None:
    version = MQTTProtocolVersion.MQTTv311
    make = builder(version="3.1.1")

    state = read(make(sample(3), 7, 0.0), version)
    deleted = read(make(msgspec.structs.replace(sample(3), action="deleted", body=b""), 7, 0.0), version)

    assert state.payload == structured(sample(3), "default")
    assert (deleted.payload, deleted.retain) == (b"", True)


def test_a_state_above_the_brokers_limit_is_rejected() -> None:
    with pytest.raises(Rejected, match="50") as refused:
        state_packet_builder(config(), 50)(sample(3), 7, 0.0)

    assert (refused.value.reason, refused.value.target) == (
        "too_large",
        f"portos/state/tickets/{sample(3).resource_id}",
    )


@given(NAMES, NAMES, NAMES, NAMES)
def test_two_resources_never_share_a_topic(resource: str, identity: str, other: str, other_identity: str) -> None:
    topic = state_topics(TEMPLATE, "portos", "default")

    assert (topic(resource, identity) == topic(other, other_identity)) == (
        (resource, identity) == (other, other_identity)
    )
    assert topic(resource, identity).count(b"/") == 3
    assert not set(topic(resource, identity)) & set(b"+#$")


@pytest.mark.parametrize(
    ("template", "topic"),
    [
        (TEMPLATE, b"shops/state/tickets/17"),
        ("{base}/state/{site}/{resource_id}/of/{resource}", b"shops/state/s1/17/of/tickets"),
    ],
)
def test_a_state_topic_is_filled_in_level_by_level(template: str, topic: bytes) -> None:
    assert state_topics(template, "shops", "s1")("tickets", "17") == topic


@pytest.mark.parametrize(
    "template",
    [
        "{base}/resources/{resource}/{resource_id}",
        "portos/state/{resource}/{resource_id}",
        "{base}/state/{resource}",
        "{base}/state/{resource}{resource_id}",
        "{base}/state/{resource}/{resource}/{resource_id}",
        "{base}/state/{resource}/{resource_id}/{action}",
        "{base}/state//{resource}/{resource_id}",
        "{base}/state/+/{resource}/{resource_id}",
        "{base}/state/$SYS/{resource}/{resource_id}",
        "{base}/state/" + "x" * 1024 + "/{resource}/{resource_id}",
    ],
)
def test_a_state_topic_that_events_could_reach_or_resources_share_is_refused(template: str) -> None:
    with pytest.raises(ValidationError, match="state_topic_template"):
        config(state_topic_template=template)


def test_states_are_off_unless_there_is_a_topic() -> None:
    assert plugin.state is not None
    assert plugin.state(config(state_topic_template=None)) is None


class Retaining(FakeBroker):
    """Answers a subscription, and sends what it retains."""

    def __init__(self, retained: bytes | None, code: int = 0, connack: bytes = b"\x20\x03\x00\x00\x00") -> None:
        super().__init__(connack=connack)
        self._retained = retained
        self._code = code

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if data[0] >> 4 == 8:
            self.transport.write(b"\x90\x04" + data[2:4] + b"\x00" + bytes([self._code]))
            if self._retained is not None:
                topic = mark_topic(config()).encode()
                rest = len(topic).to_bytes(2, "big") + topic + b"\x00" + self._retained
                self.transport.write(b"\x31" + bytes([len(rest)]) + rest)


@asynccontextmanager
async def connection(broker: FakeBroker, **values: object) -> AsyncIterator[StateConnection]:
    assert plugin.state is not None
    topics = plugin.state(config(url=broker.url, **values))
    assert topics is not None
    async with asyncio.timeout(10), topics.connect() as connected:
        yield connected


async def refusal(broker: FakeBroker) -> Unavailable:
    with pytest.raises(Unavailable) as raised:
        async with connection(broker):
            pytest.fail("connected")
    return raised.value


@pytest.mark.parametrize("retained", [b"0123456789abcdef:42", None])
async def test_the_mark_is_read_before_anything_is_published(
    retained: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that has none says nothing, so that is waited for."""
    monkeypatch.setattr(retaining, "_MARK_SECONDS", 0.2)
    async with Retaining(retained) as broker, connection(broker) as connected:
        assert connected.mark is not None
        assert connected.mark.text == (retained or b"").decode()
        assert broker.bodies == []

        await connected.mark.keep("0123456789abcdef:43")

    assert broker.bodies == [b"\x02\x01\x010123456789abcdef:43"]


async def test_the_connection_for_states_has_a_name_of_its_own() -> None:
    """Else events and states would throw each other out."""
    async with Retaining(b"x:1") as broker, connection(broker):
        assert broker.connect.endswith(b"portos-bridge-default-state")


@pytest.mark.parametrize(
    ("message", "topic"),
    [(sample(3, resource_id="4711"), "portos/state/tickets/{resource_id}"), (mark_of("x:1"), "portos/bridge/marker")],
    ids=["state", "mark"],
)
async def test_a_state_that_is_refused_is_told_without_its_id(message: Message, topic: str) -> None:
    async with Retaining(b"x:1") as broker, connection(broker) as connected:
        broker.answer = lambda _, mid: puback(mid, 0x87)
        (outcome,) = await connected.sink.deliver([message])

    assert f"answered a PUBLISH to {topic} with reason code 0x87" in str(outcome)


async def test_a_broker_that_refuses_the_subscription_is_held() -> None:
    async with Retaining(None, code=0x87) as broker:
        error = await refusal(broker)

    assert error.hold
    assert "portos/bridge/marker" in str(error)


async def test_a_broker_that_retains_nothing_is_held() -> None:
    async with Retaining(None, connack=b"\x20\x05\x00\x00\x02\x25\x00") as broker:
        error = await refusal(broker)

    assert error.hold


@pytest.mark.parametrize("granted", [False, True], ids=["before SUBACK", "before the mark"])
async def test_a_connection_that_is_lost_meanwhile_is_told_as_that(
    granted: bool,  # noqa: FBT001
) -> None:
    """A mark that does not come for that is no lost mark: else all states would be published again."""

    class Leaving(FakeBroker):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if data[0] >> 4 == 8:
                if granted:
                    self.transport.write(b"\x90\x04" + data[2:4] + b"\x00\x00")
                    self.transport.close()
                else:
                    self.transport.abort()

    async with Leaving() as broker:
        error = await refusal(broker)

    assert error.reason in ("network", "server_close")


def test_the_mark_is_retained_text() -> None:
    mark = read(builder()(mark_of("x:1"), 7, 0.0))

    assert (mark.topic.decode(), mark.payload, mark.retain) == ("portos/bridge/marker", b"x:1", True)


async def test_a_state_that_is_too_large_is_rejected_and_never_a_reference() -> None:
    """Whatever becomes of its event: what is there stays as it was."""
    values = {"max_packet_bytes": 1_000, "oversize": "reference"}
    async with Retaining(b"x:1") as broker, connection(broker, **values) as connected:
        (outcome,) = await connected.sink.deliver([sample(0, body=b"x" * 2_000)])

    assert isinstance(outcome, Rejected)
    assert (outcome.reason, broker.bodies) == ("too_large", [])
