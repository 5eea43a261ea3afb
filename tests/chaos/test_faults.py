"""Each fault once: nothing accepted is missing, order is kept, repeats and recovery stay within their bounds."""

from random import Random

import pytest

from tests.brokers import KafkaBroker, MqttBroker
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.run import run

pytestmark = [pytest.mark.hub, pytest.mark.kafka, pytest.mark.mqtt, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_costs_nothing_that_was_accepted(
    fault: Fault, faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker
) -> None:
    """Whatever breaks, the hub's ledger and the consumers agree afterwards."""
    figures = run(fault, faulty_kafka, faulty_mqtt, Random(5))  # noqa: S311 - the moment of a fault is no secret
    print(figures)

    assert figures.problems == ()
    assert figures.accepted > 500
