"""One connection to a Kafka cluster: an idempotent producer, used batch by batch and thrown away after any error.

The only file that imports aiokafka. Why it is written as it is (aiokafka 0.14.0, Kafka 4.1.1):

- A producer that met an error refuses everything after it in that partition, for good. That is what keeps the order,
  so nothing is repeated here: the pipeline goes on with a new connection at the first event that is not confirmed.
- A broker that does not know a producer yet takes any first batch, even the second. So the first batch of a
  connection to each partition is confirmed before another one follows.
- A broker refuses a batch and does not name the record. So batches begin with one record and double: a refused batch
  of one is to blame itself, and each connection halves at least the way to the record that spoils a larger one.
- A connection's bytes may reach a broker after the connection was given up. With a transactional id all connections
  have one producer id and each a higher epoch, so that a broker that has seen the next one refuses them.
- What ended the last connection stands first in the next one. So the very first event goes alone, and what comes
  after it is not repeated with each attempt while a topic is missing or a right is refused.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    BrokerResponseError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownTopicOrPartitionError,
    kafka_errors,
)
from aiokafka.record.util import calc_crc32c

from bridge.errors import Rejected, Unavailable
from bridge.message import Message
from bridge.ports import Outcome, Shed, Sink
from sinks.kafka.batch import Batch
from sinks.kafka.compression import COMPRESSIONS
from sinks.kafka.config import KafkaConfig
from sinks.kafka.connection import Failures, at_its_cause, explained, noting_failures
from sinks.kafka.ending import abandon, watched
from sinks.kafka.fitting import fitted
from sinks.kafka.meaning import FURTHER_CODES, meaning, not_connected
from sinks.kafka.observation import Observation
from sinks.kafka.records import Record, partition_of, record_of
from sinks.kafka.starting import protection, start

__all__ = ["connect"]

_METADATA_SECONDS = 5.0
"""How long brokers get to create a topic by themselves before it counts as missing."""
_LARGEST_BATCH_RECORDS = 65_536
_TURN_RECORDS = 250
"""After so many records made, a few milliseconds' work, all else in the process has its turn."""

for _number, _name in FURTHER_CODES.items():  # else the library gives them all as one error without a number
    _named = type(_name, (BrokerResponseError,), {"errno": _number, "message": _name})
    kafka_errors.setdefault(_number, cast("type[BrokerResponseError]", _named))

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
ToRecord = Callable[[Message], Record | Rejected]
_Place = tuple[str, int]
_Item = tuple[int, Record]


@asynccontextmanager
async def connect(
    config: KafkaConfig,
    observation: Observation,
    to_record: ToRecord | None = None,
    identity: str = "TRANSACTIONAL_ID",
) -> AsyncIterator[Sink]:
    """Connect to the first broker that answers and get a producer id; leave no task and no socket behind.

    `to_record` makes the records, if not those of the events' own topics. `identity` names the variables that make the
    transactional id, where there is one. Raises `Unavailable`. Waits as long as the
    brokers let it, so it is called under a deadline.
    """
    producer: Any = AIOKafkaProducer(  # type: ignore[no-untyped-call]  # aiokafka types its consumer only
        bootstrap_servers=list(config.bootstrap_servers),
        client_id=config.client_id,
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=config.largest_batch_bytes,
        max_request_size=config.max_request_bytes,
        request_timeout_ms=round(config.request_seconds * 1000),
        transactional_id=config.fencing_id,
        **await protection(config),
    )
    observation.attach(producer.client)
    failures = noting_failures(lambda address, error: not_connected(address, error, config.login).hold)
    try:
        try:
            await start(producer, failures)
        except (KafkaError, TimeoutError) as error:
            servers = ", ".join(config.bootstrap_servers)
            if isinstance(error, KafkaConnectionError) and not failures.by_address:
                failures.by_address.update(dict.fromkeys(config.bootstrap_servers, error))
            raise explained(error, f"connecting to {servers}", failures, config.login) from error
        # Epoch and producer id are those of the transactional id, and transactions are of no use here: only the id is
        # taken out again, else aiokafka would ask for one around each batch.
        producer._txn_manager.transactional_id = None  # noqa: SLF001 - see above
        # The one sends, the other asks for metadata: without either no answer ever comes.
        workers = (producer._sender.sender_task, producer.client._sync_task)  # noqa: SLF001 - as in `abandon`
        with watched(workers[0], producer._message_accumulator):  # noqa: SLF001 - as in `abandon`
            yield _KafkaSink(producer, config, observation, workers, to_record, failures, identity)
    finally:
        await abandon(producer)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A batch that the producer has taken: which messages it holds, and the broker's answer to come."""

    numbers: list[int]
    answer: asyncio.Future[Any]


