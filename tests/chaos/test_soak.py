"""The soak in its smallest form: a fault every few seconds for a minute."""

import pytest

from tests.brokers import KafkaBroker, MqttBroker
from tests.chaos.soak import SHORT, soak

pytestmark = [pytest.mark.hub, pytest.mark.kafka, pytest.mark.mqtt, pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_bridge_is_after_many_faults_what_it_was_before(faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker) -> None:
    """About 80 s: ten faults under load; all accepted is on both sinks, and nothing of the process has grown."""
    outcome = soak(faulty_kafka, faulty_mqtt, SHORT, "1")
    print(outcome.summary)

    assert outcome.problems == []
