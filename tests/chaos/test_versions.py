"""Short forms of the runs about versions, and the table of resets and deletes, on the real hub.

About a minute and a half together; `make chaos` makes the long ones.
"""

from datetime import UTC, datetime, timedelta

import pytest

from tests.brokers import KafkaBroker, MqttBroker
from tests.chaos.versions import gap_events, repeat, settled, versioned, withhold
from tests.chaos.world import FIRST
from tests.oracle.record import Received
from tests.support import wait_until

pytestmark = [pytest.mark.hub, pytest.mark.kafka, pytest.mark.mqtt, pytest.mark.slow, pytest.mark.timeout(240)]

MODES = pytest.mark.parametrize("mode", ["monotonic", "contiguous"])


def test_every_interior_gap_is_told_with_exactly_its_versions(
    faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker
) -> None:
    """1 % of 5,000 changes are withheld: each between two others is told on both sinks, once, and no other."""
    outcome = withhold(faulty_kafka, faulty_mqtt, 5_000, "1")
    print(outcome.summary)

    assert outcome.problems == []
    assert outcome.count > 30


@MODES
def test_what_the_hub_repeats_is_published_once(mode: str, faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker) -> None:
    """30 % of 1,000 changes come again, soon or late: published is what is distinct, and no repeat is a gap."""
    outcome = repeat(faulty_kafka, faulty_mqtt, mode, 1_000, "1")
    print(outcome.summary)

    assert outcome.problems == []
    assert outcome.count == 300


NOW = datetime(2026, 3, 4, 9, 15, tzinfo=UTC)
CASES = {
    # what comes as (version, action, minutes later), and what is published of it
    "restored": ([(5, 2, 0), (2, 2, 9), (3, 2, 10), (5, 2, 0)], ["5", "2 reset", "3"]),
    "the-same-again-later": ([(5, 2, 0), (5, 2, 9)], ["5", "5 reset"]),
    "late": ([(5, 2, 5), (4, 2, 4)], ["5"]),
    "deleted-with-the-next": ([(5, 2, 0), (6, 3, 1)], ["5", "6 deleted"]),
    "deleted-with-the-last": ([(5, 2, 0), (5, 3, 1), (5, 3, 1)], ["5", "5 deleted"]),
    "deleted-at-once": ([(5, 2, 0), (5, 3, 0)], ["5", "5 deleted"]),
    "deleted-and-made-anew": ([(5, 2, 0), (5, 3, 1), (1, 1, 2), (2, 2, 3)], ["5", "5 deleted", "1 created reset", "2"]),
    "deleted-too-early": ([(5, 2, 5), (4, 3, 4)], ["5"]),
}


@MODES
def test_resets_and_deletes_are_what_the_table_says(
    mode: str, faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker
) -> None:
    """A reset passes and is flagged, a delete with the last version passes, and what is older does not."""
    came = [(name, *each) for name, (events, _) in CASES.items() for each in events]
    with versioned(faulty_kafka, faulty_mqtt, mode) as world:
        for name, version, action, minutes in came:
            world.hub.raw("OnEvent", _notification(name, version, action, NOW + timedelta(minutes=minutes)))
        received = "portos_bridge_events_received_total"
        wait_until(lambda: world.bridge.metric(received) == len(came), 20, "all of the table")
        settled(world, sum(len(published) for _, published in CASES.values()))

        for records in (world.mqtt_reader.read(), world.kafka_reader.read()):
            found: dict[str, list[str]] = {}
            for record in records:
                found.setdefault(record.attributes["resourceid"], []).append(_in_short(record))
            assert found == {name: published for name, (_, published) in CASES.items()}
        assert gap_events(world) == {"kafka": [], "mqtt": []}


def test_a_hub_that_begins_again_with_version_1_is_published_whole(
    faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker
) -> None:
    """Every resource of a server restored from nothing begins with a reset, and nothing of it is a repeat."""
    with versioned(faulty_kafka, faulty_mqtt, "monotonic") as world:
        world.hub.wait_burst(world.hub.burst(300, rate=0, ids=10, resources=FIRST), 20)
        settled(world, 300)
        world.hub.restart()
        wait_until(world.subscribed, 20, "subscribed again")
        world.hub.wait_burst(world.hub.burst(300, rate=0, ids=10, resources=FIRST), 20)
        settled(world, 600)

        second = world.mqtt_reader.read()[300:]
    flagged = [record for record in second if record.attributes.get("versionreset") == "true"]
    assert len(flagged) == 10 * len(FIRST)
    assert {record.attributes["resourceversion"] for record in flagged} == {"1"}


def _notification(resource_id: str, version: int, action: int, at: datetime) -> dict[str, object]:
    info = {"i": resource_id, "n": "tickets", "v": version}
    who = {"u": "1", "d": "P01", "f": None}
    payload = {"u": who, "n": "tickets", "a": action, "i": info, "r": [{"_v": version}]}
    created_at = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"e": "portos.resources.changed", "r": None, "ca": created_at, "ea": None, "p": payload}


def _in_short(record: Received) -> str:
    attributes = record.attributes
    words = [attributes["resourceversion"]]
    words += [attributes["resourceaction"]] * (attributes["resourceaction"] != "updated")
    return " ".join([*words, *(["reset"] if attributes.get("versionreset") == "true" else [])])
