"""The MQTT sink on a real broker: what only a real one shows."""

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Self

import pytest

from bridge.contract import deliver_all, sample
from bridge.errors import Unavailable
from bridge.message import attributes, structured
from sinks.mqtt import plugin
from sinks.mqtt.config import MqttConfig
from tests.brokers import MqttBroker
from tests.brokers.mqtt import MosquittoProgram
from tests.integration.test_mqtt_contract import MqttRig
from tests.oracle.mqtt import MqttReader
from tests.support import unavailable, until

pytestmark = pytest.mark.mqtt


@pytest.fixture
def local_broker() -> Iterator[Callable[[str], MqttBroker]]:
    """Give a function that starts the program mosquitto with further lines of configuration.

    No container: what is tested needs files of this machine, or a connection without the engine's proxy in it.
    """
    if shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") is None:
        unavailable("mqtt", "needs the program mosquitto: install it")
    brokers: list[MqttBroker] = []

    def start(settings: str) -> MqttBroker:
        brokers.append(MosquittoProgram(settings))
        return brokers[-1]

    yield start
    for broker in brokers:
        broker.close()


class CuttingProxy:
    """A way to the broker that is cut after every so many bytes, whatever passes it then, six times."""

    def __init__(self, broker: MqttBroker, every_bytes: int) -> None:
        self._broker = broker
        self._every_bytes = self._left = every_bytes
        self.cuts = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.url = f"mqtt://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await until(lambda: not self._writers, 5, "the proxy's connections are closed")

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._broker.host, self._broker.port)
        self._writers |= {writer, back}
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
        self._writers -= {writer, back}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
                self._left -= len(data)
                if self._left < 0 and self.cuts < 6:
                    self._left = self._every_bytes
                    self.cuts += 1
                    self.cut()
        writer.close()


def config(broker: MqttBroker, **settings: object) -> MqttConfig:
    return MqttConfig.model_validate({"url": broker.url, **settings})


async def test_a_consumer_gets_topic_bytes_and_attributes(mqtt_broker: MqttBroker) -> None:
    """A subscriber of MQTT 5 sees the notification as it came, and what identifies it as user properties."""
    event = sample(1, resource="mPOS Link", resource_id="účet/7")
    settings = config(mqtt_broker, client_id="first", base_topic="consumer-5")

    with MqttReader(mqtt_broker.host, mqtt_broker.port, "consumer-5/#", client_id="first-reader") as reader:
        async with plugin.connect(settings) as sink:
            assert await sink.deliver([event]) == [None]
        await until(reader.count, 5, "the event has arrived")

    (found,) = reader.read()
    assert (found.topic, found.value) == ("consumer-5/resources/mPOS%20Link", event.body)
    assert found.content_type == "application/json"
    assert found.attributes == dict(attributes(event, "default"))


async def test_mqtt_3_delivers_documents(mqtt_broker: MqttBroker) -> None:
    """Over MQTT 3.1.1 the same topics carry the structured mode, and acknowledgements count."""
    settings = config(mqtt_broker, client_id="second", base_topic="consumer-3", version="3.1.1", window_events=10)
    batch = [sample(number) for number in range(100)]

    with MqttReader(mqtt_broker.host, mqtt_broker.port, "consumer-3/#", client_id="second-reader") as reader:
        async with plugin.connect(settings) as sink:
            assert await sink.deliver(batch) == [None] * 100
        await until(lambda: reader.count() == 100, 5, "all have arrived")

    assert [found.value for found in reader.read()] == [structured(event, "default") for event in batch]


async def test_a_topic_without_a_right_is_held(local_broker: Callable[[str], MqttBroker], tmp_path) -> None:
    """What an ACL forbids is never counted as delivered: it waits for the operator."""
    rights = tmp_path / "acl"
    rights.write_text("topic readwrite portos/resources/tickets\n")
    broker = local_broker(f"acl_file {rights}")

    async with plugin.connect(config(broker, window_events=1)) as sink:
        outcomes = await sink.deliver([sample(0), sample(1, resource="orders"), sample(2)])

    assert outcomes[0] is None
    assert [(outcome.reason, outcome.hold) for outcome in outcomes[1:]] == [("unauthorized", True)] * 2


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_broker_that_wants_a_password_is_held(local_broker: Callable[[str], MqttBroker], version: str) -> None:
    """A refused login says so and waits for the operator, over either version of the protocol."""
    broker = local_broker("allow_anonymous false")

    with pytest.raises(Unavailable) as raised:
        async with plugin.connect(config(broker, version=version, username="bridge", password="canary")):
            pytest.fail("connected")

    assert (raised.value.reason, raised.value.hold) == ("unauthorized", True)
    assert "canary" not in str(raised.value)


async def test_a_second_client_of_the_same_name_takes_over(mqtt_broker: MqttBroker) -> None:
    """The first connection ends, with the true reason where the broker tells it; two sessions are never alive."""
    settings = config(mqtt_broker, client_id="third", base_topic="takeover")

    async with plugin.connect(settings) as first, plugin.connect(settings) as second:
        assert await second.deliver([sample(1)]) == [None]
        with pytest.raises(Unavailable) as raised:
            await first.deliver([sample(2)])

    told = raised.value.reason, raised.value.slowly
    assert told in {("taken_over", True), ("server_close", False)}  # Mosquitto 2.0.11 just closes, 2.0.21 says why


@pytest.mark.parametrize("window", [1, 20, 100])
async def test_connections_cut_again_and_again_lose_and_reorder_nothing(mqtt_broker: MqttBroker, window: int) -> None:
    """Over six cuts all that is confirmed arrives, first arrivals in order, and at most a window is repeated a cut."""
    messages = [sample(number) for number in range(3000)]
    base = f"cuts-{window}"

    with MqttReader(mqtt_broker.host, mqtt_broker.port, f"{base}/#", client_id=f"{base}-reader") as reader:
        async with CuttingProxy(mqtt_broker, every_bytes=150_000) as proxy:
            settings = config(mqtt_broker, base_topic=base, client_id=base, window_events=window)
            rig = MqttRig(settings.model_copy(update={"url": proxy.url}), mqtt_broker, reader)
            outcomes = await deliver_all(rig, messages)
        # A reader of the same process and a busy machine: what counts is that it arrives.
        await until(lambda: len({found.attributes["id"] for found in reader.read()}) == 3000, 60, "all have arrived")

    arrived = [found.attributes["id"] for found in reader.read()]
    assert outcomes == [None] * 3000
    assert list(dict.fromkeys(arrived)) == [message.id for message in messages]
    assert proxy.cuts == 6
    assert len(arrived) - 3000 <= proxy.cuts * window


async def test_the_end_of_a_window_is_not_held_up_by_nagle(local_broker: Callable[[str], MqttBroker]) -> None:
    """A broker that leaves Nagle's algorithm on confirms a whole batch at once, and not after 40 ms."""
    broker = local_broker("set_tcp_nodelay false")
    batch = [sample(number, padding=1000) for number in range(100)]

    async with plugin.connect(config(broker)) as sink:
        await sink.deliver(batch)
        started = time.monotonic()
        for _ in range(20):
            await sink.deliver(batch)
        took = time.monotonic() - started

    assert took < 20 * 0.03
