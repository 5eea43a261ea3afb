"""A broker that refuses: whatever it says and to whom, nothing is lost and no resource goes back in time."""

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import pytest

from bridge.contract import sample
from bridge.message import Message
from sinks.mqtt import plugin
from sinks.mqtt.config import MqttConfig
from tests.delivery import Run, delivering, disordered
from tests.unit.sinks.mqtt.fake_broker import ACCEPTED, FakeBroker, puback


def message(number: int, identity: str) -> Message:
    return sample(number, resource_id=identity, body=b"<%d>" % number)


class Refusing(FakeBroker):
    """A broker that has codes in store for some messages, one for each time they come, and then takes them.

    It answers a message late, behind others that have come with it, so that it can refuse one whose successors it has.
    """

    def __init__(self, codes: Mapping[int, list[int]], **options: bytes) -> None:
        super().__init__(answer=self._decide, **options)
        self._codes = {number: list(codes) for number, codes in codes.items()}
        self.taken: list[int] = []

    def _decide(self, number: int, packet_id: int) -> bytes:
        version = int(self.bodies[number].rsplit(b"<", 1)[1][:-1])
        codes = self._codes.get(version)
        code = codes.pop(0) if codes else 0
        if code < 0x80:
            self.taken.append(version)
        return puback(packet_id, code)


async def settled(folder: Path, broker: FakeBroker, messages: list[Message], **settings: object) -> Run:
    config = MqttConfig.model_validate({"url": broker.url, **settings})
    async with delivering(folder, plugin, config) as run:
        await run.append(messages)
        await run.settled(20)
    return run


def ids(messages: list[Message], numbers: list[int]) -> list[str]:
    return [messages[number].id for number in numbers]


@pytest.mark.parametrize("code", [0x80, 0x83, 0x87, 0x91, 0x97, 0xA5])
async def test_a_message_that_is_refused_for_a_time_stays_before_its_successors(code: int, tmp_path: Path) -> None:
    """Version 1 is refused twice while a hundred others are on their way: its resource comes out in order."""
    messages = [message(number, f"id-{number % 50}") for number in range(200)]

    async with Refusing({120: [code, code]}) as broker:
        run = await settled(tmp_path, broker, messages)

    assert set(broker.taken) == set(range(200))
    assert disordered(messages, ids(messages, broker.taken)) == []
    assert run.dead_letters() == {}


@pytest.mark.parametrize(("code", "times"), [(0x90, 1), (0x99, 1), (0x80, 3), (0x83, 3)])
async def test_a_message_that_is_refused_for_good_is_the_only_dead_letter(
    code: int, times: int, tmp_path: Path
) -> None:
    """It costs nobody else anything, and its successors come in order."""
    messages = [message(number, f"id-{number % 5}") for number in range(100)]

    async with Refusing({12: [code] * times}) as broker:
        run = await settled(tmp_path, broker, messages)

    assert set(broker.taken) == set(range(100)) - {12}
    assert disordered(messages, ids(messages, broker.taken)) == []
    assert run.dead_letters() == {"refused": 1}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("receive_maximum", [1, 5, 100])
async def test_a_broker_that_refuses_at_random_neither_loses_nor_reorders(
    seed: int, receive_maximum: int, tmp_path: Path
) -> None:
    """A tenth of all messages is refused, by any code and up to twice, over few resources and any window."""
    dice = Random(seed)  # noqa: S311 - no secret
    messages = [message(number, f"id-{dice.randrange(4)}") for number in range(150)]
    codes = {number: [dice.choice([0x80, 0x87, 0x97])] * dice.choice([1, 2]) for number in dice.sample(range(150), 15)}
    connack = b"\x20\x06\x00\x00\x03\x21" + receive_maximum.to_bytes(2, "big")

    async with Refusing(codes, connack=connack) as broker:
        run = await settled(tmp_path, broker, messages)

    assert set(broker.taken) == set(range(150))
    assert disordered(messages, ids(messages, broker.taken)) == []
    assert run.dead_letters() == {}
    assert broker.peak <= receive_maximum


async def test_a_denied_topic_is_asked_for_alone(tmp_path: Path) -> None:
    """What ended a connection stands first in the next one: what follows is not published again with each attempt."""
    messages = [message(number, f"id-{number}") for number in range(50)]

    async with Refusing({0: [0x87] * 6}) as broker:
        await settled(tmp_path, broker, messages)

    assert broker.connections == 7
    assert broker.taken == list(range(50))
    assert len(broker.bodies) == 50 + 6


