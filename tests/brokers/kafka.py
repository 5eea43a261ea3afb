"""The Kafka rungs of the ladder: a given address, a container, a start script, librdkafka's mock cluster."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.brokers.container import Container, OnContainer, engine
from tests.brokers.process import OnProgram, Program
from tests.support import free_port, unavailable

__all__ = [
    "WIRED_HOST",
    "GivenKafka",
    "KafkaBroker",
    "KafkaContainer",
    "KafkaMock",
    "KafkaProgram",
    "kafka_level",
    "start_by_script",
    "start_kafka",
]

IMAGE = "apache/kafka:4.1.1"
WIRED_HOST = "127.0.0.2"
_STARTS = 5
_UNLUCKY = "argument --cluster-id/-t: expected one argument"
# Kafka's set-up appends to copies of these files, and fails where the image was made from write-protected ones.
_RUN = "chmod u+w /etc/kafka/docker/*.yaml /etc/kafka/docker/*.properties; exec /etc/kafka/docker/run"
_MOCK = """
import sys, time
from confluent_kafka import Producer
producer = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
print(f"mock cluster ready on {broker.host}:{broker.port}", flush=True)
while True:
    producer.poll(1)
"""


class KafkaBroker(Protocol):
    """A Kafka broker; `durable` says that it keeps its records over `restart`, `real` that it is Apache Kafka.

    `wired_port` is a second port for clients that come over a wire of `tests.chaos.wire`, 0 where there is none.
    """

    level: str
    durable: bool
    real: bool
    bootstrap: str
    wired_port: int

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def kill(self) -> None: ...
    def restart(self) -> None: ...
    def close(self) -> None: ...


def kafka_level(*, own: bool = False) -> str:
    """Name the rung that `start_kafka` would take: `given`, `container`, `process` or `mock`."""
    if os.environ.get("TEST_KAFKA_BOOTSTRAP") and not own:
        return "given"
    if engine(IMAGE):
        return "container"
    return "process" if os.environ.get("TEST_KAFKA_BROKER") else "mock"


def start_kafka(
    *,
    own: bool = False,
    real: bool = False,
    auto_create: bool = True,
    properties: str = "",
    wired_host: str = WIRED_HOST,
    java: str = "",
) -> KafkaBroker:
    """Start the best broker there is; `own` leaves out a given one, `real` (or any setting) the mock cluster.

    `properties` are further broker properties as `a=b c=d`. Who comes by the wired port is told `wired_host`. `java`
    are options for its virtual machine.
    """
    special = bool(properties) or not auto_create
    level = kafka_level(own=own or special)
    if level == "given":
        return GivenKafka(os.environ["TEST_KAFKA_BOOTSTRAP"])
    if level == "container":
        return KafkaContainer(auto_create=auto_create, properties=properties, java=java)
    if level == "process":
        script = os.environ["TEST_KAFKA_BROKER"]
        return KafkaProgram(script, auto_create=auto_create, properties=properties, wired_host=wired_host, java=java)
    if real or special:
        unavailable("kafka", f"needs a real Kafka: set TEST_KAFKA_BROKER, or start Docker with {IMAGE}")
    return KafkaMock()


def start_by_script(program: Program, ready: Callable[[], object], seconds: float) -> None:
    """Start the script that TEST_KAFKA_BROKER names, and again, some times, where it was unlucky.

    It makes a new folder that of a cluster with a random id. One in 64 begins with a dash, which Kafka 4.1.1 takes for
    an option.
    """
    for further in reversed(range(_STARTS)):
        try:
            program.start(ready, seconds)
        except ChildProcessError:
            if not further or _UNLUCKY not in program.output():
                raise
        else:
            return


def _answers(bootstrap: str) -> bool:
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "socket.timeout.ms": 2000})
    try:
        return bool(client.list_topics(timeout=2).brokers)
    except KafkaException:
        return False


class GivenKafka:
    """Somebody else's broker, used as it is."""

    level = "given"
    durable = True
    real = True
    wired_port = 0

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def _refuse(self) -> None:
        raise NotImplementedError("a given broker is not ours to stop: ask for one with own=True")

    pause = resume = kill = restart = _refuse

    def close(self) -> None:
        """Leave it running."""


