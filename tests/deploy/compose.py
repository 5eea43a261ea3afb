"""A project of docker compose as the tests run it: under a name and on ports of its own, and what it says of itself."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.brokers.container import engine
from tests.deploy.tools import compose_file, output

__all__ = ["PORTS", "Project", "missing"]

PORTS = ("BRIDGE_MQTT_PORT", "BRIDGE_KAFKA_PORT", "MQTT_PORT", "KAFKA_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")


@dataclass(frozen=True, slots=True)
class Project:
    """A project; called with words of `docker compose` it runs them and gives their output."""

    name: str
    env: Mapping[str, str]

    def __call__(self, *words: str, seconds: float = 60) -> str:
        command = ("docker", "compose", "--env-file", "/dev/null", "--project-name", self.name)
        return output(*command, *words, env=self.env, seconds=seconds)

    def up(self, profiles: Sequence[str], without: Iterable[str] = ()) -> None:
        """Start every service of some profiles, but for some, and wait until all are healthy."""
        services = [
            name
            for name, service in compose_file()["services"].items()
            if set(profiles) & set(service["profiles"]) and name not in set(without)
        ]
        words = [word for profile in profiles for word in ("--profile", profile)]
        self(*words, "up", "--detach", "--wait", "--no-build", *services, seconds=180)

    def get(self, port: str, path: str) -> str:
        """Ask a port of the project, named by its variable, for a path."""
        with urlopen(f"http://127.0.0.1:{self.env[port]}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def metric(self, port: str, name: str) -> float:
        """Add up the samples of a metric of the bridge on that port."""
        samples = re.findall(rf"^portos_bridge_{name}(?:{{.*}})? (\S+)$", self.get(port, "/metrics"), re.MULTILINE)
        return sum(map(float, samples))

    def prometheus(self, path: str, **asked: str) -> Any:
        """Ask Prometheus over its API."""
        return json.loads(self.get("PROMETHEUS_PORT", f"/api/v1/{path}?{urlencode(asked)}"))["data"]

    def values(self, expression: str) -> Sequence[str]:
        """Give the present values of an expression."""
        return [found["value"][1] for found in self.prometheus("query", query=expression)["result"]]


def missing(*services: str) -> Sequence[str]:
    """Name those of some services whose images are not there; nothing is pulled."""
    return [name for name in services if not engine(compose_file()["services"][name]["image"])]
