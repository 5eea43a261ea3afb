"""State topics: the short form of the run of `tests.chaos.states`, and brokers that lose what they held."""

import pytest

from tests.brokers import KafkaBroker, MqttBroker
from tests.chaos.states import keep

pytestmark = [pytest.mark.kafka, pytest.mark.mqtt, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.mark.parametrize("seed", ["1", "4"])
def test_the_last_of_each_resource_is_its_newest_version(
    seed: str, faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker
) -> None:
    """Whatever order, repeats, kills and dead letters that are sent again; and no state is ever seen to go back."""
    outcome = keep(faulty_kafka, faulty_mqtt, 300, seed)
    print(outcome.summary)

    assert outcome.problems == []