class _KafkaSink:
    """The sink of one connection."""

    def __init__(  # noqa: PLR0913 - made in one place, each is something of its own
        self,
        producer: Any,
        config: KafkaConfig,
        observation: Observation,
        workers: Sequence[asyncio.Task[Any]] = (),
        to_record: ToRecord | None = None,
        failures: Failures | None = None,
        identity: str = "",
    ) -> None:
        self._identity = identity if config.transactional_id else ""
        self._failures = failures or Failures(lambda *_: False)
        self._to_record = to_record or partial(
            record_of, layout=config.layout, structured_mode=config.ce_mode == "structured"
        )
        self._producer = producer
        self._workers = workers
        self._config = config
        self._observation = observation
        self._partitions: dict[str, int] = {}
        self._most_records: dict[_Place, int] = {}
        self._shed: dict[int, Shed] = {}
        self._over: Unavailable | None = None
        self._progress = False

    async def deliver(self, batch: Sequence[Message]) -> list[Outcome]:
        """Hand a batch over, all partitions at once, and wait for every answer of the brokers."""
        if any(worker.done() for worker in self._workers):
            raise Unavailable("a task of the producer has ended", reason="session", at_once=self._progress)
        if self._failures.given_up:
            raise explained(KafkaConnectionError(), "the cluster", self._failures, self._config.login)
        self._shed.clear()
        outcomes: dict[int, Outcome] = {}
        lanes, stop = await self._sorted(batch, outcomes)
        if not self._progress and lanes:
            place, lane = next(iter(lanes.items()))
            await self._run(place, deque([lane.popleft()]), outcomes)
        async with asyncio.TaskGroup() as group:
            for place, lane in lanes.items():
                group.create_task(self._run(place, lane, outcomes), name=f"kafka {place[0]} {place[1]}")
        self._over = self._over or stop
        unsettled = self._over or Unavailable("the event was never handed over", reason="unexpected")
        return [outcomes.get(number, unsettled) for number in range(len(batch))]

    async def _sorted(
        self, batch: Sequence[Message], outcomes: dict[int, Outcome]
    ) -> tuple[dict[_Place, deque[_Item]], Unavailable | None]:
        """Sort a batch by partition, up to the first message whose topic cannot be had, and say why it cannot.

        What comes after that message stays, since it would be repeated with each attempt.
        """
        lanes: dict[_Place, deque[_Item]] = defaultdict(deque)
        for number, message in enumerate(batch):
            if number % _TURN_RECORDS == _TURN_RECORDS - 1:
                await asyncio.sleep(0)
            record, shed = fitted(message, self._to_record, self._config)
            if shed is not None:
                self._shed[number] = shed
            if isinstance(record, Rejected):
                outcomes[number] = record
                continue
            if record.topic not in self._partitions:
                count = await self._partition_count(record.topic)
                if isinstance(count, Unavailable):
                    return lanes, count
                self._partitions[record.topic] = self._observation.spread(record.topic, count)
            partition = partition_of(record.key, self._partitions[record.topic])
            lanes[record.topic, partition].append((number, record))
        return lanes, None

    async def _partition_count(self, topic: str) -> int | Unavailable:
        """Ask for the number of partitions, and where there is no answer whether it is the topic or the brokers."""
        try:
            async with asyncio.timeout(_METADATA_SECONDS):
                return len(await self._producer.partitions_for(topic))
        except KafkaError as error:
            missing: Exception = error
        except TimeoutError:
            missing = UnknownTopicOrPartitionError()
        if isinstance(missing, UnknownTopicOrPartitionError) and not await self._brokers_answer():
            missing = TimeoutError("the brokers do not answer")
        return explained(missing, f"topic {topic}", self._failures, self._config.login)

    async def _brokers_answer(self) -> bool:
        try:
            async with asyncio.timeout(_METADATA_SECONDS):
                return bool(await self._producer.client.force_metadata_update())
        except TimeoutError:
            return False

    async def _run(self, place: _Place, lane: deque[_Item], outcomes: dict[int, Outcome]) -> None:
        """Hand over the records of one partition in order and note what became of them."""
        on_the_way: deque[_Sent] = deque()
        try:
            while lane and self._over is None:
                first = place not in self._most_records
                sent = await self._hand_over(place, lane)
                if sent is None:
                    break
                on_the_way.append(sent)
                if first:
                    await self._note(place, on_the_way, outcomes)
            while on_the_way:
                await self._note(place, on_the_way, outcomes)
        finally:
            for sent in on_the_way:
                sent.answer.cancel()

    async def _hand_over(self, place: _Place, waiting: deque[_Item]) -> _Sent | None:
        """Fill the next batch of a partition and give it to the producer; None if it does not take any."""
        topic, partition = place
        most = self._most_records.get(place, 1)
        batch = self._new_batch(topic)
        numbers: list[int] = []
        while waiting and len(numbers) < most:
            number, record = waiting[0]
            if not batch.add(record):
                break
            waiting.popleft()
            numbers.append(number)
        try:
            answer = await self._producer.send_batch(batch, topic, partition=partition)
        except (KafkaError, AssertionError) as error:  # it asserts that the partition exists
            self._over = self._over or explained(error, f"topic {topic}", self._failures, self._config.login)
            return None
        self._most_records[place] = min(2 * most, _LARGEST_BATCH_RECORDS)
        return _Sent(numbers, answer)

    def _new_batch(self, topic: str) -> Batch:
        most_bytes = self._observation.batch_bytes(topic, self._config.largest_batch_bytes)
        now_ms, compression = time.time_ns() // 1_000_000, COMPRESSIONS[self._config.compression]
        return Batch(most_bytes, now_ms, calc_crc32c, compression)

    async def _note(self, place: _Place, on_the_way: deque[_Sent], outcomes: dict[int, Outcome]) -> None:
        """Wait for the answer to the oldest batch on the way and note it for each of its messages."""
        sent = on_the_way[0]
        outcome: Rejected | Unavailable | None = None
        try:
            await sent.answer
            self._progress = True
        except KafkaError as error:
            outcome = meaning(
                type(error).__name__,
                str(error),
                f"topic {place[0]}",
                records=len(sent.numbers),
                progress=self._progress,
                identity=self._identity,
            )
            if isinstance(outcome, Unavailable):
                if isinstance(error, _TOO_LARGE):
                    self._observation.refused_batch(place[0])
                outcome = at_its_cause(outcome, self._failures, self._config.login)
        on_the_way.popleft()
        for number in sent.numbers:
            outcomes[number] = outcome or self._shed.get(number)
        if outcome is not None and self._over is None:
            self._over = _after(outcome)


def _after(outcome: Rejected | Unavailable) -> Unavailable:
    """Say what an error means for everything behind it: the producer is of no more use."""
    if isinstance(outcome, Unavailable):
        return outcome
    return Unavailable("the producer is of no more use after a refused event", reason="session", at_once=True)
