"""MQTT 5 as the sink speaks it, row by row, on two brokers of different making."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from bridge.contract import sample
from bridge.errors import Rejected
from bridge.message import attributes
from bridge.ports import OFFLINE, Notice, SinkActivity
from sinks.mqtt import plugin
from sinks.mqtt.announcing import AnnouncingMqttSink
from sinks.mqtt.config import MqttConfig
from tests.brokers.mqtt import MosquittoProgram
from tests.brokers.mqtt5 import MQTT_5, Mqtt5Broker, start_mqtt5
from tests.brokers.second_mqtt import HiveMq
from tests.delivery import delivering
from tests.oracle.notices import Heard, NoticeReader, kept
from tests.support import until

pytestmark = [pytest.mark.mqtt]

LIMITS = {
    "mosquitto": "max_inflight_messages 5\nmax_packet_size 5000",
    "hivemq": (
        "<mqtt><receive-maximum><server-receive-maximum>5</server-receive-maximum></receive-maximum>"
        "<packets><max-packet-size>5000</max-packet-size></packets></mqtt>"
    ),
}
ONLINE = Notice("state", b'{"state":"online"}')


@pytest.fixture(scope="module", params=MQTT_5)
def broker(request: pytest.FixtureRequest) -> Iterator[Mqtt5Broker]:
    """One broker for the whole file, which says in CONNACK what it takes; base topics are each test's own."""
    started = start_mqtt5(request.param, LIMITS[request.param])
    yield started
    started.close()


def config(broker: Mqtt5Broker, base: str, **settings: object) -> MqttConfig:
    return MqttConfig.model_validate({"url": broker.url, "base_topic": base, "client_id": base, **settings})


async def heard(reader: NoticeReader, number: int) -> list[Heard]:
    await until(lambda: len(reader.heard()) >= number, 10, f"{number} have arrived")
    return reader.heard()


async def test_an_event_says_what_it_is_in_properties(broker: Mqtt5Broker) -> None:
    """Content Type, user properties without prefix, QoS 1, not retained, the notification byte for byte."""
    event = sample(1, resource="mPOS Link")

    with NoticeReader(broker.host, broker.port, "row1") as reader:
        async with plugin.connect(config(broker, "row1")) as sink:
            assert await sink.deliver([event]) == [None]
        (found,) = await heard(reader, 1)

    assert (found.topic, found.payload) == ("resources/mPOS%20Link", event.body)
    assert (found.qos, found.kept, found.content_type, found.expiry_seconds) == (1, False, "application/json", None)
    assert found.attributes == dict(attributes(event, "default"))


@pytest.mark.parametrize(("in_seconds", "longest"), [(100.4, 101), (-5.0, 1)])
async def test_an_event_that_expires_says_when_and_is_delivered_all_the_same(
    broker: Mqtt5Broker, in_seconds: float, longest: int
) -> None:
    """Message Expiry Interval: what is left, in whole seconds, and one for what has expired already."""
    base = f"row2-{longest}"
    event = msgspec.structs.replace(sample(1), expires_at=time.time() + in_seconds)

    with NoticeReader(broker.host, broker.port, base) as reader:
        async with plugin.connect(config(broker, base)) as sink:
            assert await sink.deliver([event]) == [None]
        (found,) = await heard(reader, 1)

    assert found.expiry_seconds is not None
    assert longest - 2 <= found.expiry_seconds <= longest


async def test_nobody_listening_is_a_success(broker: Mqtt5Broker) -> None:
    """PUBACK 0x10 says that there is no subscriber, which is no fault of the event, and counted."""
    activity = SinkActivity()
    assert plugin.observed is not None
    async with plugin.observed(activity).connect(config(broker, "row3-nobody")) as sink:
        assert await sink.deliver([sample(1)]) == [None]

    assert activity.unheard_events == 1


async def test_receive_maximum_and_maximum_packet_size_are_kept(broker: Mqtt5Broker, tmp_path: Path) -> None:
    """As told in CONNACK: a window of five, and those that are too large are dead letters, without a reconnect."""
    messages = [
        sample(number, resource_id=f"{number}", body=b"x" * (9000 if number % 50 == 17 else 100))
        for number in range(300)
    ]

    with NoticeReader(broker.host, broker.port, "row4") as reader:
        async with delivering(tmp_path, plugin, config(broker, "row4")) as run:
            await run.append(messages)
            await run.settled(30)
        await heard(reader, 294)

    assert run.dead_letters() == {"too_large": 6}
    assert not run.lost


async def test_a_notice_above_the_maximum_packet_size_is_refused_before_it_is_sent(broker: Mqtt5Broker) -> None:
    """And the connection goes on."""
    large = Notice("info", b'"' + b"x" * 6000 + b'"')
    async with plugin.connect(config(broker, "row5")) as sink:
        assert isinstance(sink, AnnouncingMqttSink)
        refused, taken = [await sink.announce(notice) for notice in (large, ONLINE)]
        assert await sink.deliver([sample(1)]) == [None]
        assert await sink.announce(OFFLINE) is None

    assert isinstance(refused, Rejected)
    assert (refused.reason, taken) == ("too_large", None)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize(("last", "state"), [(ONLINE, "offline"), (OFFLINE, "offline"), (None, None)])
async def test_what_a_connection_leaves_behind_it(
    broker: Mqtt5Broker, version: str, last: Notice | None, state: str | None
) -> None:
    """`offline` where it was told that the bridge is there, by the will or by the bridge; of a check nothing."""
    base = f"row6-{version}-{state}-{last is ONLINE}"
    async with plugin.connect(config(broker, base, version=version)) as sink:
        assert isinstance(sink, AnnouncingMqttSink)
        if last is not None:
            assert await sink.announce(last) is None

    await until(lambda: _kept_state(broker, base) == state, 10, f"the state that is kept is {state}")


def _kept_state(broker: Mqtt5Broker, base: str) -> str | None:
    found = kept(broker.host, broker.port, base).get("bridge/state")
    return None if found is None else found.document["state"]


@pytest.fixture
def restricted() -> Iterator[Callable[[str, Path], Mqtt5Broker]]:
    """Start a broker that may be told to refuse topics."""
    brokers: list[Mqtt5Broker] = []

    def start(kind: str, rights: Path) -> Mqtt5Broker:
        brokers.append(start_mqtt5(kind, f"acl_file {rights}" if kind == "mosquitto" else ""))
        return brokers[-1]

    yield start
    for each in brokers:
        each.close()


@pytest.mark.parametrize("kind", MQTT_5)
async def test_a_topic_that_is_not_granted_holds_the_sink_until_it_is(
    restricted: Callable[[str, Path], Mqtt5Broker], kind: str, tmp_path: Path
) -> None:
    """PUBACK 0x87, or the end of the connection: nothing is dropped, and nothing more is done but to grant it."""
    rights = tmp_path / "acl"
    rights.write_text("topic read #\ntopic write row7/resources/orders\n")
    broker = restricted(kind, rights)
    if isinstance(broker, HiveMq):
        broker.deny("puback", "row7/resources/tickets")

    async with delivering(tmp_path, plugin, config(broker, "row7")) as run:
        await run.append([sample(number, resource=("tickets", "orders")[number % 2]) for number in range(100)])
        await until(lambda: run.link.held, 20, "the sink is held")
        if isinstance(broker, HiveMq):
            broker.deny("puback")
        else:
            _grant(broker, rights)
        await run.settled(20)

    assert run.dead_letters() == {}


def _grant(broker: MosquittoProgram, rights: Path) -> None:
    rights.write_text("topic readwrite #\n")
    broker.program.signal(signal.SIGHUP)
