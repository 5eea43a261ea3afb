"""What is sent, and what of it arrives: the hub's bursts, and counting and timing at the broker."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from tests.bench.contender import Place
from tests.bench.packets import created_at
from tests.bench.subscriber import STALL_SECONDS, Seen
from tests.brokers.process import Program
from tests.support import wait_until

__all__ = ["PLAIN", "KafkaWatch", "Load", "MqttWatch", "Watch", "burst", "watching"]

PARTITIONS = 6
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Load:
    """What the notifications of a burst are like."""

    size: int = 1000
    ids: int = 1000


PLAIN = Load()


def burst(place: Place, count: int, rate: float, load: Load = PLAIN) -> int:
    """Begin a burst of notifications, in turn over the resources."""
    return place.hub.burst(count, rate=rate, ids=load.ids, size=load.size, resources=place.resources)


class KafkaWatch:
    """Looks at the ends of the topics' partitions, or reads them where latency is sampled.

    Where it is `stamped`, the broker puts its own clock on each record, for `arrivals` to be exact.
    """

    def __init__(
        self, bootstrap: str, topics: Sequence[str], warm: int, count: int, *, sampled: bool, stamped: bool = False
    ) -> None:
        self._quiet = {"bootstrap.servers": bootstrap, "log_level": 0}
        self._admin = AdminClient(self._quiet)
        self._places = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
        self._create(topics, {"message.timestamp.type": "LogAppendTime"} if stamped else {})
        self._begin = wait_until(self._ends, 10, f"the leaders of {topics[0]} answer")
        self._warm, self._events = warm, count
        self._consumer: Consumer | None = None
        if sampled:
            self._consumer = self._reader()
            self._consumer.poll(1)  # it connects now, not when the first record comes

    def _reader(self) -> Consumer:
        consumer = Consumer(self._quiet | {"group.id": "bench", "enable.auto.commit": False})
        places = zip(self._places, self._begin, strict=True)
        consumer.assign([TopicPartition(at.topic, at.partition, offset) for at, offset in places])
        return consumer

    def _create(self, topics: Sequence[str], settings: dict[str, str]) -> None:
        wanted = [NewTopic(topic, num_partitions=PARTITIONS, config=settings) for topic in topics]
        for answer in self._admin.create_topics(wanted).values():
            try:
                answer.result(10)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

    def _ends(self) -> list[int]:
        """Give the end of each partition; nothing while one has no leader."""
        wanted = {place: OffsetSpec.latest() for place in self._places}
        try:
            answers = self._admin.list_offsets(
                wanted, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=5
            )
            return [answers[place].result().offset for place in self._places]
        except KafkaException:
            return []

    def _count(self) -> int:
        ends = self._ends()
        return sum(ends) - sum(self._begin) if ends else 0

    def warm(self) -> bool:
        """Say whether the warm-up has arrived."""
        return self._count() >= self._warm

    def result(self) -> Seen:
        """Wait until everything is there, or nothing has come for a while."""
        return self._sampled(self._consumer) if self._consumer else self._counted()

    def _counted(self) -> Seen:
        """Time by the ends alone; the count of the first look is left out, since its time is not known."""
        seen, first = Seen(), 0
        last_at = time.time()
        while seen.count < self._events and time.time() - last_at < STALL_SECONDS:
            count, now = self._count() - self._warm, time.time()
            if count > seen.count:
                if not seen.first_at:
                    seen.first_at, first = now, count
                seen.count, last_at = count, now
                seen.note(now)
            time.sleep(_POLL_SECONDS)
        seen.last_at = last_at
        # The rate is (count - 1) over the time: put the first moment back by what came before the first look.
        if seen.count > first:
            seen.first_at -= first * (last_at - seen.first_at) / (seen.count - first)
        return seen

    def _sampled(self, consumer: Consumer) -> Seen:
        seen, number, last_at = Seen(), 0, time.time()
        while number < self._warm + self._events and time.time() - last_at < STALL_SECONDS:
            message = consumer.poll(0.1)
            if message is None or message.error():
                continue
            number, last_at = number + 1, time.time()
            if number > self._warm:
                seen.count += 1
                seen.first_at, seen.last_at = seen.first_at or last_at, last_at
                seen.latencies.append(last_at - created_at(message.value()))
                seen.note(last_at)
        return seen

    def arrivals(self, seconds: float) -> list[tuple[float, int]]:
        """Read all, and give how many the broker had of what comes after the warm-up, by its own clock."""
        consumer = self._reader()
        wanted, moments, deadline = self._count(), Counter[int](), time.monotonic() + seconds
        try:
            while moments.total() < wanted and time.monotonic() < deadline:
                moments.update(
                    message.timestamp()[1] for message in consumer.consume(10_000, 0.1) if not message.error()
                )
        finally:
            consumer.close()
        counts = accumulate(count for _, count in sorted(moments.items()))
        return [(moment / 1000, count - self._warm) for moment, count in zip(sorted(moments), counts, strict=True)]

    def close(self) -> None:
        if self._consumer:
            self._consumer.close()


class MqttWatch:
    """The quick subscriber in a process of its own."""

    def __init__(self, place: Place, warm: int, count: int, folder: Path, *, sampled: bool) -> None:
        broker = place.broker
        filters = f"portos/resources/{place.resources[0] if len(place.resources) == 1 else '+'}"
        words = (broker.host, broker.port, filters, warm, count, int(sampled))
        command = [sys.executable, "-m", "tests.bench.subscriber", *map(str, words)]
        self._seconds = STALL_SECONDS + 600
        self._program = Program(command, folder / "subscriber.log")
        self._program.start(lambda: "subscribed" in self._program.output(), 15)

    def warm(self) -> bool:
        """Say whether the warm-up has arrived."""
        return "warm" in self._program.output()

    def result(self) -> Seen:
        """Wait until everything is there, or nothing has come for a while."""
        self._program.wait(self._seconds)
        return Seen(**json.loads(self._program.output().splitlines()[-1]))

    def close(self) -> None:
        self._program.kill()


Watch = KafkaWatch | MqttWatch


@contextmanager
def watching(place: Place, warm: int, count: int, *, sampled: bool, stamped: bool = False) -> Iterator[Watch]:
    """Have a watch at the broker, ready before the first message is sent."""
    topics = [f"portos.{resource}" for resource in place.resources]
    with TemporaryDirectory(prefix="bench-watch-") as folder:
        watch: Watch = (
            KafkaWatch(place.broker.bootstrap, topics, warm, count, sampled=sampled, stamped=stamped)
            if place.sink == "kafka"
            else MqttWatch(place, warm, count, Path(folder), sampled=sampled)
        )
        try:
            yield watch
        finally:
            watch.close()
