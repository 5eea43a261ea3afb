"""The life of a release under both Helm majors, against an API in memory: installed, changed, taken back, removed."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.kubernetes_api import Objects, served
from tests.deploy.tools import CHART, DEFAULT, ROOT, config, output

pytestmark = pytest.mark.helm

Helm = Callable[..., str]
_INSTALLED = {"ConfigMap", "Secret", "Service", "ServiceAccount", "StatefulSet"}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Path, Objects]]:
    with served(tmp_path) as found:
        yield found


@pytest.fixture
def objects(cluster: tuple[Path, Objects]) -> Objects:
    return cluster[1]


@pytest.fixture
def release(helm: str, cluster: tuple[Path, Objects], tmp_path: Path) -> Helm:
    """Run Helm in the namespace `shop`, with nothing of this machine's."""
    env = {"KUBECONFIG": str(cluster[0])} | {f"HELM_{name}_HOME": str(tmp_path) for name in ("CACHE", "CONFIG", "DATA")}

    def run(*words: str | Path) -> str:
        return output(helm, *words, "--namespace", "shop", env=env)

    return run


def change(release: Helm, command: str, *settings: str) -> str:
    sets = [word for setting in settings for word in ("--set", setting)]
    return release(command, "bridge", CHART, "--values", DEFAULT, "--disable-openapi-validation", *sets)


def of_the_chart(objects: Objects) -> dict[str, Any]:
    """Give what is there besides Helm's own records."""
    return {path: found for path, found in objects.items() if "/secrets/sh.helm.release" not in path}


def one(objects: Objects, kind: str) -> Any:
    (found,) = [found for found in of_the_chart(objects).values() if found["kind"] == kind]
    return found


def environment(objects: Objects) -> dict[str, str]:
    return config(of_the_chart(objects).values())


def checksums(objects: Objects) -> dict[str, str]:
    annotations = one(objects, "StatefulSet")["spec"]["template"]["metadata"]["annotations"]
    return {name: value for name, value in annotations.items() if name.startswith("checksum/")}


def test_a_release_lives(release: Helm, objects: Objects) -> None:
    """Every step reaches the cluster, a rollback brings back what was, and in the end nothing of it is left."""
    change(release, "install", "secrets.ADMIN__TOKEN=first")
    first = checksums(objects)
    assert {found["kind"] for found in of_the_chart(objects).values()} == _INSTALLED
    assert {path.split("/")[-3] for path in of_the_chart(objects)} == {"shop"}

    change(release, "upgrade", "secrets.ADMIN__TOKEN=second", "config.HUB__SILENCE_SECONDS=60")
    second = checksums(objects)
    assert environment(objects)["PORTOS_BRIDGE_HUB__SILENCE_SECONDS"] == "60"
    assert set(first) == set(second) == {"checksum/config", "checksum/secret"}
    assert all(first[name] != second[name] for name in first)

    release("rollback", "bridge", "1")
    assert checksums(objects) == first
    assert "PORTOS_BRIDGE_HUB__SILENCE_SECONDS" not in environment(objects)

    history = json.loads(release("history", "bridge", "--output", "json"))
    assert [(entry["revision"], entry["status"]) for entry in history] == [
        (1, "superseded"),
        (2, "superseded"),
        (3, "deployed"),
    ]

    release("uninstall", "bridge")
    assert objects == {}


def test_a_setting_that_is_no_more_is_gone(release: Helm, objects: Objects) -> None:
    """Taken out of the values, a setting is no longer in the ConfigMap, nor a Secret that is not needed."""
    change(release, "install", "config.LOG__FORMAT=json", "secrets.ADMIN__TOKEN=first")

    change(release, "upgrade")

    assert "PORTOS_BRIDGE_LOG__FORMAT" not in environment(objects)
    assert "Secret" not in {found["kind"] for found in of_the_chart(objects).values()}


def test_the_claim_of_a_release_grows_by_the_steps_of_the_runbook(release: Helm, objects: Objects) -> None:
    """Not by an upgrade alone, since what a StatefulSet claims cannot be changed."""
    text = (ROOT / "docs" / "runbook" / "index.md").read_text(encoding="utf-8").partition("## A larger journal\n")[2]
    ((name, upgrade),) = re.findall(
        r"\nkubectl delete statefulset (\S+) --cascade=orphan\n(helm upgrade bridge .+)\n", text
    )
    settings = re.findall(r"--set (\S+)", upgrade)
    change(release, "install")

    with pytest.raises(AssertionError, match=r"(?i)unprocessable"):
        change(release, "upgrade", *settings)
    (path,) = [path for path, found in objects.items() if found["kind"] == "StatefulSet"]
    assert path.endswith(f"/{name}")
    del objects[path]
    change(release, "upgrade", *settings)

    (claim,) = one(objects, "StatefulSet")["spec"]["volumeClaimTemplates"]
    assert f"persistence.size={claim['spec']['resources']['requests']['storage']}" in settings
    assert f"config.JOURNAL__MAX_BYTES={environment(objects)['PORTOS_BRIDGE_JOURNAL__MAX_BYTES']}" in settings


def test_notes_tell_the_next_three_commands(release: Helm) -> None:
    """In the namespace of the release, and without a warning where there is nothing to warn of."""
    said = change(release, "install")

    assert "kubectl -n shop rollout status statefulset/bridge-portos-bridge" in said
    assert "helm -n shop test bridge" in said
    assert "kubectl -n shop port-forward service/bridge-portos-bridge 8080:8080" in said
    assert "journal-bridge-portos-bridge-0" in said
    assert "WARNING" not in said


def test_notes_warn_of_what_will_not_last(release: Helm) -> None:
    """A journal that goes with the pod, and a bridge that has no credentials."""
    said = change(release, "install", "persistence.enabled=false", "hub.existingSecret=")

    assert said.count("WARNING") == 2
    assert "persistence.enabled" in said
    assert "hub.existingSecret" in said
