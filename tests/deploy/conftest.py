"""Fixtures of the deployment tests: each Helm major, the two images built once, and a project of compose."""

import uuid
from collections.abc import Iterator

import pytest

from tests.deploy.compose import PORTS, Project
from tests.deploy.tools import helms, need_docker, need_helm, output, run
from tests.support import free_port

__all__ = []


@pytest.fixture(params=helms() or [None], ids=lambda path: path.rsplit("/", 1)[-1] if path else "none")
def helm(request: pytest.FixtureRequest) -> str:
    """One Helm program after the other."""
    need_helm()
    return str(request.param)


@pytest.fixture(scope="session")
def images() -> Iterator[dict[str, str]]:
    """Both images built as compose builds them, under names of this run: the variables that tell compose so."""
    need_docker("python:3.13-slim-trixie", "eclipse-mosquitto:2.0")
    tag = f"test-{uuid.uuid4().hex[:8]}"
    names = {"BRIDGE_IMAGE": f"portos-bridge:{tag}", "PORTOS_SIMULATOR_IMAGE": f"portos-simulator:{tag}"}
    output("docker", "compose", "--env-file", "/dev/null", "--profile", "demo", "build", env=names, seconds=600)
    yield names
    run("docker", "image", "rm", "--force", *names.values())


@pytest.fixture(scope="session")
def bridge_image(images: dict[str, str]) -> str:
    """The name of the bridge's image."""
    return images["BRIDGE_IMAGE"]


@pytest.fixture(scope="session")
def docker() -> None:
    """A container engine with the base images, or the end of the test."""
    need_docker("python:3.13-slim-trixie", "eclipse-mosquitto:2.0")


@pytest.fixture(scope="session")
def project(images: dict[str, str]) -> Iterator[Project]:
    """The profile `demo`, up and healthy; whoever starts more of it leaves that to the others."""
    env = images | {name: str(free_port()) for name in PORTS}
    found = Project(f"portos-bridge-test-{uuid.uuid4().hex[:8]}", env)
    try:
        found.up(["demo"])
        yield found
    finally:
        found("--profile", "*", "down", "--volumes", "--timeout", "25", seconds=120)
