"""How the Kafka sink hands batches over, against a producer whose brokers answer as the test says."""

import asyncio
from collections.abc import Callable

import pytest
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    OutOfOrderSequenceNumber,
    UnknownTopicOrPartitionError,
    for_code,
)

from bridge.contract import sample
from bridge.errors import Rejected, TooLarge, Unavailable
from bridge.message import Message
from bridge.ports import Shed, SinkActivity
from bridge.reference import reference
from sinks.kafka.batch import Batch
from sinks.kafka.config import KafkaConfig
from sinks.kafka.observation import Observation
from sinks.kafka.sink import _KafkaSink
from tests.unit.sinks.kafka.reading import values_of

Answer = Callable[[list[bytes]], Exception | None]


class Client:
    """Knows whether the brokers answer a question for metadata."""

    answers = True

    async def force_metadata_update(self) -> bool:
        return self.answers


class Producer:
    """A producer that notes what it is handed and when it answers; `answer` decides what the broker says of a batch."""

    def __init__(self, answer: Answer = lambda _: None) -> None:
        self.client = Client()
        self.topics = {"portos.tickets": {0}, "portos.many": set(range(6))}
        self.answer = answer
        self.log: list[tuple[str, list[bytes]]] = []
        self.answers: list[asyncio.Future[None]] = []
        self.bricked: set[str] = set()
        self.held = False
        self.handed_over = asyncio.Event()

    async def partitions_for(self, topic: str) -> set[int]:
        if topic not in self.topics:
            raise UnknownTopicOrPartitionError
        return self.topics[topic]

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[None]:
        assert batch.closed()
        values = values_of(batch)
        place = f"{topic}-{partition}"
        self.log.append((f"sent {place}", values))
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        self.handed_over.set()
        if not self.held:
            asyncio.get_running_loop().call_later(0.001, self._settle, place, values, answer)
        return answer

    def _settle(self, place: str, values: list[bytes], answer: asyncio.Future[None]) -> None:
        if answer.done():
            return
        error = OutOfOrderSequenceNumber() if place in self.bricked else self.answer(values)
        self.log.append((f"answered {place}", values))
        if error is None:
            answer.set_result(None)
        else:
            self.bricked.add(place)  # as with a real producer: it never sends to this partition again
            answer.set_exception(error)

    def sizes(self) -> list[int]:
        return [len(values) for what, values in self.log if what.startswith("sent")]


def sink_on(producer: Producer, **values: object) -> _KafkaSink:
    config = KafkaConfig.model_validate({"bootstrap_servers": "localhost:9092"} | values)
    return _KafkaSink(producer, config, Observation(SinkActivity()))


def messages(number: int, resource: str = "tickets") -> list[Message]:
    return [sample(each, resource=resource, body=b"%d" % each) for each in range(number)]


def refusing(value: bytes, error: type[KafkaError]) -> Answer:
    return lambda values: error() if value in values else None


async def test_batches_grow_from_one_record() -> None:
    """A connection begins with one record and doubles, so that a refused record is found without any memory."""
    producer = Producer()

    outcomes = await sink_on(producer).deliver(messages(20))

    assert outcomes == [None] * 20
    assert producer.sizes() == [1, 2, 4, 8, 5]


async def test_records_are_handed_over_in_order() -> None:
    """Over all batches a partition's records keep the order of the journal."""
    producer = Producer()
    sink = sink_on(producer)

    await sink.deliver(messages(20))
    await sink.deliver(messages(30)[20:])

    assert [int(value) for what, values in producer.log if "sent" in what for value in values] == list(range(30))


async def test_the_first_batch_of_each_partition_is_alone() -> None:
    """Nothing follows in a partition before its first batch of the connection is confirmed."""
    producer = Producer()

    await sink_on(producer).deliver(messages(70, "many"))

    for place in {what.split()[1] for what, _ in producer.log}:
        assert [what.split()[0] for what, _ in producer.log if what.endswith(place)][:2] == ["sent", "answered"]


async def test_the_very_first_message_of_a_connection_is_alone() -> None:
    """Nothing is handed over, to any partition, before the first message is confirmed."""
    producer = Producer()

    await sink_on(producer).deliver(messages(70, "many"))

    assert [what.split()[0] for what, _ in producer.log[:2]] == ["sent", "answered"]
    assert producer.log[0][1] == [b"0"]


async def test_a_refused_first_message_takes_nothing_along() -> None:
    """While the first message is refused, nothing behind it reaches a broker, however often it is tried."""
    producer = Producer(refusing(b"0", NotLeaderForPartitionError))

    outcomes = await sink_on(producer).deliver(messages(70, "many"))

    assert producer.sizes() == [1]
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)


