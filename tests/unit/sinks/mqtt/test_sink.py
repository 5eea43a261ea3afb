"""One connection of the MQTT sink against a broker that misbehaves on demand."""

import asyncio
import importlib.metadata
import inspect
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import pytest
from paho.mqtt.client import Client

from bridge.contract import sample
from bridge.errors import Rejected, Unavailable
from bridge.ports import Outcome, Shed, Sink, SinkActivity
from bridge.reference import reference
from sinks.mqtt import plugin
from sinks.mqtt import sink as module
from tests.support import free_port, until
from tests.unit.sinks.mqtt.fake_broker import DISCONNECT, PINGREQ, PUBLISH, FakeBroker, puback

BATCH = [sample(number) for number in range(20)]


def connection(broker: FakeBroker, **settings: object) -> AbstractAsyncContextManager[Sink]:
    return plugin.connect(plugin.config.model_validate({"url": broker.url, **settings}))


async def delivered(broker: FakeBroker, **settings: object) -> Sequence[Outcome]:
    async with asyncio.timeout(10), connection(broker, **settings) as sink:
        return await sink.deliver(BATCH)


async def refusal(broker: FakeBroker, **settings: object) -> Unavailable:
    with pytest.raises(Unavailable) as raised:
        async with asyncio.timeout(10), connection(broker, **settings):
            pytest.fail("connected")
    return raised.value


async def test_a_session_is_new_and_under_the_same_name() -> None:
    """CONNECT asks for a clean start and names the same client every time; the expiry of the session stays 0."""
    connects = []
    for _ in range(2):
        async with FakeBroker() as broker, connection(broker, site="shop", keepalive_seconds=77, announce=False):
            connects.append(broker.connect)

    assert connects == [b"\x00\x04MQTT\x05\x02\x00\x4d" + b"\x00" + b"\x00\x12portos-bridge-shop"] * 2


async def test_what_nobody_is_subscribed_to_is_delivered_and_counted() -> None:
    """Over all connections, in what the bridge shows as a metric; PUBACK 0x10 says so."""
    activity = SinkActivity()
    assert plugin.observed is not None
    observed = plugin.observed(activity)

    for _ in range(2):
        async with FakeBroker(answer=lambda number, mid: puback(mid, 0x10 if number % 2 else 0)) as broker:
            config = plugin.config.model_validate({"url": broker.url})
            async with asyncio.timeout(10), observed.connect(config) as sink:
                assert await sink.deliver(BATCH) == [None] * len(BATCH)

    assert activity.unheard_events == len(BATCH)


async def test_a_session_of_mqtt_3_is_new_as_well() -> None:
    """Over MQTT 3.1.1 CONNECT asks for a clean session."""
    async with FakeBroker(connack=b"\x20\x02\x00\x00") as broker, connection(broker, version="3.1.1", announce=False):
        pass

    assert broker.connect == b"\x00\x04MQTT\x04\x02\x00\x1e" + b"\x00\x15portos-bridge-default"


async def test_it_delivers_where_there_is_no_quick_acknowledgement(monkeypatch: pytest.MonkeyPatch) -> None:
    """TCP_QUICKACK is Linux's alone; elsewhere the sink is slower, and works."""
    monkeypatch.setattr(module, "_QUICK_ACK", None)

    async with FakeBroker() as broker:
        assert await delivered(broker) == [None] * len(BATCH)


async def test_user_name_and_password_are_sent() -> None:
    """CONNECT carries the credentials when they are set."""
    async with FakeBroker() as broker, connection(broker, username="bridge", password="canary"):
        pass

    assert broker.connect.endswith(b"\x00\x06bridge\x00\x06canary")


@pytest.mark.parametrize(("code", "hold"), [(0x80, False), (0x87, True), (0x97, True), (0x91, False)])
async def test_a_refused_publish_gives_up_what_is_not_sent_yet(code: int, hold: bool) -> None:  # noqa: FBT001
    """After a refusal that is to be retried nothing more is sent, and only the refused message may be buried for it."""
    async with FakeBroker(answer=lambda number, mid: puback(mid, code if number == 7 else 0)) as broker:
        outcomes = await delivered(broker, window_events=3)

    unsent = outcomes[10:]
    assert outcomes[:7] == [None] * 7
    assert (outcomes[7].hold, outcomes[7].bury_after) == (hold, 3 if code == 0x80 else None)
    assert {(type(outcome), outcome.hold, outcome.bury_after) for outcome in unsent} == {(Unavailable, hold, None)}
    assert len(broker.bodies) <= 10


