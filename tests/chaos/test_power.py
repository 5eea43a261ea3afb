"""The power is cut under the installed program, and whatever it had accepted is delivered afterwards."""

from pathlib import Path

import pytest

from tests.brokers import KafkaBroker, MqttBroker
from tests.chaos.mutants import UNSYNCED, mutant
from tests.chaos.power import AWAY, WAYS, Way, cut_power

pytestmark = [
    pytest.mark.hub,
    pytest.mark.kafka,
    pytest.mark.mqtt,
    pytest.mark.loop,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.parametrize("way", WAYS.values(), ids=WAYS),
]


def test_a_power_cut_costs_nothing_that_was_accepted(
    way: Way, faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker
) -> None:
    """About 25 s: four cuts, with each sink away, with both away and with none; nothing is lost, order is kept."""
    outcome = cut_power(faulty_kafka, faulty_mqtt, way, len(AWAY), "1")
    print(outcome.summary)

    assert outcome.problems == []
    assert outcome.owed > 500


def test_a_journal_that_is_not_synced_is_found_out(
    way: Way, faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker, tmp_path: Path
) -> None:
    """About 20 s: with `synchronous` lowered each cut loses what had been accepted, and the test says so."""
    outcome = cut_power(faulty_kafka, faulty_mqtt, way, 3, "1", mutant(tmp_path, UNSYNCED))
    print(outcome.problems)

    for sink, what in (("kafka", "cut 1 with kafka away"), ("mqtt", "cut 2 with mqtt away")):
        assert any(problem.startswith(f"{sink}: {what} lost") for problem in outcome.problems)
    for sink in ("kafka", "mqtt"):
        assert any(problem.startswith(f"{sink}: cut 3 with kafka, mqtt away lost") for problem in outcome.problems)
