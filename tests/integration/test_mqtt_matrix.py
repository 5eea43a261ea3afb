"""The MQTT sink through the real loops on a Mosquitto that refuses, limits, freezes and dies: lost 0, disorder 0."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from bridge.contract import sample
from bridge.message import Message
from bridge.reference import reference
from sinks.mqtt import plugin
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.sink import MqttSink
from tests.brokers.mqtt import MosquittoProgram
from tests.delivery import Run, delivering, disordered
from tests.oracle.mqtt import MqttReader
from tests.oracle.record import Received
from tests.support import unavailable, until

pytestmark = pytest.mark.mqtt

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


@pytest.fixture
def start() -> Iterator[Callable[..., MosquittoProgram]]:
    """Start the program with further lines of configuration: rights and passwords are files of this machine."""
    if shutil.which("mosquitto", path=_PATH) is None:
        unavailable("mqtt", "needs the program mosquitto: install it")
    brokers: list[MosquittoProgram] = []

    def start_one(settings: str = "") -> MosquittoProgram:
        brokers.append(MosquittoProgram(settings))
        return brokers[-1]

    yield start_one
    for broker in brokers:
        broker.close()


def config(broker: MosquittoProgram, **settings: object) -> MqttConfig:
    return MqttConfig.model_validate({"url": broker.url, "window_events": 50, **settings})


def identity(found: Received) -> str:
    """Give the id of an event, which stands in the payload over MQTT 3.1.1."""
    return found.attributes.get("id") or str(json.loads(found.value)["id"])


async def judge(reader: MqttReader, messages: Sequence[Message], *, buried: int = 0, repeats: int = 0) -> None:
    """Check that all arrived but the buried, in order, and how often something came again."""
    wanted = len(messages) - buried
    await until(lambda: len(set(map(identity, reader.read()))) >= wanted, 30, "all have arrived")
    arrived = [identity(found) for found in reader.read()]
    assert len({message.id for message in messages} - set(arrived)) == buried
    assert disordered(messages, arrived) == []
    assert len(arrived) - len(set(arrived)) <= repeats


async def held(run: Run, reason: str) -> None:
    await until(lambda: run.link.held, 20, "the sink is held")
    assert reason in run.link.last_error


def mixed(number: int) -> list[Message]:
    return [sample(each, resource=("tickets", "orders")[each % 2]) for each in range(number)]


async def test_a_right_that_is_taken_and_given_again(start: Callable[..., MosquittoProgram], tmp_path: Path) -> None:
    """A denied topic holds the sink and nothing is dropped; the next attempt after the right is given goes through."""
    rights = tmp_path / "acl"
    few = "topic read #\ntopic write portos/resources/tickets\n"
    rights.write_text(few)
    broker, messages = start(f"acl_file {rights}"), mixed(300)

    with MqttReader(broker.host, broker.port, qos=0) as reader:
        async with delivering(tmp_path, plugin, config(broker)) as run:
            for turn in range(3):
                await run.append(messages[100 * turn : 100 * turn + 100])
                await held(run, "grant the topic")
                _reload(broker, rights, f"{few}topic write portos/resources/orders\n")
                await run.settled(20)
                assert not run.link.held
                _reload(broker, rights, few)
        await judge(reader, messages, repeats=50 * sum(run.lost.values()))

    assert run.dead_letters() == {}


def _reload(broker: MosquittoProgram, file: Path, text: str) -> None:
    file.write_text(text)
    broker.program.signal(signal.SIGHUP)


async def test_a_password_that_is_wrong_and_then_right(start: Callable[..., MosquittoProgram], tmp_path: Path) -> None:
    """A refused login holds the sink, and the next attempt after the password is right goes through."""
    tool = shutil.which("mosquitto_passwd", path=_PATH)
    if tool is None:
        unavailable("mqtt", "needs the program mosquitto_passwd, which comes with mosquitto")
    passwords = tmp_path / "passwords"
    passwords.touch(0o600)
    subprocess.run([tool, "-b", str(passwords), "bridge", "another"], check=True)  # noqa: ASYNC221 - it takes milliseconds
    broker, messages = start(f"allow_anonymous false\npassword_file {passwords}"), mixed(100)

    async with delivering(tmp_path, plugin, config(broker, username="bridge", password="canary")) as run:
        await run.append(messages)
        await held(run, "check USERNAME and PASSWORD")
        assert run.left == 100
        subprocess.run([tool, "-b", str(passwords), "bridge", "canary"], check=True)  # noqa: ASYNC221 - as above
        broker.program.signal(signal.SIGHUP)
        await run.settled(20)

    assert run.dead_letters() == {}
    assert not run.link.held


async def test_another_client_of_the_same_name_again_and_again(
    start: Callable[..., MosquittoProgram], tmp_path: Path
) -> None:
    """Each takeover costs a session and at most a window of repeats, and never an event or its place."""
    broker, messages = start(), [sample(number) for number in range(2000)]

    with MqttReader(broker.host, broker.port, qos=0) as reader:
        async with delivering(tmp_path, plugin, config(broker, client_id="same")) as run:
            for part in range(0, 2000, 500):
                await run.append(messages[part : part + 500])
                async with plugin.connect(config(broker, client_id="same")):
                    pass
            await run.settled(30)
        await judge(reader, messages, repeats=50 * sum(run.lost.values()))

    assert sum(run.lost.values()) >= 1
    assert run.dead_letters() == {}


@pytest.mark.parametrize("receive_maximum", [1, 5])
async def test_a_receive_maximum_is_kept(
    start: Callable[..., MosquittoProgram], tmp_path: Path, receive_maximum: int
) -> None:
    """A real broker that takes so many at a time ends no connection for too many."""
    broker = start(f"max_inflight_messages {receive_maximum}")
    messages = [sample(number, resource_id=f"{number}") for number in range(500)]

    with MqttReader(broker.host, broker.port) as reader:
        async with delivering(tmp_path, plugin, config(broker)) as run:
            await run.append(messages)
            await run.settled(20)
        await judge(reader, messages)
    async with plugin.connect(config(broker)) as sink:
        assert isinstance(sink, MqttSink)
        assert sink._largest_window == receive_maximum

    assert not run.lost


@pytest.mark.parametrize("oversize", ["reference", "dead_letter"])
@pytest.mark.parametrize(
    ("limit", "lost"), [("", 0), ("max_packet_size 5000", 0), ("message_size_limit 5000", 3)], ids=str
)
async def test_what_is_too_large_costs_its_neighbours_nothing(
    start: Callable[..., MosquittoProgram], tmp_path: Path, limit: str, lost: int, oversize: str
) -> None:
    """One in a thousand, for each limit there is: it is a reference in its place or a dead letter, and no more.

    What the settings or CONNACK tell costs no connection. Mosquitto's `message_size_limit` is told by neither: it
    refuses in a PUBACK, by a code that is not for it, and closes, once for each. The reset of its socket may overtake
    that PUBACK, which is a connection more, and no loop.
    """
    broker = start(limit)
    messages = [sample(number, padding=9000 if number % 1000 == 517 else 100) for number in range(3000)]
    settings = {"oversize": oversize} | ({} if limit else {"max_packet_bytes": 5000})

    with MqttReader(broker.host, broker.port) as reader:
        async with delivering(tmp_path, plugin, config(broker, **settings)) as run:
            await run.append(messages)
            await run.settled(60)
        shed, buried = (3, 0) if oversize == "reference" else (0, 3)
        await judge(reader, messages, buried=buried, repeats=50 * sum(run.lost.values()))

    references = {message.id: reference(message) for message in messages}
    without = {(one.attributes["id"], one.value) for one in reader.read() if "bodyshed" in one.attributes}
    assert (run.shed(), run.dead_letters()) == (shed, {"too_large": 3} if buried else {})
    assert len(without) == shed
    assert without <= references.items()
    assert run.lost["too_large"] == lost
    assert sum(run.lost.values()) <= 3 * lost


@pytest.mark.parametrize("oversize", ["reference", "dead_letter"])
async def test_a_broker_of_mqtt_3_that_only_closes_is_not_asked_for_ever(
    start: Callable[..., MosquittoProgram], tmp_path: Path, oversize: str
) -> None:
    """Over 3.1.1 Mosquitto says nothing of its `max_packet_size`: three connections for each, and all else in order."""
    broker = start("max_packet_size 20000")
    messages = [sample(number, padding=30_000 if number % 1000 == 517 else 100) for number in range(3000)]

    with MqttReader(broker.host, broker.port) as reader:
        async with delivering(tmp_path, plugin, config(broker, version="3.1.1", oversize=oversize)) as run:
            await run.append(messages)
            await run.settled(60)
        shed, buried = (3, 0) if oversize == "reference" else (0, 3)
        await judge(reader, messages, buried=buried, repeats=50 * sum(run.lost.values()))

    assert (run.shed(), run.dead_letters()) == (shed, {"too_large": 3} if buried else {})
    assert run.lost["too_large"] == 3 * 3
    assert sum(run.lost.values()) <= 6 * 3


@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_a_broker_that_goes_away_and_comes_back(
    start: Callable[..., MosquittoProgram], tmp_path: Path, fault: str
) -> None:
    """In the middle of a load: all is confirmed, in order, and at most a window comes again for a lost session."""
    broker, messages = start(), [sample(number) for number in range(2000)]

    with MqttReader(broker.host, broker.port, qos=0) as reader:
        broker.save()
        async with delivering(tmp_path, plugin, config(broker), answer_seconds=1.5) as run:
            for part in range(0, 2000, 100):
                await run.append(messages[part : part + 100])
                if part == 1000:
                    await asyncio.to_thread(_strike, broker, fault)
            await run.settled(30)
        if fault == "frozen":  # a killed Mosquitto forgets what it has acknowledged and not handed on yet
            await judge(reader, messages, repeats=50 * sum(run.lost.values()))

    arrived = [found.attributes["id"] for found in reader.read()]
    assert disordered(messages, arrived) == []
    assert run.dead_letters() == {}
    assert run.lost or fault == "frozen"


def _strike(broker: MosquittoProgram, fault: str) -> None:
    if fault == "killed":
        broker.restart()
    else:
        broker.pause()
        time.sleep(3)
        broker.resume()
