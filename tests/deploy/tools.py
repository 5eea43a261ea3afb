"""What the deployment is tested with: Helm in both majors, a validator of manifests, and a container engine."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.brokers.container import engine
from tests.support import unavailable

__all__ = [
    "CHART",
    "DEFAULT",
    "ROOT",
    "compose_file",
    "config",
    "helms",
    "hot_config",
    "need_docker",
    "need_helm",
    "one",
    "output",
    "pod",
    "rendered",
    "run",
    "secret_files",
    "validator",
    "values_files",
]

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "portos-bridge"
DEFAULT = CHART / "ci" / "default-values.yaml"
_MADE = ROOT / ".venv-chart" / "bin"


def helms() -> Sequence[str]:
    """Name the Helm programs: those of TEST_HELM, else those that `make chart-tools` installed."""
    if given := os.environ.get("TEST_HELM"):
        return [name.strip() for name in given.split(",")]
    return [str(path) for path in sorted(_MADE.glob("helm-*"))]


def need_helm() -> None:
    """End the test where there is no Helm."""
    if not helms():
        unavailable("helm", "run `make chart-tools`, or set TEST_HELM to the Helm programs, with commas between")


def validator() -> str:
    """Name the validator of manifests, or end the test."""
    path = os.environ.get("TEST_KUBERNETES_VALIDATE") or _MADE / "kubernetes-validate"
    if not Path(path).exists():
        unavailable("helm", "run `make chart-tools`, or set TEST_KUBERNETES_VALIDATE")
    return str(path)


def values_files() -> Sequence[Path]:
    """Name the sets of values that the chart brings along to be tested with."""
    return sorted((CHART / "ci").glob("*-values.yaml"))


def one(objects: Any, kind: str) -> Any:
    """Give the only object of a kind."""
    (found,) = [item for item in objects if item["kind"] == kind]
    return found


def pod(objects: Any) -> Any:
    """Give the specification of the bridge's pod."""
    return one(objects, "StatefulSet")["spec"]["template"]["spec"]


def config(objects: Any) -> dict[str, str]:
    """Give the settings that the pod has in its environment."""
    return _settings(objects, one(objects, "StatefulSet")["metadata"]["name"])


def hot_config(objects: Any) -> dict[str, str]:
    """Give the settings that the pod has as files, which can be changed while it runs."""
    return _settings(objects, one(objects, "StatefulSet")["metadata"]["name"] + "-settings")


def _settings(objects: Any, name: str) -> dict[str, str]:
    (found,) = [item for item in objects if (item["kind"], item["metadata"]["name"]) == ("ConfigMap", name)]
    data: dict[str, str] = found["data"]
    return data


def secret_files(objects: Any, volume: str = "secrets") -> Iterator[tuple[str, str, str]]:
    """Give the secret, the key and the path of every file of secrets in the pod; of another volume, if it is named."""
    for each in pod(objects)["volumes"]:
        for source in each.get("projected", {}).get("sources", []) if each["name"] == volume else ():
            for item in source.get("secret", {}).get("items", []):
                yield source["secret"]["name"], item["key"], item["path"]


def need_docker(*images: str) -> None:
    """End the test where no container engine answers or it lacks one of the images; nothing is pulled."""
    for image in images:
        if not engine(image):
            unavailable("docker", f"needs Docker with {image}")


def run(
    *command: str | Path, env: Mapping[str, str] | None = None, seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a program in the repository and give what it said; it is killed after the deadline."""
    return subprocess.run(
        [*map(str, command)],
        cwd=ROOT,
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def output(*command: str | Path, env: Mapping[str, str] | None = None, seconds: float = 60) -> str:
    """Run a program that must succeed and give its standard output."""
    done = run(*command, env=env, seconds=seconds)
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@cache
def rendered(helm: str, values: Path, *settings: str) -> Sequence[dict[str, Any]]:
    """Render the chart and give its objects; `settings` are those of `--set`."""
    sets = [word for setting in settings for word in ("--set", setting)]
    text = output(helm, "template", "release", CHART, "--namespace", "shop", "--values", values, *sets)
    return [document for document in yaml.safe_load_all(text) if document]


@cache
def compose_file() -> dict[str, Any]:
    """Read docker-compose.yml as it is written, without the values of any machine."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return found
