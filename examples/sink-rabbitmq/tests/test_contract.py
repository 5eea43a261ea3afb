"""The RabbitMQ sink keeps the promises of every sink, on a real server that is frozen and killed."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import aiormq
import pytest
from pamqp.commands import Basic
from portos_bridge_sink_rabbitmq import plugin
from portos_bridge_sink_rabbitmq.config import RabbitConfig

from bridge.contract import LocalBroker, Received, Rig, SinkContract, sample
from bridge.errors import Rejected, Unavailable
from bridge.message import Message

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
LARGEST_BYTES = 10_000
CAPACITY = 500  # events that the queue holds; it refuses what comes then


class Brokers:
    """One server for as many tests as leave it alive, since it starts slowly."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self._broker: LocalBroker | None = None

    def one(self) -> LocalBroker:
        """Give the server, started where there is none."""
        if self._broker is None:
            self._broker = self._running.enter_context(_server())
        return self._broker

    def drop(self) -> None:
        """Have a new one for the next."""
        self._broker = None
        self._running.close()


def _server() -> LocalBroker:
    if not Path(SERVER).exists():
        text = "install rabbitmq-server to run this"
        if "rabbitmq-server" in os.environ.get("TEST_REQUIRE", "").split(","):
            pytest.fail(f"TEST_REQUIRE names it: {text}")
        pytest.skip(text)
    return LocalBroker("sh", str(Path(__file__).with_name("server")), "{port}", "{folder}", start_seconds=300)


class RabbitRig(Rig):
    """The sink, an exchange and a queue of its own, and an independent reader."""

    answer_seconds = connect_seconds = 30

    def __init__(self, broker: LocalBroker) -> None:
        self.url = f"amqp://{broker.host}:{broker.port}"
        self.name = f"test-{uuid4()}"
        self.spent = False
        self._read: list[Received] = []
        config = RabbitConfig(url=self.url, exchange=self.name, window_events=20, max_bytes=LARGEST_BYTES)
        super().__init__(plugin, config, broker)

    async def prepare(self) -> None:
        """Make the place that the events go to."""
        async with aiormq.connect(self.url) as operator:
            channel = await operator.channel()
            await channel.exchange_declare(self.name, exchange_type="topic")
            limits = {"x-max-length": CAPACITY, "x-overflow": "reject-publish"}
            await channel.queue_declare(self.name, arguments=limits)
            await channel.queue_bind(self.name, self.name, "#")

    async def received(self) -> Sequence[Received]:
        """Take everything out of the queue, and give it with what was taken before."""
        async with aiormq.connect(self.url) as reader:
            channel = await reader.channel()
            while (message := await channel.basic_get(self.name, no_ack=True)).header.properties.message_id:
                headers = message.header.properties.headers or {}
                event = Received(str(headers.get("cloudEvents_id")), message.body, message.delivery.routing_key)
                self._read += [event] if headers else []
        return self._read

    def poison(self) -> Message:
        """Give what is refused for good."""
        return sample(1000, body=b"x" * (LARGEST_BYTES + 1))

    async def reluctant(self) -> Message:
        """Fill the queue."""
        async with aiormq.connect(self.url) as other:
            channel = await other.channel()
            for _ in range(CAPACITY):
                await channel.basic_publish(b"", routing_key=self.name)
        return sample(1000)

    async def freeze(self) -> None:
        """As it is, and this server is of no more use."""
        self.spent = True
        await super().freeze()

    async def kill(self) -> None:
        """As it is, and this server is of no more use."""
        self.spent = True
        await super().kill()


@pytest.fixture(scope="module")
def brokers() -> Iterator[Brokers]:
    brokers = Brokers()
    yield brokers
    brokers.drop()


@pytest.fixture
async def rig(brokers: Brokers) -> AsyncIterator[RabbitRig]:
    rig = RabbitRig(brokers.one())
    await rig.prepare()
    yield rig
    if rig.spent:
        brokers.drop()


class TestRabbitMQ(SinkContract):
    pass


async def _outcome(rig: RabbitRig, message: Message, **settings: object) -> object:
    """Deliver one message with other settings, and give what the sink says of it."""
    try:
        async with plugin.connect(rig.config.model_copy(update=settings)) as sink:
            [outcome] = await sink.deliver([message])
            return outcome
    except Unavailable as error:
        return error