async def test_a_record_refused_alone_is_rejected() -> None:
    """A batch of one that is too large for the broker is to blame itself; what follows is for a new connection."""
    producer = Producer(refusing(b"0", MessageSizeTooLargeError))

    first, *rest = await sink_on(producer).deliver(messages(5))

    assert isinstance(first, Rejected)
    assert first.reason == "too_large"
    assert all(isinstance(outcome, Unavailable) and outcome.at_once for outcome in rest)


async def test_a_record_refused_among_others_is_not_blamed_yet() -> None:
    """A larger batch that is refused rejects nobody: its records come again."""
    producer = Producer(refusing(b"9", MessageSizeTooLargeError))

    outcomes = await sink_on(producer).deliver(messages(20))

    assert outcomes[:7] == [None] * 7
    assert not [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    assert {outcome.reason for outcome in outcomes[7:15] if isinstance(outcome, Unavailable)} == {"poison_batch"}
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes[7:])


@pytest.mark.parametrize("place", [0, 1, 6, 7, 100, 199])
async def test_a_refused_record_is_found_within_a_few_connections(place: int) -> None:
    """Wherever it stands among 200, it alone is rejected after at most nine connections."""
    left = messages(200)
    rejected: list[Message] = []
    connections = 0
    while left:
        connections += 1
        outcomes = await sink_on(Producer(refusing(b"%d" % place, MessageSizeTooLargeError))).deliver(left)
        settled = next((at for at, each in enumerate(outcomes) if isinstance(each, Unavailable)), len(outcomes))
        rejected += [message for message, each in zip(left, outcomes[:settled], strict=False) if each is not None]
        left = left[settled:]

    assert [message.version for message in rejected] == [place]
    assert connections <= 9


async def test_a_topic_that_takes_smaller_batches_costs_one_connection() -> None:
    """Its limit may be below BATCH_BYTES: what it takes is remembered over connections, and other topics get theirs."""

    def most_100_000(values: list[bytes]) -> Exception | None:
        return MessageSizeTooLargeError() if sum(map(len, values)) > 100_000 else None

    config = KafkaConfig.model_validate({"bootstrap_servers": "localhost:9092"})
    observation = Observation(SinkActivity())
    left = [sample(number, body=b"x" * 1000) for number in range(1000)]
    connections = 0
    while left:
        connections += 1
        outcomes = await _KafkaSink(Producer(most_100_000), config, observation).deliver(left)
        left = left[next((at for at, each in enumerate(outcomes) if each is not None), len(outcomes)) :]

    assert connections == 2
    assert observation.batch_bytes("another", 262_144) == 262_144


async def test_everything_else_has_its_turn_while_records_are_made() -> None:
    """A page of thousands takes the loop for tens of milliseconds otherwise."""
    turns, first = 0, list[int]()

    class Noting(Producer):
        async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[None]:
            first.append(turns)
            return await super().send_batch(batch, topic, partition=partition)

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    beside = asyncio.create_task(turn())
    await sink_on(Noting()).deliver(messages(2000))
    beside.cancel()

    assert first[0] >= 7


async def test_an_error_ends_the_connection() -> None:
    """After an error nothing is handed over any more, in no partition."""
    producer = Producer(refusing(b"0", MessageSizeTooLargeError))
    sink = sink_on(producer)
    await sink.deliver(messages(1))

    outcomes = await sink.deliver(messages(3, "many"))

    assert producer.sizes() == [1]
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)


async def test_what_was_on_the_way_behind_an_error_is_not_confirmed() -> None:
    """A batch behind a failed one is answered for itself and never taken for confirmed by mistake."""
    outcomes = await sink_on(Producer(refusing(b"5", NotLeaderForPartitionError))).deliver(messages(40))

    assert outcomes[:3] == [None] * 3
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes[3:])


async def test_a_record_above_the_limit_is_rejected_before_it_is_sent() -> None:
    """What is larger than MAX_REQUEST_BYTES never reaches the producer, and its neighbours do."""
    producer = Producer()
    batch = messages(9)
    batch[4] = sample(4, body=b"x" * 5_000)

    outcomes = await sink_on(producer, batch_bytes=2_000, max_request_bytes=4_000).deliver(batch)

    assert isinstance(outcomes[4], Rejected)
    assert outcomes[4].reason == "too_large"
    assert [outcome for at, outcome in enumerate(outcomes) if at != 4] == [None] * 8
    assert b"x" * 5_000 not in [value for _, values in producer.log for value in values]


