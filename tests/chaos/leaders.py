"""Three real brokers whose leaders go away under a load that goes on all the while, and what that cost."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from bridge.contract import sample
from bridge.message import Message
from sinks.kafka import KafkaConfig, plugin
from tests.brokers.cluster import KafkaCluster
from tests.delivery import Run, delivering, disordered
from tests.oracle.kafka import KafkaReader
from tests.support import wait_until

__all__ = ["Outcome", "kill_a_leader", "restart_one_after_another", "under_load"]

Strike = Callable[[KafkaCluster, str], None]
_WINDOW = 50
_LEAST_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was sent and lost, and what came late or again."""

    events: int
    sessions_lost: int
    missing: int
    late: int
    repeats: int
    dead_letters: int

    @property
    def summary(self) -> str:
        """Say it in a line."""
        return f"{self.events} events, {self.sessions_lost} sessions lost, {self.repeats} repeats"

    @property
    def problems(self) -> Sequence[str]:
        """Name every promise that was broken: repeats are bounded by a window for each lost session."""
        counts = {"missing": self.missing, "out of order": self.late, "dead letters": self.dead_letters}
        counts["repeats too many"] = max(0, self.repeats - _WINDOW * self.sessions_lost)
        return [f"{number} {what}" for what, number in counts.items() if number]


def kill_a_leader(cluster: KafkaCluster, topic: str) -> None:
    """Kill the broker that leads a partition, wait for another to lead, and start it anew."""
    leader = cluster.leader(topic, 0)
    cluster.kill(leader)
    wait_until(lambda: cluster.leader(topic, 0) not in {-1, leader}, 60, "another leads")
    cluster.start(leader)
    wait_until(lambda: cluster.healthy(topic), 90, "all replicas are in sync again")


def restart_one_after_another(cluster: KafkaCluster, topic: str) -> None:
    """Stop each broker in order and start it anew, as a rolling update does."""
    for node in cluster.nodes():
        cluster.stop(node)
        cluster.start(node)
        wait_until(lambda: cluster.healthy(topic), 90, "all replicas are in sync again")


async def under_load(cluster: KafkaCluster, strike: Strike, folder: Path) -> Outcome:
    """Deliver 200 events a second through the real loops while the brokers are struck."""
    prefix = f"c{uuid4().hex}"
    topic = f"{prefix}.tickets"
    config = KafkaConfig.model_validate(
        {"bootstrap_servers": cluster.bootstrap, "topic_template": f"{prefix}.{{resource}}", "window_events": _WINDOW}
    )
    await asyncio.to_thread(cluster.create, topic, 3)
    async with delivering(folder, plugin, config) as run:
        striking = asyncio.create_task(asyncio.to_thread(strike, cluster, topic), name="strike")
        messages = await _load(run, striking)
        await striking
        await run.settled(60)
    found = await asyncio.to_thread(KafkaReader(cluster.bootstrap, prefix).read)
    arrived = [record.attributes["id"] for record in found]
    return Outcome(
        events=len(messages),
        sessions_lost=sum(run.lost.values()),
        missing=len({message.id for message in messages} - set(arrived)),
        late=len(disordered(messages, arrived)),
        repeats=len(arrived) - len(set(arrived)),
        dead_letters=sum(run.dead_letters().values()),
    )


async def _load(run: Run, striking: "asyncio.Task[None]") -> list[Message]:
    messages: list[Message] = []
    while not striking.done() or len(messages) < _LEAST_EVENTS:
        part = [sample(len(messages) + number) for number in range(20)]
        messages += part
        await run.append(part)
        await asyncio.sleep(0.1)
    return messages
