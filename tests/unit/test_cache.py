"""What is worked out for a name is kept for the next time, and long names never fill the memory."""

import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from bridge.cache import remembered
from bridge.message import RESOURCES_CHANGED, Message, percent_encoded, shared_attributes
from bridge.portos.notifications import read
from bridge.settings.privacy import same_name
from sinks.kafka.layout import Layout
from sinks.kafka.records import partition_of, record_of
from sinks.kafka.state import state_topic
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.records import packet_builder
from sinks.mqtt.state_topic import state_topics

LONG, NAMES = 2_000, 1_000
MIB = 2**20


class Length:
    """Measures names, and notes which."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def of(self, name: str) -> int:
        self.asked.append(name)
        return len(name)


def names(count: int = NAMES) -> Iterator[str]:
    """Give as many names of 2,000 characters, each of its own."""
    return (f"{number:08}" * (LONG // 8) for number in range(count))


def held_bytes(use: Callable[[str], object]) -> int:
    """Use each of the long names, and tell how much memory is still taken then."""
    use("ordinary")
    tracemalloc.start()
    try:
        for name in names():
            use(name)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_what_is_known_is_not_worked_out_again() -> None:
    length = Length()
    length_of = remembered(10)(length.of)

    assert [length_of(name) for name in ("a", "bb", "a", "bb")] == [1, 2, 1, 2]
    assert length.asked == ["a", "bb"]


def test_the_name_that_was_unused_for_longest_is_forgotten_first() -> None:
    length = Length()
    length_of = remembered(2)(length.of)

    for name in ("a", "bb", "a", "ccc", "a", "bb"):
        length_of(name)

    assert length.asked == ["a", "bb", "ccc", "bb"]


def test_long_names_are_kept_until_they_come_to_a_mebibyte_in_any_script() -> None:
    """Then all are forgotten, the short ones as well; before that none is."""
    length = Length()
    length_of = remembered(10_000)(length.of)
    some = MIB // 4 // LONG

    for name in ["short", *names(some), *names(some), "short"]:
        length_of(name)
    assert len(length.asked) == 1 + some

    for name in [*names(some + 1), "short"]:
        length_of(name)
    assert length.asked.count("short") == 2


def test_a_name_longer_than_all_that_is_kept_is_worked_out() -> None:
    length_of = remembered(10)(len)

    assert [length_of("x" * 3 * MIB) for _ in range(2)] == [3 * MIB, 3 * MIB]


def test_a_name_longer_than_all_that_is_kept_goes_with_the_next_long_one() -> None:
    length_of = remembered(10)(len)
    tracemalloc.start()
    try:
        for number in range(3):
            length_of(str(number) * 3 * MIB)
        length_of("x" * LONG)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert held < MIB


def test_a_name_that_comes_to_nothing_is_looked_at_again() -> None:
    first = remembered(10)(lambda name: name[0])

    for _ in range(2):
        with pytest.raises(IndexError):
            first("")


def message(resource: str, resource_id: str) -> Message:
    identified = ("dc7281b9-8649-5188-9589-a02f34042efb", RESOURCES_CHANGED, resource, resource_id)
    return Message(*identified, 4, "updated", 1.5, None, 2.25, b"{}")


LAYOUT = Layout(key_template="{resource}:{resource_id}")
PACKET = packet_builder(
    MqttConfig(url="mqtt://localhost", topic_template="{base}/resources/{resource}/{resource_id}"), 2**20
)
STATE_TOPIC = state_topics("{base}/state/{resource}/{resource_id}", "portos", "default")
WHATEVER_NAMES_GO_THROUGH: dict[str, Callable[[str], object]] = {
    "percent_encoded": percent_encoded,
    "shared_attributes": lambda name: shared_attributes("default", RESOURCES_CHANGED, name, "updated"),
    "same_name": same_name,
    "kafka record, by resource": lambda name: record_of(message(name, "1"), LAYOUT),
    "kafka record, by id": lambda name: record_of(message("tickets", name), LAYOUT),
    "kafka partition": lambda name: partition_of(name.encode(), 6),
    "kafka state topic": lambda name: state_topic("portos.state.{resource}", "default", name),
    "mqtt packet, by resource": lambda name: PACKET(message(name, "1"), 1, 5.0),
    "mqtt packet, by id": lambda name: PACKET(message("tickets", name), 1, 5.0),
    "mqtt state topic": lambda name: STATE_TOPIC("tickets", name),
    "time of a notification": lambda name: read(b'{"e":"x","ca":"%s","p":{}}' % (20 * name.encode()), "default", 1.0),
}


@pytest.mark.parametrize("way", WHATEVER_NAMES_GO_THROUGH)
def test_long_names_from_the_hub_do_not_stay_in_memory(way: str) -> None:
    """Two mebibytes of them pass, and what is kept of them is a part."""
    assert held_bytes(WHATEVER_NAMES_GO_THROUGH[way]) < 1.2 * MIB
