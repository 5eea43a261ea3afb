"""The bridge is killed again and again under load, and whatever it had accepted arrives, in order."""

import pytest

from tests.brokers import KafkaBroker, MqttBroker
from tests.chaos.crashes import kill

pytestmark = [pytest.mark.hub, pytest.mark.kafka, pytest.mark.mqtt, pytest.mark.slow, pytest.mark.timeout(240)]


def test_a_kill_costs_nothing_that_was_accepted(faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker) -> None:
    """About 50 s: ten kills at 500 changes/s, with each sink up, down and flapping; repeats within W + C for each."""
    report = kill(faulty_kafka, faulty_mqtt, 10, "1")
    print(report.summary)

    assert report.problems == []
    assert report.accepted > 2000