async def test_a_missing_right_is_named_with_its_topic() -> None:
    async with FakeBroker(answer=lambda _, mid: puback(mid, 0x87)) as broker:
        outcomes = await delivered(broker)

    said = "answered a PUBLISH to portos/resources/tickets with reason code 0x87; not authorized; grant the topic"
    assert said in str(outcomes[0])


@pytest.mark.parametrize("code", [0x90, 0x99])
async def test_a_publish_refused_for_good_costs_no_neighbour(code: int) -> None:
    """The refused message is rejected, all others are delivered over the same connection."""
    async with FakeBroker(answer=lambda number, mid: puback(mid, code if number == 7 else 0)) as broker:
        outcomes = await delivered(broker, window_events=3)

    assert isinstance(outcomes[7], Rejected)
    assert [*outcomes[:7], *outcomes[8:]] == [None] * 19


async def test_no_subscriber_is_a_success() -> None:
    """The broker has the event, whether anybody listens or not."""
    async with FakeBroker(answer=lambda _, mid: puback(mid, 0x10)) as broker:
        assert await delivered(broker) == [None] * 20


async def test_the_broker_s_receive_maximum_bounds_the_window() -> None:
    """A broker that takes five at a time never has six in flight."""
    async with FakeBroker(connack=b"\x20\x06\x00\x00\x03\x21\x00\x05") as broker:
        outcomes = await delivered(broker, window_events=100)

    assert (outcomes, len(broker.bodies)) == ([None] * 20, 20)
    assert broker.peak <= 5


async def test_the_window_bounds_what_is_in_flight() -> None:
    """Without a word of the broker the own window holds."""
    async with FakeBroker() as broker:
        await delivered(broker, window_events=4)

    assert broker.peak <= 4


async def test_a_broker_that_cannot_name_a_limit_gets_a_hundred_at_once() -> None:
    """Over MQTT 3.1.1, whatever the window is."""
    batch = [sample(number, resource_id=str(number)) for number in range(1000)]
    older = FakeBroker(connack=b"\x20\x02\x00\x00")
    async with asyncio.timeout(10), older as broker, connection(broker, version="3.1.1", window_events=500) as sink:
        outcomes = await sink.deliver(batch)

    assert outcomes == [None] * 1000
    assert 50 < broker.peak <= 100


async def test_a_broker_that_names_no_limit_gets_a_window_at_once() -> None:
    """MQTT 5 takes that for 65,535 (3.2.2.3.3)."""
    batch = [sample(number, resource_id=str(number)) for number in range(1000)]
    async with asyncio.timeout(10), FakeBroker() as broker, connection(broker, window_events=500) as sink:
        outcomes = await sink.deliver(batch)

    assert outcomes == [None] * 1000
    assert 100 < broker.peak <= 500


async def test_a_window_that_is_smaller_bounds_it_over_the_older_version_too() -> None:
    batch = [sample(number, resource_id=str(number)) for number in range(100)]
    older = FakeBroker(connack=b"\x20\x02\x00\x00")
    async with asyncio.timeout(10), older as broker, connection(broker, version="3.1.1", window_events=20) as sink:
        await sink.deliver(batch)

    assert broker.peak <= 20


async def test_the_window_slides() -> None:
    """One missing acknowledgement does not keep the rest of the window from being used."""
    held: list[int] = []

    def answer(number: int, mid: int) -> bytes:
        if number == 1:
            held.append(mid)
            return b""
        return puback(mid) + (puback(held[0]) if number == 19 else b"")

    async with FakeBroker(answer=answer) as broker, connection(broker, window_events=2) as sink:
        async with asyncio.timeout(10):
            assert await sink.deliver([sample(number, resource_id=f"{number}") for number in range(20)]) == [None] * 20


async def test_the_window_opens_with_each_confirmation() -> None:
    """A connection begins with one message, so that what ended the last one is alone in the next."""
    peaks: list[int] = []

    def answer(_number: int, mid: int) -> bytes:
        peaks.append(broker.peak)
        return puback(mid)

    async with FakeBroker(answer=answer) as broker, connection(broker, window_events=8) as sink:
        await sink.deliver([sample(number, resource_id=f"{number}") for number in range(50)])

    assert peaks[:3] == [1, 2, 2]
    assert broker.peak <= 8
    assert sink._window == 8


