"""The image as an operator runs it: read-only, without capabilities, as nobody in particular."""

import hashlib
import io
import json
import re
import ssl
import subprocess
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from bridge import __version__
from tests.deploy.tools import ROOT, output, run
from tests.support import unavailable, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(700)]  # the first test builds the images

CONFINED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none")
GOOD = {
    "SINKS": "mqtt",
    "HUB__URL": "http://127.0.0.1:3000",
    "AUTH__USERNAME": "bridge",
    "AUTH__PASSWORD": "canary-in-the-image",
    "AUTH__DEVICE_NAME": "BRIDGE1",
    "SUBSCRIBE__RESOURCES": "tickets",
    "SINK__MQTT__URL": "mqtt://127.0.0.1:1883",
}


def options(settings: dict[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("--env", f"PORTOS_BRIDGE_{name}={value}")]


def inspected(name: str) -> Any:
    (found,) = json.loads(output("docker", "inspect", name))
    return found


@pytest.fixture
def container(bridge_image: str) -> Iterator[str]:
    """A confined bridge that runs, with neither its hub nor its broker reachable."""
    name = f"portos-bridge-{uuid.uuid4().hex[:8]}"
    output("docker", "run", "--detach", "--name", name, *CONFINED, *options(GOOD), bridge_image)
    yield name
    run("docker", "rm", "--force", "--volumes", name)


def test_it_tells_its_version(bridge_image: str) -> None:
    """The program starts with a read-only root, without capabilities and without a network."""
    assert output("docker", "run", "--rm", *CONFINED, bridge_image, "version").strip() == f"portos-bridge {__version__}"


def test_a_wrong_configuration_ends_it_with_78(bridge_image: str) -> None:
    """Every problem is named, none of the values is shown."""
    wrong = GOOD | {"HUB__URL": "nowhere", "HUB__SILENCE_SECOND": "1"}

    done = run("docker", "run", "--rm", *CONFINED, *options(wrong), bridge_image)

    assert done.returncode == 78
    assert "PORTOS_BRIDGE_HUB__URL" in done.stderr
    assert "PORTOS_BRIDGE_HUB__SILENCE_SECONDS" in done.stderr  # the nearest name to the misspelt one
    assert "canary-in-the-image" not in done.stderr + done.stdout


def test_it_is_healthy_without_hub_and_broker_and_stops_in_order(container: str) -> None:
    """An outage elsewhere restarts no container, and a stop is an orderly end."""
    wait_until(lambda: inspected(container)["State"]["Health"]["Status"] == "healthy", 45, "a healthy container")

    output("docker", "stop", "--time", "40", container, seconds=60)

    assert inspected(container)["State"]["ExitCode"] == 0


def test_the_health_check_fails_where_no_bridge_runs(bridge_image: str) -> None:
    """A container without a live bridge is not healthy."""
    assert run("docker", "run", "--rm", *CONFINED, bridge_image, "healthcheck").returncode == 1


def test_nobody_in_particular_runs_it(bridge_image: str) -> None:
    """The user is a number that is not root, so that Kubernetes can check it, and the default command is `run`."""
    config = inspected(bridge_image)["Config"]

    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["portos-bridge"]
    assert config["Cmd"] == ["run"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert config["Healthcheck"]["Test"] == ["CMD", "portos-bridge", "healthcheck"]


def test_nothing_in_it_builds_or_installs(bridge_image: str) -> None:
    """No compiler and no installer, not even that of the base image."""
    names = ("pip", "pip3", "uv", "gcc", "cc", "ld", "make", "git", "curl", "wget")
    looked = f"for name in {' '.join(names)}; do command -v $name; done; python3 -c 'import pip'"

    found = run("docker", "run", "--rm", *CONFINED, "--entrypoint", "/bin/sh", bridge_image, "-c", looked)

    assert found.stdout == ""
    assert "No module named 'pip'" in found.stderr


def test_it_is_small(bridge_image: str) -> None:
    """Above its base it unpacks to less than 120 MB; docs/image.md says what takes how much."""
    assert inspected(bridge_image)["Size"] - inspected("python:3.13-slim-trixie")["Size"] < 120e6


def entries(name: str) -> Mapping[str, tuple[object, ...]]:
    """Give what makes up each file of an image that is ours: kind, mode, owner, time, target of a link, and content."""
    made = output("docker", "create", name).strip()
    try:
        exported = subprocess.run(["docker", "export", made], capture_output=True, check=True, timeout=60).stdout
    finally:
        run("docker", "rm", "--volumes", made)
    with tarfile.open(fileobj=io.BytesIO(exported)) as archive:
        return {
            each.name: (
                *(each.type, each.mode, each.uid, each.gid, each.mtime, each.linkname),
                hashlib.sha256(file.read()).hexdigest() if each.isreg() and (file := archive.extractfile(each)) else "",
            )
            for each in archive
            if each.name.startswith(("opt/portos-bridge", "var/lib/portos-bridge"))
        }


def test_two_builds_are_the_same(bridge_image: str) -> None:
    """Who builds it again from base and lock gets the same: bytes, rights and times, whatever the secret."""
    authorities = ssl.get_default_verify_paths().cafile or "/dev/null"  # the first was built without any
    command = ("docker", "buildx", "build", "--quiet", "--load", "--no-cache", "--secret", f"id=ca,src={authorities}")
    again = output(*command, ".", seconds=600).strip()

    first, second = entries(bridge_image), entries(again)

    assert len(first) > 1000
    assert {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)} == set()


def installed(image: str) -> dict[str, str]:
    """Give the version of each package in the bridge's environment."""
    lines = (
        "import importlib.metadata as m\nfor d in m.distributions(): print(d.name.lower().replace('_', '-'), d.version)"
    )
    command = ("docker", "run", "--rm", *CONFINED, "--entrypoint", "/opt/portos-bridge/bin/python", image)
    return dict(line.split() for line in output(*command, "-c", lines).splitlines())


def test_it_holds_the_locked_packages_and_no_others(bridge_image: str) -> None:
    """What is installed is a part of the lock, without the packages of the demo, and without an installer."""
    found = installed(bridge_image)
    lock = output("cat", "requirements.lock")
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE))

    assert found.pop("portos-bridge") == __version__
    assert {"aiohttp", "aiokafka", "paho-mqtt"} <= set(found)
    assert found.items() <= locked.items()
    assert {"amqtt", "pip", "uv"} & set(found) == set()


def test_the_bill_of_materials_lists_what_is_in_it(bridge_image: str) -> None:
    """`make sbom` names the bridge and each package in its image, with their versions, and nothing else."""
    if not (ROOT / ".venv-audit" / "bin" / "cyclonedx-py").exists():
        unavailable("audit", "run `make audit-tools`")
    output("make", "sbom", seconds=300)

    bill = json.loads((ROOT / "build" / "sbom.cdx.json").read_text(encoding="utf-8"))

    parts = [bill["metadata"]["component"], *bill["components"]]
    assert {part["name"]: part["version"] for part in parts} == installed(bridge_image)


def test_a_build_without_a_target_gives_the_bridge(images: dict[str, str]) -> None:
    """`docker build .` makes what an operator wants, not the simulator."""
    built = output("docker", "buildx", "build", "--quiet", "--load", ".", seconds=600).strip()

    assert inspected(built)["Config"]["Cmd"] == ["run"]
    assert inspected(images["PORTOS_SIMULATOR_IMAGE"])["Config"]["Cmd"][0] == "simulate"
