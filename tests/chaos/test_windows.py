"""Short forms of the long runs: what was missed is told on both sinks, and what is planned is not missed at all.

About two minutes together; `make chaos` makes the long ones.
"""

from dataclasses import replace

import pytest

from tests.brokers import KafkaBroker, MqttBroker
from tests.chaos.coverage import SHORT, cover
from tests.chaos.deaf import LOADED, forget
from tests.chaos.outages import OUTAGES
from tests.chaos.rotation import ROTATIONS, rotate

pytestmark = [pytest.mark.hub, pytest.mark.kafka, pytest.mark.mqtt, pytest.mark.slow, pytest.mark.timeout(240)]

_RECYCLING = {"HUB__RECYCLE_SECONDS": "2"}


def test_whatever_was_missed_was_told(faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker) -> None:
    """Every outage once, about 50 s: whatever was missed lies in a window, and no window says more than the truth."""
    report = cover(faulty_kafka, faulty_mqtt, SHORT, "1")
    print(report.summary)

    assert report.problems == []
    assert report.coverage.to_nobody > 500
    assert report.coverage.unread > 100
    assert report.accepted > 1000
    assert len(report.coverage.told) >= len(OUTAGES) - 3


@pytest.mark.parametrize("name", ["token rotation", "recycling"])
def test_a_rotation_costs_nothing(name: str, faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker) -> None:
    """About 20 s each: none unheard, missing or repeated, no blind second, at most two connections, one login."""
    rotation = ROTATIONS[name]
    if rotation.settings:
        rotation = replace(rotation, seconds=2, settings=_RECYCLING)

    report = rotate(faulty_kafka, faulty_mqtt, rotation, 4)
    print(report.summary)

    assert report.problems == []
    assert report.accepted > 1000


def test_a_hub_with_one_seat_costs_told_windows_only(faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker) -> None:
    """About 15 s: every rotation is a window, and nothing is missed outside of them."""
    rotation = replace(ROTATIONS["recycling, one seat"], seconds=2, settings=_RECYCLING)

    report = rotate(faulty_kafka, faulty_mqtt, rotation, 3)
    print(report.summary)

    assert report.problems == []
    assert len(report.coverage.told) > 3
    assert {window.cause for window in report.coverage.told} == {"first_start", "planned"}


def test_a_forgotten_subscription_is_told_from_the_last_change_heard(
    faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker
) -> None:
    """About 20 s: under load it hears again within 10 s, and the window begins within a second of the last change."""
    report = forget(faulty_kafka, faulty_mqtt, LOADED, 1, "1")
    print(report.summary)

    assert report.problems == []
    assert report.coverage.to_nobody > 500