@pytest.mark.parametrize("resource_ids", ["abc", "aaa"], ids=["of three resources", "of one"])
async def test_a_packet_above_the_broker_s_limit_is_never_sent(resource_ids: str) -> None:
    """What the broker would close the connection for is rejected, and its neighbours are delivered."""
    batch = [sample(number, resource_id=identity) for number, identity in enumerate(resource_ids)]
    batch[1] = sample(1, resource_id=resource_ids[1], body=b"x" * 2000)
    async with FakeBroker(connack=b"\x20\x08\x00\x00\x05\x27\x00\x00\x03\xe8") as broker, connection(broker) as sink:
        outcomes = await asyncio.wait_for(sink.deliver(batch), 10)

    assert isinstance(outcomes[1], Rejected)
    assert (outcomes[0], outcomes[1].reason, outcomes[2]) == (None, "too_large", None)
    assert len(broker.bodies) == 2


async def test_a_packet_above_the_limit_goes_as_a_reference() -> None:
    """Its outcome says so, and its neighbours' do not."""
    batch = [sample(number, resource_id="a", body=b"x" * (2_000 if number == 1 else 10)) for number in range(3)]
    async with FakeBroker() as broker, connection(broker, max_packet_bytes=1_000, oversize="reference") as sink:
        outcomes = await asyncio.wait_for(sink.deliver(batch), 10)

    assert [type(outcome) for outcome in outcomes] == [type(None), Shed, type(None)]
    assert broker.bodies[1].endswith(reference(batch[1]))


async def test_a_reference_above_the_limit_is_rejected() -> None:
    """There is nothing shorter; its neighbours are delivered over the same connection."""
    batch = [
        sample(number, resource_id=identity, body=b"x" * size)
        for number, (identity, size) in enumerate([("a", 9), ("b" * 900, 2_000), ("a", 9)])
    ]
    async with FakeBroker() as broker, connection(broker, max_packet_bytes=1_000, oversize="reference") as sink:
        outcomes = await asyncio.wait_for(sink.deliver(batch), 10)

    assert [type(outcome) for outcome in outcomes] == [type(None), Rejected, type(None)]


@pytest.mark.parametrize(("together", "blamed"), [(1, 3), (2, None)])
async def test_who_is_not_alone_is_not_blamed_for_a_disconnect(together: int, blamed: int | None) -> None:
    """With two on their way nobody knows of which of them the broker speaks."""
    waiting: list[int] = []

    def answer(number: int, mid: int) -> bytes:
        if number < 4:
            return puback(mid)
        waiting.append(mid)
        return b"\xe0\x02\x99\x00" if len(waiting) == together else b""

    async with FakeBroker(answer=answer) as broker, connection(broker) as sink:
        await sink.deliver([sample(number, resource_id=f"{number}") for number in range(4)])
        last = [sample(number, resource_id=f"{number}") for number in range(4, 4 + together)]
        outcomes = await asyncio.wait_for(sink.deliver(last), 10)

    assert len(waiting) == together
    assert [isinstance(one, Unavailable) and one.bury_after for one in outcomes] == [blamed] * together


async def test_the_own_limit_holds_where_the_broker_has_none() -> None:
    """MAX_PACKET_BYTES bounds what is sent to a broker that sets no limit."""
    async with FakeBroker() as broker, connection(broker, max_packet_bytes=100) as sink:
        outcomes = await sink.deliver([sample(0)])

    assert isinstance(outcomes[0], Rejected)


async def test_a_connection_cut_within_a_window_leaves_the_rest_open() -> None:
    """What was confirmed before the cut is delivered, all else is not known, and the sink is of no more use."""

    def answer(number: int, mid: int) -> bytes:
        if number < 5:
            return puback(mid)
        broker.transport.close()
        return b""

    async with FakeBroker(answer=answer) as broker, asyncio.timeout(10), connection(broker, window_events=10) as sink:
        outcomes = await sink.deliver(BATCH)
        with pytest.raises(Unavailable):
            await sink.deliver(BATCH)

    assert outcomes[:5] == [None] * 5
    assert {outcome.reason for outcome in outcomes[5:]} == {"server_close"}


