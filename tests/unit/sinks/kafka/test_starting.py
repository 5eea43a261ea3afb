"""A producer whose brokers are of no use to it: it does not begin for ever, and does not wait for ever."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, MetadataEmptyBrokerList, SaslAuthenticationFailed

from bridge.errors import Unavailable
from bridge.ports import SinkActivity
from sinks.kafka.config import KafkaConfig
from sinks.kafka.connection import Failures
from sinks.kafka.observation import Observation
from sinks.kafka.sink import _KafkaSink
from sinks.kafka.starting import start

WRONG = SaslAuthenticationFailed("bad password")


@dataclass
class Producer:
    """As much of a producer as is asked for: its brokers, and whether it ever gets a producer id."""

    starts: bool
    brokers: tuple[str, ...] = ("a", "b")
    failed: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        brokers = [SimpleNamespace(host=host, port=9093) for host in self.brokers]
        self.client = SimpleNamespace(cluster=SimpleNamespace(brokers=lambda: brokers, failed_update=lambda _: None))

    @property
    def _message_accumulator(self) -> Any:
        return SimpleNamespace(fail_all=self.failed.append, _batches={}, _pending_batches=set())

    async def start(self) -> None:
        if not self.starts:
            await asyncio.Event().wait()


def lasting() -> Failures:
    return Failures(lambda _, error: isinstance(error, SaslAuthenticationFailed))


async def test_a_start_ends_once_no_broker_is_left() -> None:
    """One that is merely down may come back; a wrong password is wrong everywhere."""
    failures = lasting()
    starting = asyncio.create_task(start(Producer(starts=False), failures))
    await asyncio.sleep(0)

    for address, error in (("a:9093", WRONG), ("b:9093", KafkaConnectionError())):
        failures.note(address, error)
    await asyncio.sleep(0.01)
    assert not starting.done()

    failures.note("b:9093", WRONG)
    failures.note("b:9093", WRONG)
    with pytest.raises(TimeoutError):
        await starting


async def test_a_start_that_is_cancelled_is_cancelled() -> None:
    """What ends it from outside is not taken for the brokers'."""
    starting = asyncio.create_task(start(Producer(starts=False), lasting()))
    await asyncio.sleep(0)

    starting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await starting


async def test_what_waits_ends_once_no_broker_is_left() -> None:
    """And the sink says so, also when it has nothing to deliver."""
    failures = lasting()
    producer = Producer(starts=True)
    await start(producer, failures)
    login = {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": "p"}
    config = KafkaConfig.model_validate({"bootstrap_servers": "a:9093"} | login)
    sink = _KafkaSink(producer, config, Observation(SinkActivity()), failures=failures)

    failures.note("a:9093", WRONG)
    assert not producer.failed
    failures.note("b:9093", WRONG)

    assert [type(error) for error in producer.failed] == [KafkaConnectionError]
    with pytest.raises(Unavailable, match="bad password; check SASL_USERNAME and SASL_PASSWORD") as caught:
        await sink.deliver([])
    assert caught.value.hold


REFUSED = ConnectionRefusedError(111, "Connection refused")


async def test_a_cluster_in_which_no_broker_is_there_is_given_up() -> None:
    """Once all were asked and none has answered: one that cannot be reached among others is no outage."""
    failures, producer = lasting(), Producer(starts=True)
    await start(producer, failures)
    searched_in_vain = producer.client.cluster.failed_update

    failures.note("a:9093", REFUSED)
    searched_in_vain(None)
    assert not failures.given_up, "b has told nothing: it may be slow"
    failures.note("b:9093", REFUSED)
    assert not failures.given_up, "a may be there again"
    searched_in_vain(MetadataEmptyBrokerList())
    assert not failures.given_up, "one has answered"

    searched_in_vain(None)

    assert failures.given_up
    assert [type(error) for error in producer.failed] == [KafkaConnectionError]


async def test_brokers_that_come_back_while_a_producer_starts_are_waited_for() -> None:
    """A start has a deadline of its own."""
    failures, producer = lasting(), Producer(starts=False)
    starting = asyncio.create_task(start(producer, failures))
    await asyncio.sleep(0)

    for address in ("a:9093", "b:9093"):
        failures.note(address, REFUSED)
    producer.client.cluster.failed_update(None)
    await asyncio.sleep(0.01)

    assert not starting.done()
    starting.cancel()
