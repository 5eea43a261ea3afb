"""What the README promises of docker compose: it becomes healthy by itself, and notifications arrive."""

import json

import pytest

from tests.deploy.compose import Project, missing
from tests.deploy.observability import alerts
from tests.deploy.tools import need_docker
from tests.support import unavailable, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(400)]


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
    project.up(["demo", "kafka", "observability"], without=missing("grafana"))

    consume = "/opt/kafka/bin/kafka-console-consumer.sh --bootstrap-server kafka:19092 --from-beginning"
    consume += " --include 'portos[.][^.]*' --max-messages 10 --timeout-ms 30000"
    values = project("exec", "-T", "kafka", "sh", "-c", consume).splitlines()

    assert {json.loads(value)["e"] for value in values} == {"portos.resources.changed"}
    assert len(values) == 10
    wait_until(lambda: project.values("up") == ["1", "1"], 30, "both bridges scraped by Prometheus")


def test_prometheus_watches_with_the_alerts_of_the_chart(project: Project) -> None:
    """Every rule of the file is loaded, and could be evaluated."""
    need_docker("apache/kafka:4.1.1", "prom/prometheus:v2.53.3")
    project.up(["demo", "kafka", "observability"], without=missing("grafana"))

    wait_until(lambda: {health for _, health in rules(project)} == {"ok"}, 30, "every rule evaluated")

    assert sorted(name for name, _ in rules(project)) == sorted(alert["alert"] for alert in alerts())


def rules(project: Project) -> list[tuple[str, str]]:
    groups = project.prometheus("rules", type="alert")["groups"]
    return [(rule["name"], rule["health"]) for group in groups for rule in group["rules"]]


def test_grafana_shows_the_dashboard(project: Project) -> None:
    """Whoever opens it sees the dashboard, without a login, and cannot change it."""
    if missing("grafana"):
        unavailable("grafana", "needs Docker with Grafana's image, as docker-compose.yml names it")
    project.up(["demo", "observability"])

    found = json.loads(project.get("GRAFANA_PORT", "/api/dashboards/uid/portos-bridge"))

    assert found["meta"]["provisioned"] is True
    assert found["meta"]["canSave"] is False
