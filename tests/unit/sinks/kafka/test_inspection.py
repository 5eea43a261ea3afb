"""How the brokers' answers are read, and whom of them is asked."""

from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError

from sinks.kafka.appraisal import Found
from sinks.kafka.config import KafkaConfig
from sinks.kafka.inspection import _Brokers, _created, _found

DESCRIBE, WRITE = 1 << 8, 1 << 4


def partition(leader: int, replicas: int, in_sync: int) -> dict[str, object]:
    return {"leader": leader, "replicas": list(range(replicas)), "isr": list(range(in_sync))}


def topic(*partitions: dict[str, object], allowed: int = DESCRIBE | WRITE, error: int = 0) -> dict[str, object]:
    return {"error_code": error, "partitions": list(partitions), "authorized_operations": allowed}


def test_a_topic_is_as_good_as_its_worst_partition() -> None:
    """Of replicas and of those in sync the fewest count."""
    found = _found(topic(partition(1, 3, 3), partition(-1, 3, 1), partition(2, 2, 2)), {"a": "b"})

    assert found == Found("", 3, 2, 1, 1, frozenset({"Describe", "Write"}), {"a": "b"})


def test_rights_that_are_not_told_are_not_taken_for_none() -> None:
    """Brokers without an authorizer, or older ones, give no answer to that question."""
    assert _found(topic(partition(1, 1, 1), allowed=-(2**31)), None).rights is None
    assert _found(topic(partition(1, 1, 1), allowed=DESCRIBE), None).rights == {"Describe"}


def test_an_error_of_a_topic_is_known_by_its_name() -> None:
    """3 is that it does not exist."""
    assert _found(topic(error=3), None) == Found("UnknownTopicOrPartitionError")


@pytest.mark.parametrize(
    ("code", "message", "rank", "said"),
    [
        (0, None, "ok", "topic a is created"),
        (29, None, "failed", "--operation Create --topic a"),
        (38, "Replication factor: 3 larger than available brokers: 1.", "failed", "larger than available"),
        (42, None, "failed", "InvalidRequestError"),
    ],
)
def test_what_became_of_a_creation_is_said_in_the_brokers_words(
    code: int, message: str | None, rank: str, said: str
) -> None:
    """A missing right is named with the command that gives it."""
    finding = _created(KafkaConfig(bootstrap_servers=("kafka:9092",)), "a", code, message)

    assert finding.rank == rank
    assert said in finding.text


class Client:
    """Knows three brokers and a controller, of which those in `there` can be connected with."""

    def __init__(self, *there: int, controller: int | None = None) -> None:
        self._there = there
        node = None if controller is None else SimpleNamespace(nodeId=controller)
        brokers = [SimpleNamespace(nodeId=number) for number in (1, 2, 3)]
        self.cluster = SimpleNamespace(brokers=lambda: brokers, controller=node)

    async def ready(self, node: int) -> bool:
        return node in self._there


@pytest.mark.parametrize(
    ("client", "asked"),
    [(Client(3), 3), (Client(2, 3, controller=3), 3), (Client(2, controller=3), 2), (Client(1, controller=None), 1)],
)
async def test_a_broker_that_is_there_is_asked(client: Client, asked: int) -> None:
    """For a new topic the controller, unless it has just gone."""
    assert await _Brokers(client)._creating() == asked


async def test_no_broker_at_all_is_an_error() -> None:
    """Whoever asks learns that there was nobody."""
    with pytest.raises(KafkaConnectionError):
        await _Brokers(Client())._answering()
