"""The number of partitions by which keys have their places, and what is told when it is another one."""

import logging
from types import SimpleNamespace

import pytest

from bridge.ports import SinkActivity
from sinks.kafka.observation import Observation


class Cluster:
    """What a client knows of its brokers' topics; `listener` is whom it tells of it."""

    def __init__(self) -> None:
        self.topics: dict[str, int] = {}

    def add_listener(self, listener: object) -> None:
        self.listener = listener

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self.topics[topic])) if topic in self.topics else None


class Client:
    """A client whose brokers answer what the test says."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.throttle_ms = 0

    async def send(self, node: int, request: object, *, group: int = 0) -> SimpleNamespace:
        return SimpleNamespace(asked=(node, request, group), throttle_time_ms=self.throttle_ms)


async def test_the_time_that_brokers_throttle_is_summed_up() -> None:
    """Over all connections, whatever was asked; the answer reaches whoever asked."""
    activity = SinkActivity()
    observation, clients = Observation(activity), [Client(), Client()]
    for client, throttle_ms in zip(clients, (1500, 250), strict=True):
        observation.attach(client)
        client.throttle_ms = throttle_ms

    answers = [await client.send(1, "request", group=2) for client in clients]

    assert activity.throttled_seconds == 1.75
    assert [answer.asked for answer in answers] == [(1, "request", 2)] * 2


def test_more_partitions_move_no_key(caplog: pytest.LogCaptureFixture) -> None:
    """The first number stays, over connections too; the change is told once and counted."""
    activity = SinkActivity()
    observation = Observation(activity)

    spread = [observation.spread("portos.tickets", found) for found in (6, 6, 12, 12)]

    assert (spread, activity.partition_changes) == ([6, 6, 6, 6], 1)
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1
    assert "portos.tickets has 12 partitions and had 6" in told[0].getMessage()


def test_fewer_partitions_are_those_of_another_topic() -> None:
    """No partition is used that is not there, whatever that moves."""
    activity = SinkActivity()
    observation = Observation(activity)

    assert [observation.spread("portos.tickets", found) for found in (6, 3, 6)] == [6, 3, 3]
    assert activity.partition_changes == 2


def test_a_change_is_told_while_a_connection_lasts(caplog: pytest.LogCaptureFixture) -> None:
    """By what the brokers say of themselves now and then; a topic that they are not asked for is no change."""
    activity = SinkActivity()
    observation, client = Observation(activity), Client()
    observation.attach(client)
    observation.spread("portos.tickets", 6)
    observation.spread("portos.orders", 6)

    for there in ({"portos.tickets": 6}, {"portos.tickets": 12, "portos.unused": 1}, {"portos.tickets": 12}):
        client.cluster.topics = there
        client.cluster.listener(client.cluster)

    assert activity.partition_changes == 1
    assert [record.getMessage().split()[1] for record in caplog.records] == ["portos.tickets"]