async def test_a_record_above_the_limit_goes_as_a_reference() -> None:
    """In its place, and that is its outcome once the broker has confirmed it."""
    producer = Producer()
    batch = messages(9)
    batch[4] = sample(4, body=b"x" * 5_000)

    sink = sink_on(producer, batch_bytes=2_000, max_request_bytes=4_000, oversize="reference")
    outcomes = await sink.deliver(batch)
    again = await sink.deliver(messages(9))

    sent = [value for what, values in producer.log if what.startswith("sent") for value in values]
    assert sent[:9] == [message.body for message in batch[:4]] + [reference(batch[4])] + [b"5", b"6", b"7", b"8"]
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 4 + [Shed] + [type(None)] * 4
    assert again == [None] * 9


async def test_a_reference_that_nobody_has_confirmed_is_open() -> None:
    """Its outcome is that of any other."""
    large = sample(0, body=b"x" * 5_000)
    producer = Producer(refusing(reference(large), NotLeaderForPartitionError))

    (outcome,) = await sink_on(producer, batch_bytes=2_000, max_request_bytes=4_000, oversize="reference").deliver(
        [large]
    )

    assert isinstance(outcome, Unavailable)


async def test_a_reference_above_the_limit_is_rejected() -> None:
    """There is nothing shorter."""
    producer = Producer()
    long = sample(0, resource_id="x" * 5_000, body=b"x" * 9_000)

    (outcome,) = await sink_on(producer, batch_bytes=2_000, max_request_bytes=4_000, oversize="reference").deliver(
        [long]
    )

    assert isinstance(outcome, Rejected)
    assert not isinstance(outcome, TooLarge)
    assert producer.log == []


async def test_a_record_that_a_broker_finds_too_large_is_told_from_one_that_it_finds_invalid() -> None:
    """The one may go again without its body, the other may not."""
    refused = [await sink_on(Producer(refusing(b"0", for_code(code)))).deliver(messages(1)) for code in (10, 18, 87)]

    assert [type(outcome) for (outcome,) in refused] == [TooLarge, TooLarge, Rejected]


async def test_a_record_above_the_batch_size_goes_alone() -> None:
    """BATCH_BYTES bounds batches, not records."""
    producer = Producer()
    batch = messages(9)
    batch[4] = sample(4, body=b"x" * 3_000)

    outcomes = await sink_on(producer, batch_bytes=2_000, max_request_bytes=4_000).deliver(batch)

    assert outcomes == [None] * 9
    assert [b"x" * 3_000] in [values for _, values in producer.log]


async def test_only_too_large_records_are_an_answer_too() -> None:
    """A batch in which nothing can be sent gives its outcomes without any broker."""
    producer = Producer()
    batch = [sample(number, body=b"x" * 5_000) for number in range(3)]

    outcomes = await sink_on(producer, batch_bytes=2_000, max_request_bytes=4_000).deliver(batch)

    assert all(isinstance(outcome, Rejected) for outcome in outcomes)
    assert producer.log == []


async def test_a_missing_topic_holds_and_says_so() -> None:
    """What precedes it is delivered, nothing behind it is, and the text says what to do."""
    producer = Producer()
    batch = [*messages(3), sample(3, resource="orders"), *messages(3, "many")]

    outcomes = await sink_on(producer).deliver(batch)

    assert outcomes[:3] == [None] * 3
    assert all(isinstance(outcome, Unavailable) and outcome.hold for outcome in outcomes[3:])
    assert "portos.orders" in str(outcomes[3])
    assert "create it" in str(outcomes[3])
    assert sum(producer.sizes()) == 3


async def test_silent_brokers_are_no_missing_topic() -> None:
    """Where the brokers do not answer at all, nobody is told to create a topic."""
    producer = Producer()
    producer.client.answers = False

    (outcome,) = await sink_on(producer).deliver([sample(1, resource="orders")])

    assert isinstance(outcome, Unavailable)
    assert (outcome.hold, outcome.reason) == (False, "timeout")


async def test_being_cancelled_drops_the_answers() -> None:
    """A cancelled delivery leaves no answer behind that nobody would read."""
    producer = Producer()
    producer.held = True
    delivery = asyncio.create_task(sink_on(producer).deliver(messages(5)))
    await producer.handed_over.wait()

    delivery.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivery

    assert [answer.cancelled() for answer in producer.answers] == [True]


async def test_reserved_names_are_rejected_beside_their_neighbours() -> None:
    """A resource that would land on a topic of the bridge's own costs nobody else anything."""
    outcomes = await sink_on(Producer()).deliver([*messages(2), sample(2, resource="licence"), *messages(2)])

    assert isinstance(outcomes[2], Rejected)
    assert outcomes[:2] + outcomes[3:] == [None] * 4
