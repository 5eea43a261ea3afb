"""Faults after which a bridge could look alive and do nothing: each is shown where the table says, and in time."""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.brokers import KafkaBroker, MqttBroker
from tests.chaos.zombies.haunt import Outcome, haunted
from tests.chaos.zombies.zombie import ZOMBIES, Zombie

pytestmark = [
    pytest.mark.hub,
    pytest.mark.kafka,
    pytest.mark.mqtt,
    pytest.mark.loop,
    pytest.mark.slow,
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def outcomes(faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker) -> Iterator[dict[str, Future[Outcome]]]:
    """What each fault comes to; all of them happen at once, which takes as long as the slowest."""
    with haunted(faulty_kafka, faulty_mqtt) as begun:
        yield begun


@pytest.mark.parametrize("zombie", ZOMBIES, ids=lambda zombie: zombie.name)
def test_a_fault_shows_where_the_table_says_and_in_time(zombie: Zombie, outcomes: dict[str, Future[Outcome]]) -> None:
    """About two minutes for all of them: no probe goes the wrong way, and all is well again in time."""
    outcome = outcomes[zombie.name].result()
    print(outcome.summary)

    assert outcome.problems == []
