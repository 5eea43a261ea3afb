"""The Kafka sink on three brokers: a leader that is killed costs nothing. A rolling restart is a long run by name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers.cluster import KafkaCluster
from tests.chaos.leaders import kill_a_leader, under_load

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def cluster() -> Iterator[KafkaCluster]:
    three = KafkaCluster()
    yield three
    three.close()


@pytest.mark.timeout(300)
async def test_a_leader_that_is_killed_loses_and_reorders_nothing(cluster: KafkaCluster, tmp_path: Path) -> None:
    """Under a load that goes on all the while, and at most a window comes again for each lost session."""
    outcome = await under_load(cluster, kill_a_leader, tmp_path)

    assert outcome.problems == [], outcome.summary
