"""What the README promises of docker compose: it becomes healthy by itself, and notifications arrive."""

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.request import urlopen

import pytest

from tests.deploy.tools import need_docker, output
from tests.support import free_port, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(400)]

PORTS = ("BRIDGE_MQTT_PORT", "BRIDGE_KAFKA_PORT", "MQTT_PORT", "KAFKA_PORT", "PROMETHEUS_PORT")


@dataclass(frozen=True, slots=True)
class Project:
    """A project of docker compose under a name and on ports of its own."""

    name: str
    env: Mapping[str, str]

    def __call__(self, *words: str, seconds: float = 60) -> str:
        command = ("docker", "compose", "--env-file", "/dev/null", "--project-name", self.name)
        return output(*command, *words, env=self.env, seconds=seconds)

    def get(self, port: str, path: str) -> str:
        with urlopen(f"http://127.0.0.1:{self.env[port]}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def metric(self, port: str, name: str) -> float:
        """Add up the samples of a metric of the bridge on that port."""
        samples = re.findall(rf"^portos_bridge_{name}(?:{{.*}})? (\S+)$", self.get(port, "/metrics"), re.MULTILINE)
        return sum(map(float, samples))


@pytest.fixture(scope="module")
def project(images: dict[str, str]) -> Iterator[Project]:
    """The profile `demo`, up and healthy."""
    env = images | {name: str(free_port()) for name in PORTS}
    found = Project(f"portos-bridge-test-{uuid.uuid4().hex[:8]}", env)
    try:
        found("--profile", "demo", "up", "--detach", "--wait", "--no-build", seconds=180)
        yield found
    finally:
        found("--profile", "*", "down", "--volumes", "--timeout", "25", seconds=120)


def test_the_demo_delivers_over_mqtt(project: Project) -> None:
    """A subscriber at the broker sees notifications as the hub sent them, on the topics of their resources."""
    words = ("-t", "portos/resources/#", "-C", "10", "-W", "30", "-F", "%t %p")

    lines = project("exec", "-T", "mosquitto", "mosquitto_sub", *words).splitlines()

    for topic, payload in (line.split(" ", 1) for line in lines):
        notification = json.loads(payload)
        assert notification["e"] == "portos.resources.changed"
        assert topic == f"portos/resources/{notification['p']['n']}"
    assert len(lines) == 10


def test_the_demo_says_how_it_is(project: Project) -> None:
    """The ports on this machine answer: ready, and with deliveries counted."""
    assert project.get("BRIDGE_MQTT_PORT", "/readyz")
    assert json.loads(project.get("BRIDGE_MQTT_PORT", "/status"))
    wait_until(
        lambda: project.metric("BRIDGE_MQTT_PORT", "sink_delivered_events_total") > 0,
        20,
        "an event counted as delivered",
    )


def test_the_demo_can_be_fed_to_kafka_and_watched(project: Project) -> None:
    """With the profiles kafka and observability a consumer sees the same shop, and Prometheus both bridges."""
    need_docker("apache/kafka:4.1.1", "prom/prometheus:v2.53.3")
    profiles = [word for name in ("demo", "kafka", "observability") for word in ("--profile", name)]
    project(*profiles, "up", "--detach", "--wait", "--no-build", seconds=180)

    consume = "/opt/kafka/bin/kafka-console-consumer.sh --bootstrap-server kafka:19092 --from-beginning"
    consume += " --include 'portos[.][^.]*' --max-messages 10 --timeout-ms 30000"
    values = project("exec", "-T", "kafka", "sh", "-c", consume).splitlines()

    assert {json.loads(value)["e"] for value in values} == {"portos.resources.changed"}
    assert len(values) == 10
    wait_until(lambda: scraped(project) == ["1", "1"], 30, "both bridges scraped by Prometheus")


def scraped(project: Project) -> list[str]:
    """Ask Prometheus which bridges it reached at its last scrape."""
    answer = json.loads(project.get("PROMETHEUS_PORT", "/api/v1/query?query=up"))
    return [result["value"][1] for result in answer["data"]["result"]]
