"""State topics on a Mosquitto that refuses what is too large: left out, and all others are there."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.contract import sample
from bridge.link import UNCOUNTED, Link
from bridge.message import Message
from bridge.state.numbers import Numbers, Publication
from bridge.state.publishing import Publishing
from bridge.state.row import Row, state_of
from bridge.state.store import StateStore
from sinks.mqtt import plugin
from sinks.mqtt.config import MqttConfig
from tests.brokers.mqtt import MqttBroker, start_mqtt
from tests.oracle.notices import NoticeReader
from tests.support import until
from tests.unit.loops import TIMES, kept

pytestmark = pytest.mark.mqtt

LARGE = {1, 70, 71, 150}


@pytest.fixture
def broker() -> Iterator[MqttBroker]:
    """One that says in no CONNACK what is too large for it: it refuses in a PUBACK, and closes."""
    started = start_mqtt(settings="message_size_limit 100000")
    yield started
    started.close()


@pytest.mark.parametrize("marked", [True, False])
async def test_a_state_that_is_too_large_costs_a_connection_and_no_more(
    broker: MqttBroker, tmp_path: Path, *, marked: bool
) -> None:
    """Whether the broker has a mark, so that it is behind one, or none: then each connection begins before it."""
    numbers = Numbers({"mqtt": Publication()})
    store = StateStore(tmp_path / "journal.state.db", 2**26, {"mqtt": "m"}, numbers)
    lost: Counter[str] = Counter()
    link = Link("states", replace(TIMES, connect_seconds=10), replace(UNCOUNTED, lost=lambda why: lost.update([why])))
    template = "{base}/state/{resource}/{resource_id}"
    topics = plugin.state and plugin.state(MqttConfig(url=broker.url, state_topic_template=template))
    assert topics is not None
    small = {f"{each}" for each in range(200) if each not in LARGE}
    states = [sample(each, resource_id=f"{each}", padding=150_000 if each in LARGE else 100) for each in range(200)]

    with NoticeReader(broker.host, broker.port, "portos/state/tickets") as reader:
        async with kept(link, topics.connect, Publishing("mqtt", store, link, 50, 10.0).run):
            if marked:
                await store.feed(_rows(sample(999, resource_id="first")), "journal", 1, 1.0)
                await _published(numbers)
            await store.feed(_rows(*states), "journal", 2, 1.0)
            await _published(numbers)
            await until(lambda: {found.topic for found in reader.heard()} >= small, 10, "all others are there")
    await store.close()

    assert numbers.publications["mqtt"].rejected == {"too_large": len(LARGE)}
    assert sum(lost.values()) <= 3 * len(LARGE)


async def _published(numbers: Numbers) -> None:
    await until(lambda: numbers.lag("mqtt", 0)[0] == 0, 30, "all is published or left out")


def _rows(*messages: Message) -> list[Row]:
    found = (state_of(one, lambda _: None, versioned=True) for one in messages)
    return [row for row in found if row is not None]