@pytest.mark.parametrize("code", [0x81, 0x90, 0x95, 0x99])
async def test_a_message_for_which_the_broker_disconnects_is_found_and_buried(code: int, tmp_path: Path) -> None:
    """A broker that ends the connection instead of answering names nobody: who is alone then is blamed.

    For its size at once, for anything else the third time.
    """
    messages = [message(number, f"id-{number}") for number in range(40)]

    def disconnecting(take: Callable[[int, int], bytes]) -> Callable[[int, int], bytes]:
        def answer(number: int, packet_id: int) -> bytes:
            poison = broker.bodies[number].endswith(b"<17>")
            return bytes([0xE0, 2, code, 0]) if poison else take(number, packet_id)

        return answer

    async with Refusing({}) as broker:
        broker.answer = disconnecting(broker.answer)
        run = await settled(tmp_path, broker, messages)

    assert set(broker.taken) == set(range(40)) - {17}
    assert run.dead_letters() == {{0x81: "other", 0x95: "too_large"}.get(code, "refused"): 1}


@pytest.mark.parametrize("how", ["PUBACK", "PUBACK and goes on", "DISCONNECT"])
async def test_what_a_broker_refuses_for_its_size_goes_again_without_its_body(how: str, tmp_path: Path) -> None:
    """In its place, also before those of its resource that this broker would have taken."""
    messages = [
        sample(number, resource_id=f"id-{number % 3}", body=b"x" * 2_000 if number == 17 else b"x")
        for number in range(60)
    ]
    places = {message.id.encode(): number for number, message in enumerate(messages)}
    taken: list[int] = []

    def answer(number: int, packet_id: int) -> bytes:
        body = broker.bodies[number]
        if len(body) > 2_000:
            if how == "DISCONNECT":
                return b"\xe0\x02\x95\x00"
            broker.transport.write(puback(packet_id, 0x95))
            if how == "PUBACK":
                broker.transport.close()
            return b""
        taken.append(next(place for identity, place in places.items() if identity in body))
        return puback(packet_id)

    async with FakeBroker(answer=answer) as broker:
        run = await settled(tmp_path, broker, messages, oversize="reference")

    assert set(taken) == set(range(60))
    assert disordered(messages, ids(messages, taken)) == []
    assert (run.dead_letters(), run.shed()) == ({}, 1)
    assert sum(run.lost.values()) <= (2 if how == "DISCONNECT" else 1)


@pytest.mark.parametrize(
    ("size", "oversize", "shed", "letters"),
    [(20_000, "reference", 1, {}), (20_000, "dead_letter", 0, {"too_large": 1})],
)
async def test_a_broker_that_closes_without_a_word_on_a_large_message_is_not_asked_for_ever(
    size: int, oversize: str, shed: int, letters: dict[str, int], tmp_path: Path
) -> None:
    """Brokers of MQTT 3.1.1 have no other way to say that a message is too large: the third time it is believed."""
    messages = [
        sample(number, resource_id=f"id-{number}", body=b"x" * (size if number == 17 else 9)) for number in range(40)
    ]

    def answer(number: int, packet_id: int) -> bytes:
        if len(broker.bodies[number]) > size:
            broker.transport.close()
            return b""
        return puback(packet_id)

    async with FakeBroker(answer=answer, connack=b"\x20\x02\x00\x00") as broker:
        run = await settled(tmp_path, broker, messages, version="3.1.1", oversize=oversize)

    assert (run.shed(), run.dead_letters()) == (shed, letters)
    assert run.lost["too_large"] == 3
    assert sum(run.lost.values()) <= 4


@pytest.mark.parametrize(
    ("version", "size", "connack"), [("3.1.1", 9_000, b"\x20\x02\x00\x00"), ("5", 20_000, ACCEPTED)], ids=["small", "5"]
)
async def test_a_broker_that_goes_away_on_a_message_is_asked_for_ever(
    version: str, size: int, connack: bytes, tmp_path: Path
) -> None:
    """Nobody is blamed for what is no fault of a message, nor where the broker could have said that it is."""
    left = [True] * 5

    def answer(_number: int, packet_id: int) -> bytes:
        if left:
            left.pop()
            broker.transport.close()
            return b""
        return puback(packet_id)

    async with FakeBroker(answer=answer, connack=connack) as broker:
        run = await settled(tmp_path, broker, [sample(0, body=b"x" * size)], version=version, oversize="reference")

    assert (run.shed(), run.dead_letters()) == (0, {})


@pytest.mark.parametrize("code", [0x80, 0x82, 0x8B, 0x93, 0x98])
async def test_nobody_is_blamed_for_a_disconnect_that_is_about_no_message(code: int, tmp_path: Path) -> None:
    """The same message alone on its way at the end of five connections is no reason to give it up."""
    left = [code] * 5

    def answer(number: int, packet_id: int) -> bytes:
        return bytes([0xE0, 2, left.pop(), 0]) if left else Refusing._decide(broker, number, packet_id)

    async with Refusing({}) as broker:
        broker.answer = answer
        run = await settled(tmp_path, broker, [message(0, "id")])

    assert broker.taken == [0]
    assert run.dead_letters() == {}
