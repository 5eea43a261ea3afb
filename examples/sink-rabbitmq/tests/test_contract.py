"""The RabbitMQ sink keeps the promises of every sink, on a real server that is frozen and killed."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import aiormq
import pytest
from pydantic import SecretStr

from bridge.contract import LocalBroker, Received, Rig, SinkContract, sample
from bridge.errors import Unavailable
from bridge.message import Message
from bridge.ports import Shed
from portos_bridge_sink_rabbitmq.layout import RabbitConfig, routing_key
from portos_bridge_sink_rabbitmq.sink import plugin

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
LARGEST_BYTES = 10_000
URLS = ["amqp://rabbit.shop", "amqps://rabbit.shop", "amqp://127.0.0.1:5672"]
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
    """All of it, with the fixture above."""


async def test_an_event_that_no_queue_takes_is_held(rig: RabbitRig) -> None:
    """What is confirmed is in a queue: an unroutable event waits for a binding, and then arrives."""
    async with aiormq.connect(rig.url) as operator:
        channel = await operator.channel()
        await channel.queue_unbind(rig.name, rig.name, "#")
        refused = await _outcome(rig)
        await channel.queue_bind(rig.name, rig.name, "portos.resources.tickets")

    assert isinstance(refused, Unavailable)
    assert refused.hold
    assert "bind a queue" in str(refused)
    assert await _outcome(rig) is None


async def test_an_event_that_a_full_queue_refuses_comes_again(rig: RabbitRig) -> None:
    """A nack may pass by itself, and is held if it does not."""
    await rig.reluctant()

    refused = await _outcome(rig)

    assert isinstance(refused, Unavailable)
    assert (refused.hold, refused.hold_after) == (False, 3)


@pytest.mark.parametrize(
    ("settings", "reason", "said"),
    [
        ({"password": SecretStr("wrong")}, "unauthorized", "USERNAME"),
        ({"exchange": "absent"}, "refused", "EXCHANGE"),
        ({"max_bytes": 100_000, "padding": 30_000}, "refused", "MAX_BYTES"),
        ({"vhost": "absent"}, "refused", "vhost"),
    ],
)
async def test_what_an_operator_must_mend_is_held(rig: RabbitRig, settings: dict, reason: str, said: str) -> None:
    """A wrong password, exchange, limit or virtual host waits for the operator, and names the variable."""
    url = f"{rig.url}/{settings.pop('vhost', '')}"

    refused = await _outcome(rig, url=url, **settings)

    assert isinstance(refused, Unavailable)
    assert (refused.hold, refused.reason) == (True, reason)
    assert said in str(refused)


async def test_an_event_that_is_too_large_goes_as_a_reference(rig: RabbitRig) -> None:
    """By EVENT__OVERSIZE=reference, the default, what is above MAX_BYTES arrives without its body."""
    outcome = await _outcome(rig, padding=15_000, oversize="reference")

    assert isinstance(outcome, Shed)
    [event] = await rig.received()
    assert b"tickets" in event.body


async def test_a_lost_server_is_noticed_at_once(rig: RabbitRig) -> None:
    """Whoever waits for a confirmation learns that the connection is gone, without a deadline."""
    async with plugin.connect(rig.config) as sink:
        await rig.kill()
        outcomes = await asyncio.wait_for(sink.deliver([sample(1), sample(2)]), 5)

    assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]


def test_no_resource_reaches_the_place_of_another() -> None:
    """Keys are different, words are what bindings expect, and none is too long for AMQP."""
    names = ["a", "a.b", "a/b", "", "~", "#", "*", "š" * 300, "š" * 301, "." * 120, "." * 121, "a" * 250, "a" * 256]

    keys = [routing_key(sample(1, resource=name)) for name in names]

    assert len({*keys, routing_key(sample(1, resource=None))}) == len(names) + 1
    assert {key.count(".") for key in keys} == {2}
    assert max(map(len, keys)) <= 255


def test_a_password_in_plaintext_is_cautioned() -> None:
    """It is not on the loopback, and not with TLS."""
    cautioned = [bool(list(RabbitConfig(url=f"{url}/shop").cautions())) for url in URLS]

    assert cautioned == [True, False, False]


async def _outcome(rig: RabbitRig, *, padding: int = 0, **settings: object) -> object:
    """Deliver one event with other settings, and give what the sink says of it."""
    changed = rig.config.model_copy(update=settings)
    try:
        async with plugin.connect(changed) as sink:
            [outcome] = await sink.deliver([sample(1, padding=padding)])
            return outcome
    except Unavailable as error:
        return error
