"""Three real Kafka brokers as one cluster, by the start script that TEST_KAFKA_BROKER names."""

import os
import shutil
import tempfile
from base64 import urlsafe_b64encode
from pathlib import Path
from uuid import uuid4

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from tests.brokers.process import Program
from tests.support import free_port, require, wait_until

__all__ = ["KafkaCluster"]

_SIZE = 3
_START_SECONDS = 180.0
_HEALTHY_SECONDS = 90.0
_DURABLE = "default.replication.factor=3 min.insync.replicas=2 transaction.state.log.replication.factor=3"


class KafkaCluster:
    """Brokers 1 to 3, each a controller too; topics have three replicas, of which two must confirm.

    The script formats a new folder as a cluster of its own. So the folders are formatted here: with one cluster id.
    """

    def __init__(self) -> None:
        script = require("kafka", "TEST_KAFKA_BROKER")
        self._folder = Path(tempfile.mkdtemp(prefix="kafka-cluster-"))
        ports = [free_port(neighbours=1) for _ in range(_SIZE)]  # the controller listens one above
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port in ports)
        voters = ",".join(f"{node}@127.0.0.1:{port + 1}" for node, port in enumerate(ports, 1))
        cluster = _random_id()
        self._programs: dict[int, Program] = {}
        for node, port in enumerate(ports, 1):
            data = self._folder / str(node)
            (data / "log").mkdir(parents=True)
            (data / "log" / "meta.properties").write_text(
                f"version=1\ncluster.id={cluster}\nnode.id={node}\ndirectory.id={_random_id()}\n"
            )
            properties = f"node.id={node} controller.quorum.voters={voters} {_DURABLE}"
            environment = os.environ | {"KAFKA_PROPERTIES": properties, "KAFKA_HEAP": "320m"}
            command = [script, str(port), str(data)]
            self._programs[node] = Program(command, self._folder / f"{node}.log", environment)
        self._admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        try:
            for program in self._programs.values():
                program.start(lambda: True, 1)  # one alone is never ready: they wait for each other
            for node in self._programs:
                self._wait(node)
            wait_until(lambda: len(self._admin.list_topics(timeout=5).brokers) == _SIZE, _START_SECONDS, "all joined")
        except BaseException:
            self.close()
            raise

    def create(self, topic: str, partitions: int, config: dict[str, str] | None = None) -> None:
        """Make a topic with three replicas and wait until all are in sync."""
        self._admin.create_topics([NewTopic(topic, partitions, _SIZE, config=config or {})])[topic].result(30)
        wait_until(lambda: self.healthy(topic), _HEALTHY_SECONDS, f"all replicas of {topic}")

    def healthy(self, topic: str) -> bool:
        """Say whether every partition of a topic has a leader and all replicas in sync."""
        try:
            found = self._admin.list_topics(topic, timeout=5).topics[topic].partitions.values()
        except KafkaException:
            return False
        return bool(found) and all(each.leader > 0 and len(each.isrs) == _SIZE for each in found)

    def leader(self, topic: str, partition: int) -> int:
        """Name the broker that leads a partition; -1 while none does, or none can say."""
        try:
            found = self._admin.list_topics(topic, timeout=10).topics[topic].partitions
        except KafkaException:
            return -1
        return int(found[partition].leader) if partition in found else -1

    def kill(self, node: int) -> None:
        self._programs[node].kill()

    def stop(self, node: int) -> None:
        """Ask a broker to end; it hands its partitions over first."""
        self._programs[node].terminate(60)

    def start(self, node: int) -> None:
        self._programs[node].start(lambda: True, 1)
        self._wait(node)

    def nodes(self) -> list[int]:
        return list(self._programs)

    def _wait(self, node: int) -> None:
        program = self._programs[node]
        wait_until(lambda: "Kafka Server started" in program.output(), _START_SECONDS, f"broker {node} started")

    def close(self) -> None:
        for program in self._programs.values():
            program.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def _random_id() -> str:
    return urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
