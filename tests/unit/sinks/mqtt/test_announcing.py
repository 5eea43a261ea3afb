"""What a broker is told of the bridge on one connection, and what it says for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bridge.contract import sample
from bridge.errors import Rejected, Unavailable
from bridge.ports import OFFLINE, Announcer, Notice
from sinks.mqtt import plugin
from sinks.mqtt.announcing import AnnouncingMqttSink
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.notices import notice_packet
from sinks.mqtt.records import LARGEST_PACKET_BYTES
from tests.support import until
from tests.unit.sinks.mqtt.fake_broker import DISCONNECT, FakeBroker, puback

ONLINE = Notice("state", b'{"state":"online"}')
INFO = Notice("info", b'{"version":"1"}')
HEALTH = Notice("health", b"{}", kept=False)
JSON = b"\x13\x03\x00\x10application/json"
ACCEPTED_3 = b"\x20\x02\x00\x00"
WITH_WILL = [b"\x04"]


@asynccontextmanager
async def connected(broker: FakeBroker, **settings: object) -> AsyncIterator[AnnouncingMqttSink]:
    async with asyncio.timeout(10), plugin.connect(MqttConfig.model_validate({"url": broker.url, **settings})) as sink:
        assert isinstance(sink, AnnouncingMqttSink)
        yield sink


async def test_the_will_is_retained_confirmed_and_says_offline() -> None:
    """CONNECT of MQTT 5 (3.1.2, 3.1.3): will, QoS 1, retained; its content type; its topic; what it says."""
    async with FakeBroker() as broker, connected(broker, base_topic="shops/{site}", site="a"):
        will = JSON + b"\x00\x14shops/a/bridge/state"

    assert broker.connect[7] == 0b0010_1110
    assert broker.connect.endswith(will + b"\x00\x13" + b'{"state":"offline"}')


async def test_the_will_of_mqtt_3_says_the_same() -> None:
    """Without properties, which 3.1.1 has not."""
    async with FakeBroker(connack=ACCEPTED_3) as broker, connected(broker, version="3.1.1"):
        pass

    assert broker.connect[7] == 0b0010_1110
    assert broker.connect.endswith(b"\x00\x13portos/bridge/state" + b"\x00\x13" + b'{"state":"offline"}')


async def test_notices_are_published_in_their_order_and_retained_as_they_ask() -> None:
    """With QoS 1 and their content type, each confirmed when it is told."""
    async with FakeBroker() as broker, connected(broker) as sink:
        assert [await sink.announce(notice) for notice in (ONLINE, INFO, HEALTH)] == [None, None, None]

    assert broker.published == [
        (0x33, "portos/bridge/state", JSON + ONLINE.body),
        (0x33, "portos/bridge/info", JSON + INFO.body),
        (0x32, "portos/bridge/health", JSON + HEALTH.body),
    ]
    assert broker.peak == 1


async def test_what_is_refused_is_said_of_that_notice_alone_and_the_connection_goes_on() -> None:
    """A bridge with rights for its events alone still delivers them."""
    broker = FakeBroker(answer=lambda number, mid: puback(mid, 0x87 if number == 0 else 0))
    async with broker, connected(broker) as sink:
        refused, taken = [await sink.announce(notice) for notice in (ONLINE, INFO)]
        assert await sink.deliver([sample(1)]) == [None]

    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.target) == ("unauthorized", "portos/bridge/state")
    assert "grant the topic" in str(refused)
    assert taken is None


async def test_nobody_listening_to_a_notice_is_a_success() -> None:
    """The broker keeps it all the same (reason code 0x10)."""
    async with FakeBroker(answer=lambda _, mid: puback(mid, 0x10)) as broker, connected(broker) as sink:
        assert await sink.announce(ONLINE) is None


async def test_a_broker_that_retains_nothing_is_not_asked_to() -> None:
    """Retain Available 0 of CONNACK (5.0, 3.2.2.3.5): a retained message would end the connection."""
    async with FakeBroker(connack=b"\x20\x05\x00\x00\x02\x25\x00") as broker, connected(broker) as sink:
        await sink.announce(ONLINE)

    assert broker.published == [(0x32, "portos/bridge/state", JSON + ONLINE.body)]


async def test_a_notice_that_is_too_large_for_the_broker_is_not_sent() -> None:
    """Maximum Packet Size of CONNACK (5.0, 3.2.2.3.6): one byte more would end the connection."""
    size = len(notice_packet(MqttConfig(url="mqtt://broker"), INFO, LARGEST_PACKET_BYTES, 1, retained=True))
    for limit in (size - 1, size):
        connack = b"\x20\x08\x00\x00\x05\x27" + limit.to_bytes(4, "big")
        async with FakeBroker(connack=connack) as broker, connected(broker) as sink:
            outcome = await sink.announce(INFO)

        assert (outcome is None) == (limit == size)
        assert len(broker.published) == (limit == size)


async def test_a_connection_that_ends_while_it_is_told_is_unavailable() -> None:
    """As in a delivery; and no sooner is anything told over it again."""
    async with FakeBroker(answer=lambda _number, _mid: b"\xe0\x02\x87\x00") as broker, connected(broker) as sink:
        for _ in range(2):
            with pytest.raises(Unavailable) as raised:
                await sink.announce(ONLINE)

    assert raised.value.reason == "unauthorized"
    assert len(broker.published) == 1


@pytest.mark.parametrize(
    ("told", "refused", "left"),
    [
        ([], False, [b""]),
        ([ONLINE], False, WITH_WILL),
        ([ONLINE, OFFLINE], False, [b""]),
        ([ONLINE, OFFLINE], True, WITH_WILL),
        ([ONLINE, OFFLINE, ONLINE], False, WITH_WILL),
    ],
)
async def test_the_broker_says_offline_unless_that_was_told(
    told: list[Notice],
    refused: bool,  # noqa: FBT001
    left: list[bytes],
) -> None:
    """DISCONNECT deletes the will (5.0, 3.14.4), so it asks for it where the last word was that the bridge is there."""
    code = 0x80 if refused else 0
    async with FakeBroker(answer=lambda number, mid: puback(mid, code if number == 1 else 0)) as broker:
        async with connected(broker) as sink:
            for notice in told:
                await sink.announce(notice)
        await broker.closed.wait()

    assert broker.disconnects == left


async def test_over_mqtt_3_there_is_no_disconnect_where_the_broker_should_say_offline() -> None:
    """It would delete the will (3.1.1, 3.14.4)."""
    for told, seen in (([ONLINE], False), ([ONLINE, OFFLINE], True)):
        async with FakeBroker(connack=ACCEPTED_3) as broker:
            async with connected(broker, version="3.1.1") as sink:
                for notice in told:
                    await sink.announce(notice)
            await broker.closed.wait()

        assert (DISCONNECT in broker.seen) == seen


async def test_the_last_word_comes_behind_a_delivery_that_was_cancelled_and_nothing_after_it() -> None:
    """What the broker answers late sends no further event: nobody would settle it."""
    async with FakeBroker(answer=lambda number, mid: b"" if number < 2 else puback(mid)) as broker:
        async with connected(broker, window_events=2) as sink:
            sink._window = 2
            batch = [sample(number, resource_id=str(number)) for number in range(10)]
            task = asyncio.create_task(sink.deliver(batch))
            await until(lambda: len(broker.published) == 2, 5, "a window is on its way")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            broker.transport.write(puback(1) + puback(2))
            assert await sink.announce(OFFLINE) is None
        await broker.closed.wait()

    assert [topic for _, topic, _ in broker.published[2:]] == ["portos/bridge/state"]


async def test_a_notice_is_no_proof_for_the_window() -> None:
    """A connection still begins with one event on its way, whatever was told before."""
    async with FakeBroker() as broker, connected(broker) as sink:
        for notice in (ONLINE, INFO, HEALTH):
            await sink.announce(notice)
        assert sink._window == 1


async def test_without_announce_there_is_no_will_and_nothing_to_be_told() -> None:
    """For a broker that lets the bridge write its events alone."""
    async with FakeBroker() as broker, plugin.connect(MqttConfig(url=broker.url, announce=False)) as sink:
        assert not isinstance(sink, Announcer)

    assert broker.connect[7] == 0b0000_0010
