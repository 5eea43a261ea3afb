"""One connection of the MQTT sink over a WebSocket: everything that a TCP connection does, and what can be refused."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import pytest

from bridge.contract import sample
from bridge.errors import Unavailable
from bridge.ports import Outcome, Sink
from sinks.mqtt import plugin
from tests.support import until
from tests.unit.sinks.mqtt.fake_broker import DISCONNECT, PINGREQ, FakeBroker, puback
from tests.unit.sinks.mqtt.websocket_front import WebSocketFront

BATCH = [sample(number, resource_id=f"{number}") for number in range(20)]
LARGE = [sample(number, resource_id=f"{number}", body=b"x" * 1_000_000) for number in range(20)]


@asynccontextmanager
async def served(
    broker: FakeBroker | None = None, **settings: object
) -> AsyncIterator[tuple[FakeBroker, WebSocketFront]]:
    """A broker, and a WebSocket in front of it."""
    async with AsyncExitStack() as stack:
        behind = await stack.enter_async_context(broker or FakeBroker())
        yield behind, await stack.enter_async_context(WebSocketFront(behind, **settings))


def connection(front: WebSocketFront, path: str = "", **settings: object) -> AbstractAsyncContextManager[Sink]:
    return plugin.connect(plugin.config.model_validate({"url": f"{front.url}{path}", **settings}))


async def delivered(front: WebSocketFront, **settings: object) -> Sequence[Outcome]:
    async with asyncio.timeout(10), connection(front, **settings) as sink:
        return await sink.deliver(BATCH)


async def refusal(front: WebSocketFront, **settings: object) -> Unavailable:
    with pytest.raises(Unavailable) as raised:
        async with asyncio.timeout(10), connection(front, **settings):
            pytest.fail("connected")
    return raised.value


@pytest.mark.parametrize(("path", "asked"), [("", "/mqtt"), ("/", "/"), ("/a/b", "/a/b")])
async def test_a_websocket_for_mqtt_is_asked_for(path: str, asked: str) -> None:
    """At the path of the URL, with the subprotocol that MQTT 5.0 (6.0) wants, and without what browsers add."""
    async with served() as (_, front), connection(front, path):
        pass

    (request,) = front.requests
    assert (request.path, request.headers["Sec-WebSocket-Protocol"]) == (asked, "mqtt")
    assert "Sec-WebSocket-Extensions" not in request.headers


@pytest.mark.parametrize("answer_bytes", [1, 7, 65_536])
async def test_packets_and_messages_have_borders_of_their_own(answer_bytes: int) -> None:
    """A packet may span messages, and a message may hold many packets."""
    async with served(answer_bytes=answer_bytes) as (broker, front):
        assert await delivered(front, username="bridge", password="canary") == [None] * len(BATCH)

    assert [body for body in broker.bodies if not body.endswith(b"}")] == []
    assert len(broker.bodies) == len(BATCH)
    assert broker.connect.endswith(b"\x00\x06bridge\x00\x06canary")


async def test_a_large_packet_is_sent_in_frames_that_any_server_takes() -> None:
    """Some bound their frames, and none needs a packet in one."""
    async with served() as (broker, front), connection(front) as sink:
        assert await sink.deliver(LARGE[:1]) == [None]

    assert broker.bodies[0].endswith(LARGE[0].body)
    assert max(map(len, front.frames)) == 65_536


async def test_leaving_says_goodbye_twice() -> None:
    """DISCONNECT to the broker, and after it Close to the WebSocket."""
    async with served() as (broker, front):
        await delivered(front)
        await until(broker.closed.is_set, 5, "the broker's connection is closed")

    assert broker.seen[-1] == DISCONNECT
    assert front.code == 1000


async def test_a_server_that_does_not_say_goodbye_is_left() -> None:
    """A second after ours, also when it has taken everything."""
    async with served() as (_, front):
        async with connection(front) as sink:
            await sink.deliver(BATCH)
            front.reads.clear()
            started = time.monotonic()
        took = time.monotonic() - started
        front.reads.set()

    assert took < 1.5


async def test_a_slow_server_slows_the_sink_down() -> None:
    """While it does not read, no more is put into memory than what made the sink pause."""
    async with served() as (broker, front), connection(front) as sink:
        await sink.deliver(BATCH)
        front.reads.clear()
        delivery = asyncio.create_task(sink.deliver(LARGE), name="deliver")
        await asyncio.sleep(0.2)
        on_the_way = len(sink._delivery.in_flight)
        front.reads.set()
        async with asyncio.timeout(10):
            outcomes = await delivery

    assert (outcomes, len(broker.bodies)) == ([None] * 20, 40)
    assert on_the_way == 1


async def test_a_frozen_server_does_not_hold_up_closing() -> None:
    """With its receive window full the connection is dropped, and not flushed into nothing."""
    before = asyncio.all_tasks()
    async with served() as (_, front):
        async with connection(front) as sink:
            await sink.deliver(BATCH)
            front.reads.clear()
            huge = sample(0, body=b"x" * 50_000_000)  # more than all buffers of the kernel
            delivery = asyncio.create_task(sink.deliver([huge]), name="deliver")
            await until(lambda: sink._transport.get_write_buffer_size() > 0, 5, "the server's window is full")
            delivery.cancel()
            started = time.monotonic()
        took = time.monotonic() - started
        front.reads.set()
        await asyncio.wait({delivery})

    assert delivery.cancelled()
    assert took < 0.5
    assert asyncio.all_tasks() == before


async def test_a_frozen_server_is_given_a_second_for_what_was_just_written() -> None:
    """Whether it reads shows only when something is sent."""
    async with served() as (_, front):
        async with connection(front) as sink:
            await sink.deliver(BATCH)
            front.reads.clear()
            huge = sample(0, body=b"x" * 50_000_000)
            delivery = asyncio.create_task(sink.deliver([huge]), name="deliver")
            await asyncio.sleep(0)
            assert sink._transport.get_write_buffer_size() == 0
            delivery.cancel()
            started = time.monotonic()
        took = time.monotonic() - started
        front.reads.set()
        await asyncio.wait({delivery})

    assert took < 1.5


async def test_a_quiet_connection_is_kept_and_a_silent_one_is_noticed() -> None:
    """The pings of MQTT pass as everything else does."""
    async with served() as (broker, front), connection(front, keepalive_seconds=1) as sink:
        await until(lambda: broker.seen.count(PINGREQ) >= 2, 6, "two pings")
        assert await sink.deliver(BATCH) == [None] * len(BATCH)
        broker.ping, broker.answer = b"", lambda _number, _mid: b""
        async with asyncio.timeout(5):
            outcomes = await sink.deliver(BATCH)

    assert {outcome.reason for outcome in outcomes} == {"silence"}


async def test_what_the_broker_confirmed_before_the_end_counts() -> None:
    """A cut within a window leaves open what was not confirmed, and nothing else."""

    def answer(number: int, mid: int) -> bytes:
        if number < 5:
            return puback(mid)
        broker.transport.close()
        return b""

    async with served(FakeBroker(answer=answer)) as (broker, front), connection(front, window_events=10) as sink:
        async with asyncio.timeout(10):
            outcomes = await sink.deliver(BATCH)
        with pytest.raises(Unavailable, match="closed the WebSocket with code 1000"):
            await sink.deliver(BATCH)

    assert outcomes[:5] == [None] * 5
    assert {outcome.reason for outcome in outcomes[5:]} == {"server_close"}


@pytest.mark.parametrize(("status", "hold"), [(404, True), (200, True), (503, False)])
async def test_a_refused_websocket_is_told(status: int, hold: bool) -> None:  # noqa: FBT001
    """With the status that the server gives, and where to look."""
    async with served() as (broker, front):
        front.status = status
        error = await refusal(front)

    assert (error.reason, error.hold) == ("refused", hold)
    assert f"HTTP status {status}" in str(error)
    assert broker.connections == 0


async def test_a_redirect_is_not_followed() -> None:
    """The login would go wherever it leads."""
    async with served() as (_, front):
        front.status = 302
        error = await refusal(front, username="bridge", password="canary")

    assert (error.hold, len(front.requests)) == (True, 1)
    assert "HTTP status 302; check the path of URL" in str(error)


@pytest.mark.filterwarnings("ignore:Client protocols")
@pytest.mark.parametrize("protocols", [(), ("amqp",)])
async def test_a_websocket_for_something_else_is_held(protocols: tuple[str, ...]) -> None:
    """A server that does not choose `mqtt` gets no packet of it."""
    async with served() as (broker, front):
        front.protocols = protocols
        error = await refusal(front)

    assert (error.reason, error.hold) == ("protocol", True)
    assert "not for MQTT; check the path of URL" in str(error)
    assert broker.connect == b""


async def test_text_ends_the_connection() -> None:
    """MQTT 5.0, 6.0-1: whatever is not binary does."""
    async with served(text="hello") as (_, front):
        error = await refusal(front)

    assert error.reason == "protocol"
    assert "no binary message" in str(error)


async def test_a_server_without_http_is_held() -> None:
    """A broker whose answer is no HTTP is named as such."""

    class Rude(FakeBroker):
        def data_received(self, _data: bytes) -> None:
            self.transport.write(b"\x20\x02\x00\x01 is not what was asked for\r\n\r\n")

    async with Rude() as broker:
        with pytest.raises(Unavailable) as raised:
            async with asyncio.timeout(5), plugin.connect(plugin.config(url=broker.url.replace("mqtt", "ws"))):
                pytest.fail("connected")

    assert (raised.value.reason, raised.value.hold) == ("protocol", True)
    assert "speaks no HTTP on that port" in str(raised.value)
