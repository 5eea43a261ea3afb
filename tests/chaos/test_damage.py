"""The journal is damaged under the installed program, and what it still holds arrives; the rest is told."""

from pathlib import Path

import pytest

from tests.brokers import KafkaBroker, MqttBroker
from tests.chaos.damage import damage
from tests.chaos.mutants import UNMARKED, mutant
from tests.chaos.vandalism import LOG_CUT, SHORT

pytestmark = [pytest.mark.hub, pytest.mark.kafka, pytest.mark.mqtt, pytest.mark.slow, pytest.mark.timeout(240)]


def test_what_a_damaged_journal_has_lost_is_told_and_all_else_arrives(
    faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker
) -> None:
    """About 50 s: a bit flips in the file or its log, either is cut, another is there, only the mark is left."""
    outcome = damage(faulty_kafka, faulty_mqtt, SHORT, "1")
    print(outcome.summary)

    assert outcome.problems == []
    assert outcome.lost > 0


def test_a_lost_end_that_is_not_told_is_found_out(
    faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker, tmp_path: Path
) -> None:
    """About 10 s: what a cut log has lost is known from the mark alone; without it the judge says so."""
    outcome = damage(faulty_kafka, faulty_mqtt, [LOG_CUT], "1", mutant(tmp_path, UNMARKED), in_log=True)
    print(outcome.problems)

    assert any("are missing at the end, where 0 are told to be lost" in problem for problem in outcome.problems)
