"""The Kafka sink through the real loops on a broker that refuses, throttles, freezes and dies: lost 0, disorder 0."""

import asyncio
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from bridge.contract import sample
from bridge.message import Message
from bridge.ports import SinkActivity
from bridge.reference import reference
from sinks.kafka import KafkaConfig, plugin
from tests.brokers import KafkaBroker, start_kafka
from tests.delivery import Run, delivering, disordered
from tests.oracle.kafka import KafkaReader
from tests.support import until, wait_until

pytestmark = pytest.mark.kafka

_PROPERTIES = (
    "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer allow.everyone.if.no.acl.found=true "
    "quota.window.num=2 quota.window.size.seconds=1"
)


@pytest.fixture(scope="module")
def broker() -> Iterator[KafkaBroker]:
    """A broker with rights and quotas that creates no topics."""
    started = start_kafka(own=True, auto_create=False, properties=_PROPERTIES)
    yield started
    started.close()


class Place:
    """Topics of one test's own on a broker, their rights, and what arrived there."""

    def __init__(self, broker: KafkaBroker) -> None:
        self.prefix = f"m{uuid4().hex}"
        self.config = KafkaConfig(
            bootstrap_servers=(broker.bootstrap,),
            topic_template=f"{self.prefix}.{{resource}}",
            client_id=self.prefix,
            window_events=50,
        )
        self._broker = broker
        self._admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})

    def create(self, resource: str, **config: str) -> None:
        topic = f"{self.prefix}.{resource}"
        self._admin.create_topics([NewTopic(topic, 3, 1, config=config)])[topic].result(30)
        wait_until(lambda: topic in self._admin.list_topics(timeout=10).topics, 30, f"{topic} created")

    def deny(self, resource: str) -> None:
        binding = AclBinding(*self._right(resource), AclPermissionType.DENY)
        self._admin.create_acls([binding])[binding].result(30)

    def grant(self, resource: str) -> None:
        denied = AclBindingFilter(*self._right(resource), AclPermissionType.DENY)
        self._admin.delete_acls([denied])[denied].result(30)

    def _right(self, resource: str) -> tuple[object, ...]:
        pattern = ResourcePatternType.LITERAL
        topic = f"{self.prefix}.{resource}"
        return ResourceType.TOPIC, topic, pattern, "User:ANONYMOUS", "*", AclOperation.WRITE

    async def judge(self, messages: list[Message], *, buried: int = 0, shed: int = 0, repeats: int = 0) -> None:
        """Check that all arrived but the buried, in order, how many without a body, and how often any came again."""
        reader = KafkaReader(self._broker.bootstrap, self.prefix)
        records = await asyncio.to_thread(reader.read)
        arrived = [record.attributes["id"] for record in records]
        references = {message.id: reference(message) for message in messages}
        without = {(record.attributes["id"], record.value) for record in records if "bodyshed" in record.attributes}
        assert len(without) == shed
        assert without <= references.items()
        assert len({message.id for message in messages} - set(arrived)) == buried
        assert disordered(messages, arrived) == []
        assert len(arrived) - len(set(arrived)) <= repeats


def mixed(number: int, first: int = 0) -> list[Message]:
    return [sample(first + each, resource=("tickets", "orders")[each % 2]) for each in range(number)]


async def held(run: Run, reason: str) -> None:
    await until(lambda: run.link.held, 20, "the sink is held")
    assert reason in run.link.last_error


async def test_a_right_that_is_taken_and_given_again(broker: KafkaBroker, tmp_path: Path) -> None:
    """Held while it is denied, also where that refuses the first batch of a session; over by itself afterwards."""
    place = Place(broker)
    place.create("tickets")
    place.create("orders")
    messages = mixed(600)

    async with delivering(tmp_path, plugin, place.config) as run:
        for turn in range(3):
            await run.append(messages[200 * turn : 200 * turn + 100])
            await asyncio.to_thread(place.deny, "orders")
            await run.append(messages[200 * turn + 100 : 200 * turn + 200])
            await until(lambda: run.link.held or not run.left, 20, "the sink is held, or was too quick for it")
            await asyncio.to_thread(place.grant, "orders")
            await run.settled(30)
            assert not run.link.held

    assert run.dead_letters() == {}
    await place.judge(messages, repeats=50 * sum(run.lost.values()))


async def test_a_topic_that_is_created_later(broker: KafkaBroker, tmp_path: Path) -> None:
    """Nothing is dropped while it is missing, and its creation ends the hold."""
    place = Place(broker)
    place.create("tickets")
    messages = mixed(200)

    async with delivering(tmp_path, plugin, place.config) as run:
        await run.append(messages)
        await held(run, "create it")
        await asyncio.to_thread(place.create, "orders")
        await run.settled(30)

    assert run.dead_letters() == {}
    await place.judge(messages, repeats=50)


