"""A disk that is full, fails or may not be written, once each: nothing accepted is lost, all else is told."""

from pathlib import Path

import pytest

from tests.brokers import KafkaBroker, MqttBroker
from tests.chaos.disk import TROUBLES, Trouble, trouble
from tests.chaos.mutants import FORGETFUL, mutant

pytestmark = [
    pytest.mark.hub,
    pytest.mark.kafka,
    pytest.mark.mqtt,
    pytest.mark.loop,
    pytest.mark.slow,
    pytest.mark.timeout(240),
]


@pytest.mark.parametrize("kind", TROUBLES, ids=lambda kind: kind.name)
def test_a_disk_in_trouble_costs_nothing_that_was_accepted(
    kind: Trouble, faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker
) -> None:
    """About 15 s each: it ends with 74 or says what it could not store, and goes on once the cause is gone."""
    outcome = trouble(faulty_kafka, faulty_mqtt, kind, 1, "1")
    print(outcome.summary)

    assert outcome.problems == []


def test_a_sink_that_loses_what_it_confirms_is_found_out(
    faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker, tmp_path: Path
) -> None:
    """About 25 s: what the MQTT sink settles and never sends is missed, though everything else arrives."""
    outcome = trouble(faulty_kafka, faulty_mqtt, TROUBLES[0], 1, "1", mutant(tmp_path, FORGETFUL))
    print(outcome.problems)

    assert len(outcome.problems) == 1
    assert outcome.problems[0].startswith("mqtt: {'missing': ")
