"""The chart's pods under the restricted Pod Security Standard, and what checkov finds in all that the chart makes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.tools import ROOT, helms, need_helm, one, rendered, run, values_files
from tests.support import unavailable

pytestmark = pytest.mark.helm

CHECKOV = ROOT / ".venv-audit" / "bin" / "checkov"
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
EXPLAINED = {
    "CKV_K8S_8": "the pod of `helm test` ends by itself: there is nothing to probe",
    "CKV_K8S_9": "the same",
    "CKV_K8S_11": "a limit of the processor delays what comes in bursts and protects nobody, where requests are set",
    "CKV_K8S_15": "a tag is never moved, and a registry that is away must not keep a pod from starting",
    "CKV_K8S_43": "the digest is that of the operator's registry: `image.digest`",
    "CKV2_K8S_6": "what a cluster allows is its operator's to say: `networkPolicy.enabled`",
}
VALUES = pytest.mark.parametrize("values", values_files(), ids=lambda path: path.name.removesuffix("-values.yaml"))


def violations(spec: dict[str, Any]) -> Iterator[str]:
    """Walk a pod as the standard does (kubernetes.io, Pod Security Standards, baseline and restricted, 1.35)."""
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name))
    for volume in spec.get("volumes", []):
        yield from (f"the volume {volume['name']} is of {kind}" for kind in set(volume) - {"name"} - VOLUMES)
    whole = spec.get("securityContext", {})
    if whole.get("seLinuxOptions") or whole.get("sysctls") or whole.get("windowsOptions"):
        yield "options of the host"
    for container in (*spec["containers"], *spec.get("initContainers", []), *spec.get("ephemeralContainers", [])):
        own = {**whole, **container.get("securityContext", {})}
        expected = {
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "hostPort": not any("hostPort" in port for port in container.get("ports", [])),
            "privileged": not own.get("privileged"),
            "procMount": own.get("procMount", "Default") == "Default",
            "runAsNonRoot": own.get("runAsNonRoot") is True,
            "runAsUser": own.get("runAsUser") != 0,
            "seccompProfile": own.get("seccompProfile", {}).get("type") in {"RuntimeDefault", "Localhost"},
        }
        yield from (f"{container['name']}: {name}" for name, good in expected.items() if not good)


def pods(objects: Any) -> list[dict[str, Any]]:
    return [one(objects, "StatefulSet")["spec"]["template"]["spec"], one(objects, "Pod")["spec"]]


@VALUES
def test_the_pods_are_restricted(helm: str, values: Path) -> None:
    """And a little more than that: nothing of the image can be written to, and no Service is in the environment."""
    for spec in pods(rendered(helm, values)):
        assert list(violations(spec)) == []
        assert [each["securityContext"]["readOnlyRootFilesystem"] for each in spec["containers"]] == [True]
        assert spec["securityContext"]["runAsUser"] == 65532
        assert spec["enableServiceLinks"] is False


def test_the_walk_finds_what_breaks_the_standard(helm: str) -> None:
    """A walk that cannot fail proves nothing."""
    settings = (
        "podSecurityContext.runAsNonRoot=false",
        "securityContext.privileged=true",
        "extraVolumes[0].name=host",
        "extraVolumes[0].hostPath.path=/",
    )

    spec = pods(rendered(helm, values_files()[0], *settings))[0]

    assert list(violations(spec)) == ["the volume host is of hostPath", "bridge: privileged", "bridge: runAsNonRoot"]


@pytest.mark.timeout(180)
def test_checkov_finds_nothing_that_is_not_explained(tmp_path: Path) -> None:
    """Nor is there an explanation of what it no longer finds. Which Helm rendered it makes no difference to it."""
    need_helm()
    if not CHECKOV.exists():
        unavailable("audit", "run `make audit-tools`")
    for values in values_files():
        (tmp_path / values.name).write_text(yaml.safe_dump_all(rendered(helms()[0], values)), encoding="utf-8")

    done = run(CHECKOV, "-d", tmp_path, "--framework", "kubernetes", "--skip-download", "-o", "json", seconds=150)

    found = json.loads(done.stdout)
    assert found["summary"]["passed"] > 1000
    assert found["summary"]["parsing_errors"] == 0
    failed = {
        each["check_id"]: f"{each['resource']}: {each['check_name']}" for each in found["results"]["failed_checks"]
    }
    assert {check: said for check, said in failed.items() if check not in EXPLAINED} == {}
    assert set(EXPLAINED) - set(failed) == set()