async def test_an_acknowledgement_of_nothing_is_ignored() -> None:
    """A packet identifier that is not in flight confirms nothing and does no harm."""
    async with FakeBroker(answer=lambda _, mid: puback(mid + 1000, 0x87) + puback(mid) + puback(mid)) as broker:
        assert await delivered(broker, window_events=1) == [None] * 20


async def test_packets_may_come_in_pieces() -> None:
    """An acknowledgement cut anywhere by the network is put together again."""
    async with (
        FakeBroker(answer=lambda number, mid: b"" if number else puback(mid)) as broker,
        connection(broker) as sink,
    ):
        await sink.deliver(BATCH[2:3])
        delivery = asyncio.create_task(sink.deliver(BATCH[:2]), name="deliver")
        await until(lambda: len(broker.bodies) == 3, 5, "both were published")
        for byte in puback(2) + puback(3):
            broker.transport.write(bytes([byte]))
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            assert await delivery == [None, None]


async def test_another_client_of_the_same_name_is_named_as_the_reason() -> None:
    """A session taken over says so, asks for a long pause, and is held if that goes on."""
    async with FakeBroker(answer=lambda _number, _mid: b"\xe0\x02\x8e\x00") as broker:
        outcomes = await delivered(broker)

    assert {(outcome.reason, outcome.slowly, outcome.hold_after) for outcome in outcomes} == {("taken_over", True, 1)}


async def test_what_is_no_mqtt_ends_the_connection() -> None:
    """Bytes that no broker sends end the connection, whichever layer stumbles over them."""
    for garbage in (b"\x40\xff\xff\xff\xff", b"\x00\x00", b"\xe0\x01\x01", b"\x40\x01\x01"):
        async with FakeBroker(answer=lambda _number, _mid, sent=garbage: sent) as broker:
            outcomes = await delivered(broker)

        assert {type(outcome) for outcome in outcomes} == {Unavailable}, garbage


@pytest.mark.parametrize(
    ("connack", "version"),
    [
        (b"\x20\x03\x00\x86\x00", "5"),
        (b"\x20\x03\x00\x87\x00", "5"),
        (b"\x20\x02\x00\x04", "3.1.1"),
        (b"\x20\x02\x00\x05", "3.1.1"),
    ],
)
async def test_a_wrong_password_is_held(connack: bytes, version: str) -> None:
    """A refused login waits for an operator, over either version of the protocol."""
    async with FakeBroker(connack=connack) as broker:
        error = await refusal(broker, version=version, username="bridge", password="canary")

    assert (error.reason, error.hold) == ("unauthorized", True)
    assert "canary" not in str(error)


@pytest.mark.parametrize(("connack", "version"), [(b"\x20\x02\x00\x01", "5"), (b"\x20\x02\x00\x01", "3.1.1")])
async def test_a_version_that_the_broker_does_not_speak_ends_at_once(connack: bytes, version: str) -> None:
    """The wrong version of the protocol is told by the answer and not by a deadline."""
    async with FakeBroker(connack=connack) as broker:
        error = await refusal(broker, version=version)

    assert error.reason == "protocol"


async def test_a_broker_that_confirms_nothing_is_refused() -> None:
    """Maximum QoS 0 means that nothing would ever be confirmed."""
    async with FakeBroker(connack=b"\x20\x05\x00\x00\x02\x24\x00") as broker:
        error = await refusal(broker)

    assert (error.reason, error.hold) == ("protocol", True)


async def test_nobody_listening_is_refused() -> None:
    """A closed port is an ordinary failure with a reason of its own."""
    with pytest.raises(Unavailable) as raised:
        async with plugin.connect(plugin.config(url=f"mqtt://127.0.0.1:{free_port()}")):
            pytest.fail("connected")

    assert raised.value.reason == "refused"


async def test_a_broker_that_never_answers_leaves_nothing_behind() -> None:
    """Entering can be cancelled while CONNACK is awaited: the connection is closed and no task or timer stays."""
    before = asyncio.all_tasks()
    async with FakeBroker(connack=b"") as broker:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), connection(broker):
                pytest.fail("connected")
        async with asyncio.timeout(5):
            await broker.closed.wait()

    assert asyncio.all_tasks() == before


