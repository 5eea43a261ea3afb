"""The short form of the run with poison among events, on a real Kafka; `make chaos` makes the long one."""

import pytest

from tests.brokers import KafkaBroker, MqttBroker
from tests.chaos.poison import poison
from tests.support import unavailable

pytestmark = [pytest.mark.hub, pytest.mark.kafka, pytest.mark.mqtt, pytest.mark.slow, pytest.mark.timeout(240)]


def test_poison_is_kept_aside_and_goes_out_in_order_once_its_cause_is_gone(
    faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker
) -> None:
    """One event in a thousand is too large for its topic: the others are delivered in order within two seconds.

    With the limit raised, a retry sends what nothing newer has overtaken, in order, and a second one changes nothing.
    """
    if not faulty_kafka.real:
        unavailable("kafka", "needs a real Kafka, which limits the size of records: set TEST_KAFKA_BROKER")

    outcome = poison(faulty_kafka, faulty_mqtt, thousands=8, rate=500)
    print(outcome.summary)

    assert outcome.problems == []
    assert outcome.letters == 8
