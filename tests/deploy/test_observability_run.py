"""Alerts and dashboard on a real Prometheus, which watches real bridges whose hub and broker are taken away.

Prometheus has the rules with seconds in the place of minutes, so that a test can wait for them; how long each waits
really is held by the cases of `alerts.yaml`.
"""

import json
import re
import shlex
from dataclasses import replace
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest
import yaml

from tests.deploy.compose import Project, missing
from tests.deploy.observability import RULES, RUNBOOK, commands, panels, promtool
from tests.deploy.tools import ROOT, compose_file, need_docker, output
from tests.support import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(400)]

TOO_LARGE_BYTES = 1_200_000  # for Kafka as it is unless set; Mosquitto takes it


@pytest.fixture(scope="module")
def watched(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Both bridges, with state topics, and dead letters of what is too large; and a Prometheus in a hurry."""
    need_docker("apache/kafka:4.1.1", "prom/prometheus:v2.53.3")
    folder = tmp_path_factory.mktemp("observability")
    folder.chmod(0o755)
    (folder / "rules.yaml").write_text(in_seconds(RULES.read_text(encoding="utf-8")), encoding="utf-8")
    (folder / "compose.yaml").write_text(yaml.safe_dump(override(folder)), encoding="utf-8")
    files = {"COMPOSE_FILE": f"{ROOT / 'docker-compose.yml'}:{folder / 'compose.yaml'}"}
    found = replace(project, env={**project.env, **files})

    start(found)

    wait_until(lambda: found.values("portos_bridge_state_connected") == ["1", "1"], 60, "both bridges scraped")
    return found


def start(project: Project) -> None:
    """Start whatever does not run."""
    project.up(["demo", "kafka", "observability"], without=missing("grafana"))


def in_seconds(rules: str) -> str:
    """Let every waiting time and every span last as many seconds as it has minutes."""
    return re.sub(r"(for: |\[)(\d+)m", r"\1\2s", rules).replace("< 900", "< 15")


def override(folder: Path) -> dict[str, object]:
    configuration = yaml.safe_load(compose_file()["configs"]["prometheus"]["content"])
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration["rule_files"] = ["/rules/rules.yaml"]
    kafka = {
        "PORTOS_BRIDGE_DELIVERY__ANSWER_SECONDS": "6",
        "PORTOS_BRIDGE_SINK__KAFKA__REQUEST_SECONDS": "3",
        "PORTOS_BRIDGE_EVENT__OVERSIZE": "dead_letter",
        "PORTOS_BRIDGE_SINK__KAFKA__STATE_TOPIC_TEMPLATE": "portos.state.{resource}",
    }
    mqtt = {"PORTOS_BRIDGE_SINK__MQTT__STATE_TOPIC_TEMPLATE": "{base}/state/{resource}/{resource_id}"}
    return {
        "configs": {"prometheus": {"content": yaml.safe_dump(configuration)}},
        "services": {
            "bridge-kafka": {"environment": kafka},
            "bridge-mqtt": {"environment": mqtt},
            "kafka": {"environment": {"KAFKA_LOG_DIRS": "/tmp/kafka"}},  # gone with the container
            "prometheus": {"volumes": [f"{folder}:/rules:ro"]},
        },
    }


def firing(project: Project, alert: str) -> bool:
    return bool(project.values(f'ALERTS{{alertstate="firing", alertname="PortosBridge{alert}"}}'))


def test_a_scrape_is_as_prometheus_wants_it(watched: Project) -> None:
    """`promtool check metrics` has nothing to say against names, types and texts of a bridge at work."""
    for port in ("BRIDGE_MQTT_PORT", "BRIDGE_KAFKA_PORT"):
        checked = promtool("check", "metrics", text=watched.get(port, "/metrics"))
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_dead_letter_is_told_and_the_alert_is_over_by_itself(watched: Project) -> None:
    """`PortosBridgeDeadLetters` fires for what no retry would bring to its consumers, and ends when nothing follows."""
    watched("exec", "-T", "hub-simulator", "python", "-c", change(TOO_LARGE_BYTES))

    wait_until(lambda: firing(watched, "DeadLetters"), 20, "the alert")
    wait_until(lambda: not firing(watched, "DeadLetters"), 40, "its end")

    assert watched.metric("BRIDGE_KAFKA_PORT", "dlq_events") == 1


def change(size: int) -> str:
    """Write a program that has the simulated shop change a ticket, which is that large."""
    body = json.dumps({"resource": "tickets", "action": "updated", "size": size})
    return (
        "from urllib.request import Request, urlopen\n"
        f"urlopen(Request('http://127.0.0.1:3001/change', {body.encode()!r}, {{'Content-Type': 'application/json'}}))"
    )


def test_every_command_of_the_runbook_can_be_run(watched: Project) -> None:
    """As it is written, while all is well: it ends in order, and what is picked out of its answer is there."""
    for line in sorted({line for page in RUNBOOK.glob("*.md") for line in commands(page)}):
        command, _, chosen = line.partition(" | ")
        match shlex.split(command):
            case ["docker", "compose", "exec", service, *words, "--connect"]:  # 1 is that it has found something
                watched("exec", "-T", service, "sh", "-c", f"{shlex.join([*words, '--connect'])} || test $? = 1")
            case ["docker", "compose", "exec", *words]:
                watched("exec", "-T", *words)
            case ["docker", "compose", *words]:
                watched(*words)
            case ["docker", *words]:
                output("docker", *words)
            case ["curl", "-s", address]:
                port, path = address.removeprefix("localhost:").split("/", 1)
                answer = watched.get({"8080": "BRIDGE_MQTT_PORT", "8081": "BRIDGE_KAFKA_PORT"}[port], f"/{path}")
                assert picked(answer, *shlex.split(chosen)), line
            case other:
                pytest.fail(f"not a command of the runbook: {other}")


def picked(answer: str, program: str = "", *words: str) -> bool:
    """Say whether jq finds all that it is asked for in an answer, or grep a line of it."""
    if program == "jq":
        paths = [path.strip().removeprefix(".").split(".") for path in words[-1].split(",")]
        return all(reduce(getitem, path, json.loads(answer)) is not None for path in paths)
    patterns = [word for word in words if word != "-e"]
    return all(re.search(pattern, answer) for pattern in patterns)


def test_a_hub_and_a_broker_that_stop_are_told_and_those_alerts_end(watched: Project) -> None:
    """While they fire, every query of every panel of the dashboard has an answer, that of what fires included."""
    watched("stop", "--timeout", "1", "hub-simulator", "kafka")
    watched("rm", "--force", "kafka")
    wait_until(lambda: firing(watched, "SourceDisconnected"), 30, "the alert for the hub")
    wait_until(lambda: firing(watched, "SinkDisconnected"), 60, "the alert for Kafka")

    unanswered = [query for query in queries() if not watched.values(query)]

    start(watched)
    wait_until(lambda: not firing(watched, "SourceDisconnected"), 60, "the hub is back")
    wait_until(lambda: not firing(watched, "SinkDisconnected"), 60, "Kafka is back")
    assert unanswered == []


def queries() -> list[str]:
    """Give every query of the dashboard, with all that can be chosen."""
    chosen = [("$__rate_interval", "15s"), ("$__range", "1m"), *((f"${name}", ".*") for name in ("job", "instance"))]
    chosen += [(f"${name}", ".*") for name in ("site", "sink")]
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    for variable, value in chosen:
        found = [query.replace(variable, value) for query in found]
    return found
