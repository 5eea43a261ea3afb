"""What is noted of a cluster while the sink works, over all its connections: quotas, partitions, sizes.

A key's partition follows from the number of partitions. So that number is pinned when a topic is first used: a change
is told, and moves no key before the bridge is started again. aiokafka 0.14.0 takes no notice of either.
"""

import logging
from typing import Any

from bridge.ports import SinkActivity
from sinks.kafka.config import CAUTIOUS_BATCH_BYTES

__all__ = ["Observation"]

_log = logging.getLogger(__name__)


class Observation:
    """What one sink has seen; `activity` is where the metrics read it."""

    def __init__(self, activity: SinkActivity) -> None:
        self._activity = activity
        self._pinned: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._cautious: set[str] = set()

    def attach(self, client: Any) -> None:
        """Take notice of what brokers answer over a new connection."""
        send = client.send

        async def noting(node: Any, request: Any, **options: Any) -> Any:
            answer = await send(node, request, **options)
            self._activity.throttled_seconds += getattr(answer, "throttle_time_ms", 0) / 1000
            return answer

        client.send = noting
        client.cluster.add_listener(self._look)

    def spread(self, topic: str, partitions: int) -> int:
        """Give the number of partitions over which a topic's keys are spread; `partitions` is how many it has now.

        That is the first number, unless there are no longer so many: then it is another topic with the same name.
        """
        pinned = self._pinned.setdefault(topic, partitions)
        self._note(topic, partitions)
        if partitions < pinned:
            self._pinned[topic] = partitions
        return self._pinned[topic]

    def refused_batch(self, topic: str) -> None:
        """Take notice that a topic has refused several records at once for their size.

        Whether the batch was to blame or one record in it shows later. If it was the batch, every one of that size
        would end a connection.
        """
        self._cautious.add(topic)

    def batch_bytes(self, topic: str, wanted: int) -> int:
        """Give how large a batch for a topic may be, where `wanted` is what may be tried."""
        return min(wanted, CAUTIOUS_BATCH_BYTES) if topic in self._cautious else wanted

    def _look(self, cluster: Any) -> None:
        """Look through what a client was just told of the topics that it uses."""
        for topic in self._pinned:
            partitions = cluster.partitions_for_topic(topic)
            if partitions:
                self._note(topic, len(partitions))

    def _note(self, topic: str, partitions: int) -> None:
        before = self._last.get(topic, self._pinned[topic])
        self._last[topic] = partitions
        if partitions == before:
            return
        self._activity.partition_changes += 1
        text = "topic %s has %d partitions and had %d: its keys keep their places until the bridge is started again"
        if partitions < self._pinned[topic]:
            text = (
                "topic %s has %d partitions and had %d: it is another one with that name, and its keys have new places"
            )
        _log.error(text, topic, partitions, before)
