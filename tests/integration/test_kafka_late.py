"""What a connection left in the network when it was given up, and what becomes of it when it arrives after all."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from bridge.contract import sample
from bridge.errors import Unavailable
from bridge.message import Message
from bridge.policy import Pauses
from bridge.ports import Sink
from sinks.kafka import KafkaConfig, plugin
from tests.brokers import KafkaBroker, start_kafka
from tests.brokers.stall import StallingProxy
from tests.delivery import delivering
from tests.oracle.kafka import KafkaReader
from tests.support import free_port, until

pytestmark = pytest.mark.kafka

LONG_HOLD = Pauses(first_seconds=0.01, longest_seconds=0.02, hold_seconds=60)


@pytest.fixture(scope="module")
def behind() -> Iterator[tuple[KafkaBroker, int]]:
    """A broker that sends its clients to another port, where a proxy can stand."""
    port = free_port()
    broker = start_kafka(own=True, properties=f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}")
    yield broker, port
    broker.close()


@pytest.fixture
async def proxy(behind: tuple[KafkaBroker, int]) -> AsyncIterator[StallingProxy]:
    broker, port = behind
    async with StallingProxy(port) as stalling:
        stalling.to(int(broker.bootstrap.rpartition(":")[2]))
        yield stalling


def config_for(proxy: StallingProxy, **values: object) -> KafkaConfig:
    prefix = f"late{uuid4().hex}"
    return KafkaConfig.model_validate(
        {"bootstrap_servers": f"127.0.0.1:{proxy.port}", "topic_template": f"{prefix}.{{resource}}"} | values
    )


async def versions(config: KafkaConfig) -> list[int]:
    template = config.state_topic_template or config.topic_template
    reader = KafkaReader(config.bootstrap_servers[0], template.removesuffix(".{resource}"))
    return [int(record.attributes["resourceversion"]) for record in await asyncio.to_thread(reader.read)]


@asynccontextmanager
async def connected(config: KafkaConfig) -> AsyncIterator[Sink]:
    """Connect to the topics of events, or to those of states where there are any."""
    if (states := plugin.state and plugin.state(config)) is None:
        async with plugin.connect(config) as sink:
            yield sink
    else:
        async with states.connect() as connection:
            yield connection.sink


async def given_up(config: KafkaConfig, proxy: StallingProxy, messages: list[Message]) -> None:
    """Confirm the first message and give the connection up while the second is held in the network."""
    async with connected(config) as sink:
        assert list(await sink.deliver(messages[:1])) == [None]
        proxy.stall()
        delivery = asyncio.create_task(sink.deliver(messages[1:2]), name="stalled")
        await proxy.held(100, 10)
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)


async def arriving_late(config: KafkaConfig, proxy: StallingProxy) -> list[int]:
    """Let version 2 come late, after the next connection has delivered 2 and 3; give what the partition holds."""
    messages = [sample(version, resource_id="x") for version in (1, 2, 3)]
    await given_up(config, proxy, messages)
    async with connected(config) as sink:
        assert list(await sink.deliver(messages[1:])) == [None, None]
        assert await proxy.release() > 0
        await until(lambda: not proxy.held_bytes(), 5, "all is delivered")
        await until(proxy.answered, 5, "the broker has answered what came late")
        return await versions(config)


async def test_a_late_arrival_is_a_repeat_behind_newer_ones(proxy: StallingProxy) -> None:
    """Without a transactional id nothing fences a lost connection: first arrivals are in order, the last is stale."""
    assert await arriving_late(config_for(proxy), proxy) == [1, 2, 3, 2]


async def test_a_transactional_id_fences_a_lost_connection(proxy: StallingProxy) -> None:
    """The broker refuses what arrives behind the next connection: the last record is the newest."""
    assert await arriving_late(config_for(proxy, transactional_id=f"id-{uuid4().hex}"), proxy) == [1, 2, 3]


async def test_the_last_state_is_the_newest_whatever_arrives_late(proxy: StallingProxy) -> None:
    """A state topic is read for its last records, so its connection is fenced without being told to."""
    config = config_for(proxy, state_topic_template=f"portos.state.{uuid4().hex}.{{resource}}")

    assert await arriving_late(config, proxy) == [1, 2, 3]


async def test_what_arrives_before_the_next_connection_writes_is_a_repeat_in_its_place(proxy: StallingProxy) -> None:
    """The fence falls with the first batch of the next connection, and before that a late arrival is in order."""
    messages = [sample(version, resource_id="x") for version in (1, 2, 3)]
    config = config_for(proxy, transactional_id=f"id-{uuid4().hex}")
    await given_up(config, proxy, messages)

    async with plugin.connect(config) as sink:
        await proxy.release()
        await until(proxy.answered, 5, "the broker has answered what came late")
        assert list(await sink.deliver(messages[1:])) == [None, None]

    assert await versions(config) in ([1, 2, 3], [1, 2, 2, 3])


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"transactional_id": "SAME"}, "TRANSACTIONAL_ID"),
        ({"state_topic_template": "portos.state.{resource}"}, "CLIENT_ID and SITE"),
        ({"state_topic_template": "portos.state.{resource}", "transactional_id": "SAME"}, "TRANSACTIONAL_ID"),
    ],
    ids=["events", "states", "states of the events' id"],
)
async def test_two_bridges_with_one_transactional_id_are_told_of_each_other(
    proxy: StallingProxy, settings: dict[str, str], names: str
) -> None:
    """The older connection is refused, says why, and comes back slowly; nothing that it was refused is lost to it."""
    own = uuid4().hex
    config = config_for(proxy, client_id=own, **{name: value.replace("SAME", own) for name, value in settings.items()})
    first, second = ([sample(version, resource_id="x") for version in pair] for pair in ((1, 2), (3, 4)))

    async with connected(config) as older, connected(config) as newer:
        assert list(await newer.deliver(second)) == [None, None]
        refused = await older.deliver(first)

    assert {type(outcome) for outcome in refused} == {Unavailable}
    assert isinstance(refused[0], Unavailable)
    assert (refused[0].reason, refused[0].slowly, refused[0].hold_after) == ("taken_over", True, 1)
    assert f"another bridge has the same {names}; give each its own" in str(refused[0])


async def test_two_bridges_with_one_transactional_id_do_not_fence_each_other_in_turns(
    proxy: StallingProxy, tmp_path: Path
) -> None:
    """The second connection in a row that ends like that is held, and the other bridge goes on."""
    config = config_for(proxy, transactional_id=f"id-{uuid4().hex}")
    for name in ("one", "other"):
        (tmp_path / name).mkdir()

    async with (
        delivering(tmp_path / "one", plugin, config, pauses=LONG_HOLD) as one,
        delivering(tmp_path / "other", plugin, config, pauses=LONG_HOLD) as other,
    ):
        runs, number = (one, other), 0
        while not any(run.link.held for run in runs):
            number += 1
            for run in runs:
                await run.append([sample(number)])
            await asyncio.sleep(0.05)
            assert number < 200, "neither is held"

    assert max(run.lost["taken_over"] for run in runs) == 2
    assert "connection in a row that ends like that" in next(run.link.last_error for run in runs if run.link.held)
