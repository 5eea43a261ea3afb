"""The Kafka sink on a real broker: what only a real one can refuse, and how it ends when the broker does not answer."""

import asyncio
import gc
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from bridge.contract import deliver_all, sample
from bridge.errors import Rejected, Unavailable
from bridge.ports import Sink, SinkActivity
from sinks.kafka import KafkaConfig, plugin
from sinks.kafka.compression import COMPRESSIONS
from sinks.kafka.sink import _KafkaSink
from tests.brokers import KafkaBroker
from tests.brokers.kafka import start_kafka
from tests.delivery import delivering
from tests.integration.test_kafka_contract import KafkaRig
from tests.oracle.kafka import KafkaReader
from tests.support import until, wait_until

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def strict_broker() -> Iterator[KafkaBroker]:
    """A broker that creates no topics and takes no batch above 20,000 bytes."""
    broker = start_kafka(own=True, auto_create=False, properties="message.max.bytes=20000")
    yield broker
    broker.close()


def config_for(broker: KafkaBroker, prefix: str, **values: object) -> KafkaConfig:
    return KafkaConfig.model_validate(
        {"bootstrap_servers": broker.bootstrap, "topic_template": f"{prefix}.{{resource}}"} | values
    )


def create(broker: KafkaBroker, topic: str, partitions: int = 6) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)
    wait_until(lambda: _has_leaders(admin, topic), 30, f"{topic} created")


def _has_leaders(admin: AdminClient, topic: str) -> bool:
    found = admin.list_topics(topic, timeout=10).topics[topic].partitions.values()
    return bool(found) and all(partition.leader >= 0 for partition in found)


