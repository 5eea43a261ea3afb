"""Chart, compose file and image carry a third party's sink, as the examples of docs/writing-a-sink.md say."""

import os
import re
import subprocess
import uuid
from pathlib import Path

import pytest
import yaml

from tests.deploy.tools import CHART, DEFAULT, ROOT, config, one, output, pod, rendered, run, secret_files
from tests.reference.walk import block, lay_out
from tests.support import unavailable

PROGRAM = ROOT / ".venv-examples" / "bin" / "portos-bridge"
SINK = "PORTOS_BRIDGE_SINK__REDIS__"
PASSWORD = "C4nary-redis-71be"


@pytest.fixture
def values(tmp_path: Path) -> Path:
    """The values of the page."""
    file = tmp_path / "values.yaml"
    file.write_text(block("yaml", "otherSinks:"), encoding="utf-8")
    return file


@pytest.mark.helm
def test_the_chart_starts_a_bridge_with_the_sink(helm: str, values: Path, tmp_path: Path) -> None:
    """The pod's environment and its files of secrets are what the installed program takes."""
    if not PROGRAM.exists():
        unavailable("examples", "run `make example-sinks`")
    objects = rendered(helm, values)
    for _, _, path in secret_files(objects):
        (tmp_path / "secrets").mkdir(exist_ok=True)
        (tmp_path / "secrets" / path).write_text(PASSWORD)
    settings = config(objects) | {
        "PORTOS_BRIDGE_SECRETS_DIR": str(tmp_path / "secrets"),
        "PORTOS_BRIDGE_JOURNAL__PATH": str(tmp_path / "journal.db"),
    }

    done = subprocess.run(
        [str(PROGRAM), "check"], env=bare() | settings, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SINK}URL=redis://redis.shop:6379\n{SINK}USERNAME=bridge\n{SINK}PASSWORD=**********\n" in done.stdout


def bare() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PORTOS_BRIDGE_")}


@pytest.mark.helm
def test_secrets_of_the_sink_are_files(helm: str, values: Path) -> None:
    """Each under the name of its variable, from the Secret and the key that are named; none is in the ConfigMap."""
    assert ("redis", "password", "portos_bridge_sink__redis__password") in set(secret_files(rendered(helm, values)))


@pytest.mark.helm
def test_numbers_and_switches_of_the_sink_arrive_as_they_are_written(helm: str, values: Path) -> None:
    """As those of the bridge's own sinks do."""
    settings = ("otherSinks.my-own.config.MAX_BYTES=1073741824", "otherSinks.my-own.config.COMPRESS=true")

    data = config(rendered(helm, values, *settings))

    assert data["PORTOS_BRIDGE_SINK__MY_OWN__MAX_BYTES"] == "1073741824"
    assert data["PORTOS_BRIDGE_SINK__MY_OWN__COMPRESS"] == "true"


@pytest.mark.helm
def test_a_changed_setting_of_the_sink_restarts_the_pod(helm: str, values: Path) -> None:
    before, after = (
        one(rendered(helm, values, *settings), "StatefulSet")["spec"]["template"]["metadata"]["annotations"]
        for settings in ((), ("otherSinks.redis.config.PREFIX=shop",))
    )

    assert before["checksum/config"] != after["checksum/config"]


@pytest.mark.helm
def test_a_library_of_the_sink_gets_its_own_variables(helm: str) -> None:
    """And nothing is in the environment of a bridge that has none."""
    settings = ("extraEnv[0].name=SSL_CERT_FILE", "extraEnv[0].value=/etc/ca.pem")

    (container,) = pod(rendered(helm, DEFAULT, *settings))["containers"]

    assert container["env"] == [{"name": "SSL_CERT_FILE", "value": "/etc/ca.pem"}]
    assert "env" not in pod(rendered(helm, DEFAULT))["containers"][0]


REFUSED = {
    "the bridge's own sink": ("otherSinks.kafka.config.CLIENT_ID=x", r"otherSinks[./]kafka"),
    "a name that is none": ("otherSinks.Redis.config.URL=x", r"otherSinks.*Redis|Redis.*otherSinks"),
    "a variable in small letters": ("otherSinks.redis.config.url=x", r"redis[./]config.*url|url.*redis/config"),
    "an unknown value": ("otherSinks.redis.settings.URL=x", r"redis.*settings|settings.*redis"),
    "a Secret of which nothing is taken": ("otherSinks.other.existingSecret=x", r"otherSinks\.other\.secretKeys"),
}


@pytest.mark.helm
@pytest.mark.parametrize(("setting", "named"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_of_the_sink_is_refused_by_name(helm: str, values: Path, setting: str, named: str) -> None:
    """Installing with a mistake fails before anything reaches the cluster, and says where it is."""
    done = run(helm, "template", "release", CHART, "--values", values, "--set", setting)

    assert done.returncode != 0
    assert re.search(named, done.stderr)


@pytest.mark.docker
def test_compose_feeds_the_sink_beside_its_own(docker: None, tmp_path: Path) -> None:
    """With a file beside the bridge's own; the rest of the service stays as it is."""
    (tmp_path / "redis.yml").write_text(block("yaml", "bridge-mqtt:"), encoding="utf-8")
    files = ("-f", ROOT / "docker-compose.yml", "-f", tmp_path / "redis.yml")
    env = {"BRIDGE_IMAGE": "portos-bridge-redis:dev"}

    said = output("docker", "compose", "--env-file", "/dev/null", *files, "--profile", "mqtt", "config", env=env)

    service = yaml.safe_load(said)["services"]["bridge-mqtt"]
    assert service["image"] == "portos-bridge-redis:dev"
    assert service["read_only"] is True
    assert service["environment"]["PORTOS_BRIDGE_SINKS"] == "mqtt,redis"
    assert service["environment"][f"{SINK}URL"] == "redis://host.docker.internal:6379"
    assert service["environment"]["PORTOS_BRIDGE_SINK__MQTT__URL"] == "mqtt://mosquitto:1883"


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_an_image_on_top_of_the_bridges_own_has_the_sink(bridge_image: str, tmp_path: Path) -> None:
    """It is in the bridge's own environment, and the container runs as the same user."""
    if not PROGRAM.exists():
        unavailable("examples", "run `make example-sinks`")
    lay_out(tmp_path)
    sink = tmp_path / "sink-redis"
    (sink / "Dockerfile").write_text(block("dockerfile", "BRIDGE_IMAGE"), encoding="utf-8")
    wheels = (sink, "redis>=8,<9")  # its client library as well, for a build that reaches no registry
    output(PROGRAM.with_name("pip"), "wheel", "-q", "--no-deps", "--wheel-dir", sink / "dist", *wheels, seconds=120)
    tag = f"portos-bridge-redis:test-{uuid.uuid4().hex[:8]}"
    try:
        output("docker", "build", "-q", "-t", tag, "--build-arg", f"BRIDGE_IMAGE={bridge_image}", sink, seconds=300)

        assert f"{SINK}URL=" in output("docker", "run", "--rm", "--read-only", tag, "config", "env")
        assert output("docker", "run", "--rm", "--entrypoint", "id", tag, "-u").strip() == "65532"
    finally:
        run("docker", "image", "rm", "--force", tag)
