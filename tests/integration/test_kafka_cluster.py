"""The Kafka sink on three brokers: a leader that is killed costs nothing, and what is missing is told.

A rolling restart is a long run by name.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.contract import sample
from bridge.ports import Finding
from sinks.kafka import KafkaConfig, plugin
from tests.brokers.cluster import KafkaCluster
from tests.chaos.leaders import kill_a_leader, under_load
from tests.support import until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def cluster() -> Iterator[KafkaCluster]:
    three = KafkaCluster()
    yield three
    three.close()


@pytest.mark.timeout(400)
async def test_too_few_replicas_in_sync_are_told_before_any_event(cluster: KafkaCluster) -> None:
    """A topic that `check` has created takes events without one broker; one that needs all three does not."""
    config = KafkaConfig(bootstrap_servers=tuple(cluster.bootstrap.split(",")), request_seconds=10)
    cluster.create("portos.orders", 3, {"min.insync.replicas": "3"})

    async def look(*, create: bool = False) -> list[Finding]:
        assert plugin.inspect is not None
        examples = [sample(1), sample(1, resource="orders")]
        return [finding async for finding in plugin.inspect(config, examples, create=create)][-2:]

    async def without_one() -> list[Finding]:
        found = await look()
        return found if "in sync" in found[1].text else []

    whole = await look(create=True)
    cluster.kill(3)
    tickets, orders = await until(without_one, 90, "a broker is left out")

    assert [finding.rank for finding in whole] == ["ok", "ok"]
    assert "6 partitions, 3 replicas, min.insync.replicas=2" in whole[0].text
    assert (tickets.rank, orders.rank) == ("ok", "failed")
    assert "only 2 in sync" in orders.text


@pytest.mark.timeout(300)
async def test_a_leader_that_is_killed_loses_and_reorders_nothing(cluster: KafkaCluster, tmp_path: Path) -> None:
    """Under a load that goes on all the while, and at most a window comes again for each lost session."""
    outcome = await under_load(cluster, kill_a_leader, tmp_path)

    assert outcome.problems == [], outcome.summary