def sockets() -> int:
    """Count the open sockets of this process."""
    links = [each for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return sum(str(each.readlink()).startswith("socket:") for each in links)


async def test_more_partitions_move_no_key_and_are_told(
    strict_broker: KafkaBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """While the bridge runs a resource stays where it was: in the connection that sees the change and in the next."""
    prefix = f"p{uuid4().hex}"
    config = config_for(strict_broker, prefix)
    create(strict_broker, f"{prefix}.tickets", 3)
    activity = SinkActivity()
    assert plugin.observed is not None
    observed = plugin.observed(activity)
    messages = [sample(number, resource_id=f"id-{number % 50}") for number in range(150)]

    async with observed.connect(config) as sink:
        await sink.deliver(messages[:50])
        await asyncio.to_thread(_more_partitions, strict_broker, f"{prefix}.tickets", 12)
        await until(lambda: _refreshed(sink, activity), 20, "the change is seen")
        await sink.deliver(messages[50:100])
    async with observed.connect(config) as sink:
        await sink.deliver(messages[100:])

    records = KafkaReader(strict_broker.bootstrap, prefix).read()
    assert len({(each.attributes["resourceid"], each.stream) for each in records}) == 50
    assert {each.stream.rpartition("/")[2] for each in records} == {"0", "1", "2"}
    assert activity.partition_changes == 1
    told = [record.levelname for record in caplog.records if "12 partitions and had 3" in record.getMessage()]
    assert told == ["ERROR"]


def _more_partitions(broker: KafkaBroker, topic: str, total: int) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    admin.create_partitions([NewPartitions(topic, total)])[topic].result(30)


async def _refreshed(sink: Sink, activity: SinkActivity) -> int:
    assert isinstance(sink, _KafkaSink)
    await sink._producer.client.force_metadata_update()
    return activity.partition_changes


async def test_a_record_that_the_broker_refuses_is_found_among_its_neighbours(strict_broker: KafkaBroker) -> None:
    """Two records above the broker's own limit are rejected, they alone; all others arrive in order."""
    prefix = f"p{uuid4().hex}"
    create(strict_broker, f"{prefix}.tickets")
    rig = KafkaRig(strict_broker, prefix)
    messages = [sample(number) for number in range(60)]
    for place in (17, 41):
        messages[place] = sample(place, body=os.urandom(30_000))

    outcomes = await deliver_all(rig, messages)

    rejected = {at: outcome.reason for at, outcome in enumerate(outcomes) if isinstance(outcome, Rejected)}
    assert rejected == {17: "too_large", 41: "too_large"}
    arrived: dict[str, list[int]] = {}
    for record in KafkaReader(strict_broker.bootstrap, prefix).read():
        versions = arrived.setdefault(record.attributes["resourceid"], [])
        if (version := int(record.attributes["resourceversion"])) not in versions:
            versions.append(version)
    assert sorted(version for versions in arrived.values() for version in versions) == [
        at for at in range(60) if at not in rejected
    ]
    assert all(versions == sorted(versions) for versions in arrived.values())


async def test_a_missing_topic_holds_until_it_is_created(strict_broker: KafkaBroker) -> None:
    """Nothing is rejected and nothing behind it is delivered; once the topic is there, everything is."""
    prefix = f"p{uuid4().hex}"
    create(strict_broker, f"{prefix}.tickets")
    config = config_for(strict_broker, prefix)
    messages = [sample(0), sample(1, resource="orders"), sample(2)]

    async with plugin.connect(config) as sink:
        outcomes = await sink.deliver(messages)
    before = [record.attributes["resourceversion"] for record in KafkaReader(strict_broker.bootstrap, prefix).read()]
    create(strict_broker, f"{prefix}.orders")
    async with plugin.connect(config) as sink:
        later = await sink.deliver(messages[1:])

    assert outcomes[0] is None
    assert all(isinstance(outcome, Unavailable) and outcome.hold for outcome in outcomes[1:])
    assert f"{prefix}.orders" in str(outcomes[1])
    assert before == ["0"]
    assert list(later) == [None, None]


async def test_one_message_does_not_wait_for_others(kafka_broker: KafkaBroker) -> None:
    """A single message is handed over at once: no linger."""
    config = config_for(kafka_broker, f"p{uuid4().hex}")
    seconds: list[float] = []

    async with plugin.connect(config) as sink:
        await sink.deliver([sample(0)])
        for number in range(1, 60):
            started = time.perf_counter()
            assert list(await sink.deliver([sample(number)])) == [None]
            seconds.append(time.perf_counter() - started)

    print(f"one message: median {statistics.median(seconds) * 1000:.2f} ms")
    assert statistics.median(seconds) < 0.02


@pytest.mark.parametrize("compression", COMPRESSIONS)
async def test_records_are_as_a_consumer_expects(kafka_broker: KafkaBroker, compression: str) -> None:
    """Key, value, content type and partition are what the README says, compressed or not."""
    prefix = f"p{uuid4().hex}"
    messages = [sample(number, resource_id=f"a/b {number}", padding=500) for number in range(20)]

    async with plugin.connect(config_for(kafka_broker, prefix, compression=compression)) as sink:
        assert list(await sink.deliver(messages)) == [None] * 20

    records = {record.attributes["id"]: record for record in KafkaReader(kafka_broker.bootstrap, prefix).read()}
    for message in messages:
        record = records[message.id]
        assert record.key == (message.resource_id or "").encode()
        assert record.value == message.body
        assert record.content_type == "application/json"


@pytest.mark.parametrize("worker", [0, 1])
async def test_a_producer_without_its_tasks_is_noticed_at_once(kafka_broker: KafkaBroker, worker: int) -> None:
    """Neither what is on its way nor a quiet connection waits for a deadline when the library's own task is gone."""
    config = config_for(kafka_broker, f"p{uuid4().hex}")
    async with plugin.connect(config) as sink:
        assert isinstance(sink, _KafkaSink)
        assert list(await sink.deliver([sample(0)])) == [None]
        delivery = asyncio.create_task(sink.deliver([sample(7)]), name="delivery")  # the same partition
        sink._workers[worker].cancel()
        async with asyncio.timeout(1):
            (outcome,) = await delivery
        with pytest.raises(Unavailable) as quiet:
            await sink.deliver([])

    assert (outcome is None) == (worker == 1), "what only the sender could send is not confirmed without it"
    assert (quiet.value.reason, quiet.value.at_once) == ("session", True)


async def test_a_sender_that_fails_ends_the_connection(
    kafka_broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in the library's own task reaches what is on its way, and the next connection is whole."""
    config = config_for(kafka_broker, f"p{uuid4().hex}")
    async with plugin.connect(config) as sink:
        assert isinstance(sink, _KafkaSink)
        assert list(await sink.deliver([sample(0)])) == [None]
        monkeypatch.setattr(sink._producer._message_accumulator, "drain_by_nodes", _broken)
        async with asyncio.timeout(1):
            (outcome,) = await sink.deliver([sample(1)])
    async with plugin.connect(config) as sink:
        assert list(await sink.deliver([sample(1)])) == [None]

    assert isinstance(outcome, Unavailable)


def _broken(**_: object) -> None:
    raise RuntimeError("a fault of the library")


async def test_a_frozen_broker_leaves_nothing_behind(own_kafka_broker: KafkaBroker) -> None:
    """With megabytes on their way to a broker that says nothing, closing is quick and leaves no task and no socket.

    Neither does connecting to it.
    """
    config = config_for(own_kafka_broker, "frozen")
    before, open_before = asyncio.all_tasks(), sockets()
    async with plugin.connect(config) as sink:
        for number in range(3):
            await sink.deliver([sample(each) for each in range(100 * number, 100 * number + 100)])
        own_kafka_broker.pause()
        await _given_up(sink, 1.0)
        started = time.perf_counter()

    closed_seconds = time.perf_counter() - started
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1), plugin.connect(config):
            pass
    own_kafka_broker.resume()

    assert closed_seconds < 2
    assert asyncio.all_tasks() == before
    await until(lambda: sockets() <= open_before, 2, "all sockets closed")


async def test_a_dead_broker_leaves_nothing_behind(own_kafka_broker: KafkaBroker) -> None:
    """After the only broker is gone a delivery ends in seconds, and closing is quick."""
    config = config_for(own_kafka_broker, "dead")
    before, open_before = asyncio.all_tasks(), sockets()
    async with plugin.connect(config) as sink:
        assert list(await sink.deliver([sample(0)])) == [None]
        own_kafka_broker.kill()
        async with asyncio.timeout(5):
            outcomes = await sink.deliver([sample(each, padding=50_000) for each in range(1000, 1200)])
        with pytest.raises(Unavailable) as idle:
            await sink.deliver([])
        started = time.perf_counter()

    closed_seconds = time.perf_counter() - started
    with pytest.raises(Unavailable) as nobody:
        async with plugin.connect(config):
            pass

    assert {one.reason for one in (*outcomes, idle.value) if isinstance(one, Unavailable)} == {"network"}
    assert None not in outcomes
    assert "connecting to" in str(idle.value)
    assert closed_seconds < 2
    assert nobody.value.reason == "network"
    assert asyncio.all_tasks() == before
    await until(lambda: sockets() <= open_before, 2, "all sockets closed")


@pytest.mark.parametrize("busy", [False, True])
async def test_a_killed_broker_is_told_in_seconds_and_in_few_lines(
    own_kafka_broker: KafkaBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture, *, busy: bool
) -> None:
    """Also where there is nothing to deliver; aiokafka tries on dozens of times a second, and does not fill the log."""
    async with delivering(tmp_path, plugin, config_for(own_kafka_broker, f"killed-{busy}")) as run:
        await run.append([sample(number) for number in range(100)])
        await run.settled(20)
        own_kafka_broker.kill()
        if busy:
            await run.append([sample(number) for number in range(100, 200)])
        await until(lambda: not run.link.connected, 6, "the broker is missed")
        await until(lambda: run.link.failures > 3, 20, "it is tried again")

    gc.collect()  # errors that nobody has looked at complain when they go
    assert "no broker can be used" not in caplog.text
    assert set(run.lost) == {"network"}
    assert "connecting to" in run.link.last_error
    theirs = [record for record in caplog.records if record.name.startswith("aiokafka")]
    assert len(theirs) <= 8, [record.getMessage() for record in theirs]


async def _given_up(sink: Sink, seconds: float) -> None:
    """Deliver a megabyte to a broker that does not answer, until the deadline is over."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await sink.deliver([sample(each, padding=50_000) for each in range(1000, 1200)])