def _listeners(port: int, wired_host: str) -> str:
    """Name the listeners: a client is told the address of the one it came to, so that a wire needs one of its own."""
    here, wired = f"PLAINTEXT://127.0.0.1:{port}", f"WIRED://{wired_host}:{port + 2}"
    controller = f"CONTROLLER://127.0.0.1:{port + 1}"
    return (
        f"listeners={here},{controller},WIRED://127.0.0.1:{port + 2} advertised.listeners={here},{wired}"
        " listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,WIRED:PLAINTEXT"
    )


class KafkaProgram(OnProgram):
    """A real single-node Kafka started by the script that TEST_KAFKA_BROKER names: `SCRIPT PORT DATA_FOLDER`."""

    level = "process"
    durable = True
    real = True

    def __init__(
        self,
        script: str,
        *,
        auto_create: bool = True,
        properties: str = "",
        wired_host: str = WIRED_HOST,
        java: str = "",
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kafka-"))
        port = free_port(neighbours=2)  # the controller listens one above, then comes the wired port
        self.wired_port = port + 2
        self.bootstrap = f"127.0.0.1:{port}"
        properties = f"{_listeners(port, wired_host)} {properties}"
        environment = os.environ | {"KAFKA_PROPERTIES": properties, "KAFKA_AUTO_CREATE": str(auto_create).lower()}
        if java:
            environment["_JAVA_OPTIONS"] = java  # the only variable that overrides what the script says itself
        self.program = Program([script, str(port), str(self.folder / "data")], self.folder / "log", environment)
        self._start()

    def _start(self) -> None:
        start_by_script(self.program, self._ready, 120)

    def _ready(self) -> bool:
        return "Kafka Server started" in self.program.output() and _answers(self.bootstrap)


class KafkaContainer(OnContainer):
    """A real single-node Kafka from its public image; every variable is set, since one replaces the whole default."""

    level = "container"
    durable = True
    real = True
    wired_port = 0

    def __init__(self, *, auto_create: bool = True, properties: str = "", java: str = "") -> None:
        port = free_port()
        self.bootstrap = f"localhost:{port}"
        single = dict.fromkeys(
            (
                "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR",
                "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR",
                "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR",
                "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR",
                "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR",
            ),
            "1",
        )
        further = {
            "KAFKA_" + name.replace("-", "___").replace("_", "__").replace(".", "_").upper(): value
            for name, _, value in (item.partition("=") for item in properties.split())
        }
        environment = {
            "CLUSTER_ID": "4L6g3nShT-eMCtK--X86sw",
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_LISTENERS": "CONTROLLER://:29093,PLAINTEXT://:9092",
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://localhost:{port}",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:29093",
            "KAFKA_NUM_PARTITIONS": "6",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
            "KAFKA_AUTO_CREATE_TOPICS_ENABLE": str(auto_create).lower(),
        }
        self.container = Container(
            IMAGE,
            ports={9092: port},
            environment=environment | single | further | ({"KAFKA_HEAP_OPTS": java} if java else {}),
            command=["bash", "-c", _RUN],
        )
        self.container.start(lambda: "Kafka Server started" in self.container.output() and _answers(self.bootstrap), 60)

    def restart(self) -> None:
        self.container.kill()
        self.container.start(lambda: _answers(self.bootstrap), 60)

    def close(self) -> None:
        self.container.close()


class KafkaMock(OnProgram):
    """librdkafka's mock cluster in a process of its own, so that it can be paused; it forgets everything when it ends.

    It does not check sequence numbers and knows neither SASL, TLS nor size limits (confluent-kafka 2.16.1).
    """

    level = "mock"
    durable = False
    real = False
    wired_port = 0

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kafka-mock-"))
        self.program = Program([sys.executable, "-c", _MOCK], self.folder / "log")
        self.program.start(lambda: "ready on" in self.program.output(), 30)
        self.bootstrap = self.program.output().split("ready on ")[1].split()[0]

    def restart(self) -> None:
        unavailable("kafka", "the mock cluster keeps nothing over a restart: set TEST_KAFKA_BROKER to run this")