async def test_a_frozen_broker_does_not_hold_up_closing() -> None:
    """With its receive window full the connection is dropped, and not flushed into nothing."""
    batch = [sample(number, body=b"x" * 1_000_000) for number in range(20)]
    async with FakeBroker() as broker:
        async with connection(broker) as sink:
            await sink.deliver(BATCH)
            broker.transport.pause_reading()
            delivery = asyncio.create_task(sink.deliver(batch), name="deliver")
            await until(lambda: sink._transport.get_write_buffer_size() > 0, 5, "the broker's window is full")
            delivery.cancel()
            started = time.monotonic()
        took = time.monotonic() - started
        broker.transport.resume_reading()
        await asyncio.wait({delivery})

    assert delivery.cancelled()
    assert took < 0.5


async def test_a_slow_broker_slows_the_sink_down() -> None:
    """While the broker does not read, no more is put into memory than the transport asks for."""
    batch = [sample(number, body=b"x" * 1_000_000) for number in range(20)]
    async with FakeBroker() as broker, connection(broker) as sink:
        broker.transport.pause_reading()
        delivery = asyncio.create_task(sink.deliver(batch), name="deliver")
        await asyncio.sleep(0.1)
        buffered = sink._transport.get_write_buffer_size()
        broker.transport.resume_reading()
        async with asyncio.timeout(10):
            outcomes = await delivery

    assert (outcomes, len(broker.bodies)) == ([None] * 20, 20)
    assert buffered < 2_000_000


async def test_a_silent_broker_is_noticed_within_twice_the_keep_alive_time() -> None:
    """Without an answer to its ping the broker counts as dead, and the reason says so."""
    async with FakeBroker(answer=lambda _number, _mid: b"", ping=b"") as broker:
        started = time.monotonic()
        outcomes = await delivered(broker, keepalive_seconds=1)

    assert {outcome.reason for outcome in outcomes} == {"silence"}
    assert time.monotonic() - started < 2 * 1 + 2


async def test_the_broker_s_keep_alive_takes_the_place_of_the_own() -> None:
    """Server Keep Alive of CONNACK (5.0, 3.2.2.3.14): a connection that is longer silent would be ended."""
    broker = FakeBroker(connack=b"\x20\x06\x00\x00\x03\x13\x00\x01")
    async with broker, connection(broker, keepalive_seconds=600):
        await until(lambda: PINGREQ in broker.seen, 5, "a ping comes as often as the broker wants one")


async def test_a_quiet_connection_is_kept_by_pings() -> None:
    """With nothing to deliver the broker is pinged, and the connection is still good afterwards."""
    async with FakeBroker() as broker, connection(broker, keepalive_seconds=1) as sink:
        await until(lambda: broker.seen.count(PINGREQ) >= 2, 6, "two pings")
        assert await sink.deliver(BATCH) == [None] * 20


async def test_leaving_says_goodbye() -> None:
    """The last packet is DISCONNECT, so that the broker does not take it for a crash."""
    async with FakeBroker() as broker:
        await delivered(broker)
        async with asyncio.timeout(5):
            await broker.closed.wait()

    assert (broker.seen[-1], broker.seen.count(PUBLISH)) == (DISCONNECT, 20)


async def test_leaving_stops_the_clock() -> None:
    """No timer goes on ticking for a connection that is gone, whoever ended it."""
    async with FakeBroker() as broker:
        async with connection(broker) as left:
            pass
        async with connection(broker) as lost:
            broker.transport.abort()
            await until(lost._timer.cancelled, 5, "the clock stops with the connection")

    assert left._timer.cancelled()


async def test_a_batch_of_nothing_is_nothing() -> None:
    """An empty batch has an empty answer."""
    async with FakeBroker() as broker, connection(broker) as sink:
        assert await sink.deliver([]) == []


async def test_packet_identifiers_start_again_after_the_last() -> None:
    """Identifiers run from 1 to 65,535 and begin anew, for a connection that lasts."""
    ids: list[int] = []

    def answer(_number: int, mid: int) -> bytes:
        ids.append(mid)
        return puback(mid)

    async with FakeBroker(answer=answer) as broker, connection(broker) as sink:
        sink._last_packet_id = 65_533
        assert await sink.deliver(BATCH[:4]) == [None] * 4

    assert ids == [65_534, 65_535, 1, 2]


def test_paho_is_the_version_whose_inside_is_used() -> None:
    """The one private name that is overridden is what paho-mqtt 2.2.0 calls for its socket, once, before CONNECT."""
    source = inspect.getsource(Client.reconnect)

    assert importlib.metadata.version("paho-mqtt") == "2.2.0"
    assert source.index("self._sock = self._create_socket()") < source.index("self._send_connect(")
