"""An independent Kafka consumer: librdkafka, every partition from its beginning, with headers."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from tests.oracle.published import NOTIFICATIONS, check
from tests.oracle.record import Received

__all__ = ["KafkaReader"]

_DEADLINE_SECONDS = 15.0
_HEADER_PREFIX = "ce_"


class KafkaReader:
    """Reads what a broker holds, all of it each time, since the broker keeps it; `take` remembers how far it came.

    What is no published event is an AssertionError; `contents` are what `EVENT__CONTENT` may have been.
    """

    def __init__(
        self,
        bootstrap: str,
        prefix: str = "portos.",
        besides: str = "portos.bridge.",
        contents: Sequence[str] = NOTIFICATIONS,
    ) -> None:
        """Read the topics that begin with `prefix`, but not those of the bridge's own events."""
        self._contents = contents
        self._checked: dict[tuple[str, int], int] = {}
        self._prefix = prefix
        self._besides = besides
        self._bootstrap = bootstrap
        self._asking = self._open()
        self._taken: dict[tuple[str, int], int] = {}

    def _open(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": "oracle",
                "enable.auto.commit": False,
                "enable.partition.eof": False,
                "log_level": 0,
            }
        )

    def close(self) -> None:
        self._asking.close()

    def _ends(self) -> dict[tuple[str, int], int]:
        """Ask for the ends of all partitions, again while a topic that was just made has no leader."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while True:
            try:
                return {at: self._end(*at) for at in self._partitions()}
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _end(self, topic: str, partition: int) -> int:
        return self._asking.get_watermark_offsets(TopicPartition(topic, partition), timeout=_DEADLINE_SECONDS)[1]

    def _partitions(self) -> list[tuple[str, int]]:
        topics = self._asking.list_topics(timeout=_DEADLINE_SECONDS).topics
        read = [name for name in topics if name.startswith(self._prefix) and not name.startswith(self._besides)]
        return [(name, at) for name in read for at in topics[name].partitions]

    def ends(self) -> dict[str, int]:
        """Count the records of each stream so far."""
        return {f"{topic}/{partition}": end for (topic, partition), end in self._ends().items()}

    def count(self) -> int:
        """Count the records of all topics with the prefix."""
        return sum(self._ends().values())

    def read(self) -> list[Received]:
        """Read everything up to the ends as they are now, each partition in its order."""
        return self._read({at: end for at, end in self._ends().items() if end > 0}, {})

    def take(self) -> list[Received]:
        """Read what has come since this was asked last, as `read` does: for runs that no memory could hold."""
        ends = {at: end for at, end in self._ends().items() if end > self._taken.get(at, 0)}
        taken = self._read(dict(ends), self._taken)
        self._taken |= ends
        return taken

    def _read(self, ends: dict[tuple[str, int], int], starts: Mapping[tuple[str, int], int]) -> list[Received]:
        consumer = self._open()
        try:
            consumer.assign([TopicPartition(*at, starts.get(at, OFFSET_BEGINNING)) for at in ends])
            found: list[Received] = []
            deadline = time.monotonic() + _DEADLINE_SECONDS
            while ends:
                for message in consumer.consume(1000, timeout=0.1):
                    deadline = time.monotonic() + _DEADLINE_SECONDS
                    if message.error() is not None:
                        raise OSError(str(message.error()))
                    at = (str(message.topic()), int(message.partition() or 0))
                    if at not in ends:  # came after the end
                        continue
                    found.append(_received(message))
                    self._check(found[-1], at, int(message.offset() or 0))
                    if int(message.offset() or 0) + 1 >= ends[at]:
                        del ends[at]
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no records within {_DEADLINE_SECONDS:g} s, still due: {ends}")
            return found
        finally:
            consumer.close()

    def _check(self, received: Received, at: tuple[str, int], offset: int) -> None:
        """Hold a record against its schema, unless it was read before."""
        if self._contents and offset >= self._checked.get(at, 0):
            check(received, self._contents)
            self._checked[at] = offset + 1


def _received(message: Any) -> Received:
    headers = {name: value.decode() for name, value in message.headers() or ()}
    attributes = {name.removeprefix(_HEADER_PREFIX): value for name, value in headers.items() if name != "content-type"}
    return Received(
        stream=f"{message.topic()}/{message.partition()}",
        topic=message.topic(),
        key=message.key(),
        value=message.value(),
        attributes=attributes,
        content_type=headers.get("content-type"),
        at=message.timestamp()[1] / 1000,
    )