@pytest.fixture
def narrow(broker: KafkaBroker) -> Iterator[None]:
    """Let the broker take records of 5,000 bytes only, for topics that say nothing of it."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    _set_message_bytes(admin, AlterConfigOpType.SET)
    yield
    _set_message_bytes(admin, AlterConfigOpType.DELETE)


def _set_message_bytes(admin: AdminClient, operation: AlterConfigOpType) -> None:
    entry = ConfigEntry("message.max.bytes", "5000", incremental_operation=operation)
    (number,) = admin.list_topics(timeout=10).brokers
    itself = ConfigResource(ResourceType.BROKER, str(number), incremental_configs=[entry])
    admin.incremental_alter_configs([itself])[itself].result(30)


@pytest.mark.parametrize("oversize", ["reference", "dead_letter"])
@pytest.mark.parametrize("limit", ["client", "topic", "broker"])
async def test_what_is_too_large_costs_its_neighbours_nothing(
    broker: KafkaBroker, tmp_path: Path, limit: str, oversize: str, request: pytest.FixtureRequest
) -> None:
    """One in a thousand, for each limit there is: it is a reference in its place or a dead letter, and no more.

    What the client knows costs no connection; what the broker says costs two at most, whatever comes of it.
    """
    if limit == "broker":
        request.getfixturevalue("narrow")
    place = Place(broker)
    place.create("tickets", **({"max.message.bytes": "5000"} if limit == "topic" else {}))
    messages = [sample(number, padding=9000 if number % 1000 == 517 else 100) for number in range(3000)]
    limits = {"max_request_bytes": 8000, "batch_bytes": 8000} if limit == "client" else {"batch_bytes": 4000}

    async with delivering(tmp_path, plugin, place.config.model_copy(update={**limits, "oversize": oversize})) as run:
        await run.append(messages)
        await run.settled(60)

    shed, buried = (3, 0) if oversize == "reference" else (0, 3)
    assert (run.shed(), run.dead_letters()) == (shed, {"too_large": 3} if buried else {})
    assert sum(run.lost.values()) <= (0 if limit == "client" else 2 * 3)
    await place.judge(messages, buried=buried, shed=shed, repeats=50 * sum(run.lost.values()))


async def test_a_quota_only_slows_it_down(broker: KafkaBroker, tmp_path: Path) -> None:
    """A throttled connection is not an error: nothing is lost, repeated or given up, and the time of it is told."""
    place = Place(broker)
    activity = SinkActivity()
    assert plugin.observed is not None
    place.create("tickets")
    messages = [sample(number, padding=2000) for number in range(150)]
    await asyncio.to_thread(set_quota, broker.bootstrap, place.prefix, 50_000)

    started = time.monotonic()
    async with delivering(tmp_path, plugin.observed(activity), place.config) as run:
        await run.append(messages)
        await run.settled(60)

    took = time.monotonic() - started
    print(f"300 kB at 50 kB/s took {took:.1f} s, {activity.throttled_seconds:.1f} s of it throttled")
    assert 1 < activity.throttled_seconds < 12, "twice as long as it all takes: nobody waits for the last answer"
    assert took > 2
    assert not run.lost
    await place.judge(messages)


def set_quota(bootstrap: str, client_id: str, bytes_a_second: float) -> None:
    """Set a client's quota (AlterClientQuotas, key 49, version 0): no library here knows how."""
    host, _, port = bootstrap.partition(":")
    entity = struct.pack(">i", 1) + _string("client-id") + _string(client_id)
    change = struct.pack(">i", 1) + _string("producer_byte_rate") + struct.pack(">d?", bytes_a_second, False)
    request = struct.pack(">hhi", 49, 0, 1) + _string("test") + struct.pack(">i", 1) + entity + change + b"\0"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = connection.recv(65_536)
    throttle, entries, error = struct.unpack_from(">iih", answer, 8)
    assert (throttle, entries, error) == (0, 1, 0), answer


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_a_broker_that_goes_away_and_comes_back(broker: KafkaBroker, tmp_path: Path, fault: str) -> None:
    """In the middle of a load: everything arrives, in order, and at most a window comes again for a lost session."""
    place = Place(broker)
    place.create("tickets")
    messages = [sample(number) for number in range(3000)]

    async with delivering(tmp_path, plugin, place.config, answer_seconds=2) as run:
        for start in range(0, 3000, 100):
            await run.append(messages[start : start + 100])
            if start == 1500:
                await asyncio.to_thread(_strike, broker, fault)
        await run.settled(60)

    assert run.dead_letters() == {}
    await place.judge(messages, repeats=50 * sum(run.lost.values()))


def _strike(broker: KafkaBroker, fault: str) -> None:
    if fault == "killed":
        broker.restart()
    else:
        broker.pause()
        time.sleep(4)
        broker.resume()
