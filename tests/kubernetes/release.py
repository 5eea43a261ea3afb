"""A release of the chart on the node, its pod, and the bridge in it as the runs of `tests.chaos` know one."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.brokers import Hub
from tests.chaos.bridge_process import samples
from tests.deploy.tools import CHART
from tests.kubernetes.node import Node
from tests.oracle import journal
from tests.support import wait_until

__all__ = ["ACCOUNT", "Release"]

ACCOUNT = "portos"
"""The Secret with the bridge's account."""
_READY_SECONDS = 120
_NAME = "bridge"


class Release:
    """`helm install` and all that follows, in a namespace of its own that enforces the restricted level."""

    def __init__(self, node: Node, namespace: str) -> None:
        self.node = node
        self.namespace = namespace
        self._address = ""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Make objects, or change them."""
        items = {"apiVersion": "v1", "kind": "List", "items": objects}
        self.node.kubectl("apply", "-f", "-", given=json.dumps(items))

    def account(self) -> None:
        """Make the Secret with the bridge's account."""
        data = {"username": Hub.username, "password": Hub.password, "device-name": "BRIDGE1"}
        metadata = {"name": ACCOUNT, "namespace": self.namespace}
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})

    def helm(self, *words: str, values: Mapping[str, Any] | None = None, seconds: float = _READY_SECONDS) -> str:
        """Run helm in the namespace; `values` are those of `--values`."""
        files = ["--values", "-"] if values is not None else []
        command = ["helm", "-n", self.namespace, *words, *files]
        return self.node.output(*command, given=json.dumps(values or {}), seconds=seconds)

    def install(self, values: Mapping[str, Any]) -> None:
        self.helm("install", _NAME, str(CHART), "--wait", "--timeout", "2m", values=values)

    def upgrade(self, values: Mapping[str, Any]) -> None:
        self.helm("upgrade", _NAME, str(CHART), "--wait", "--timeout", "2m", values=values)

    def try_upgrade(self, values: Mapping[str, Any], seconds: int) -> subprocess.CompletedProcess[str]:
        """Upgrade to what may never get ready, and wait for it so long."""
        command = ["helm", "-n", self.namespace, "upgrade", _NAME, str(CHART), "--wait", "--timeout", f"{seconds}s"]
        return self.node.run(*command, "--values", "-", given=json.dumps(values), seconds=seconds + 60)

    def rollback(self, revision: int) -> None:
        """Go back, and do not wait: Helm may give up at the sight of the pod that failed, while that is replaced."""
        self.helm("rollback", _NAME, str(revision))

    def revision(self) -> int:
        """Number what is deployed."""
        history = json.loads(self.helm("history", _NAME, "-o", "json"))
        return max(entry["revision"] for entry in history if entry["status"] == "deployed")

    def uninstall(self) -> None:
        self.helm("uninstall", _NAME, "--wait", "--timeout", "2m")

    def remove(self) -> None:
        """Take the namespace away, with all that is in it."""
        self.node.kubectl("delete", "namespace", self.namespace, "--wait=false")

    def get(self, *words: str) -> Any:
        """Give objects of the namespace."""
        return self.node.get("-n", self.namespace, *words)

    def pod(self) -> Any:
        """Give the pod as it is now, an empty one where there is none."""
        items = self.get("pods", "-l", f"app.kubernetes.io/instance={_NAME}")["items"]
        return items[0] if items else {"metadata": {"uid": ""}, "status": {}}

    def uid(self) -> str:
        """Tell one pod from the next."""
        return str(self.pod()["metadata"]["uid"])

    def exit_status(self) -> int | None:
        """Tell with what the bridge ended last, None where it never did."""
        states = [status["lastState"] for status in self.pod()["status"].get("containerStatuses", [])]
        return next((state["terminated"]["exitCode"] for state in states if "terminated" in state), None)

    def hurry(self) -> None:
        """Have the mounted files written now: the kubelet does so with whatever changes of the pod."""
        self.node.kubectl(
            "-n", self.namespace, "annotate", "pod", f"{self.name}-0", f"now={time.time()}", "--overwrite"
        )

    def log(self) -> str:
        """Give all that the pod has written."""
        return self.node.kubectl("-n", self.namespace, "logs", f"{self.name}-0")

    def delete_pod(self) -> None:
        self.node.kubectl("-n", self.namespace, "delete", "pod", f"{self.name}-0", "--wait=false")

    def restarts(self) -> int:
        """Count how often the container was started again."""
        return sum(status["restartCount"] for status in self.pod()["status"].get("containerStatuses", []))

    def is_ready(self) -> bool:
        """Say whether Kubernetes takes the pod for ready."""
        conditions = self.pod()["status"].get("conditions", [])
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def wait_ready(self, *, not_pod: str = "") -> None:
        """Wait until a pod is ready, another one than that with the given uid."""
        wait_until(lambda: self.uid() != not_pod and self.is_ready(), _READY_SECONDS, "the pod is ready")

    def claim(self) -> tuple[str, str]:
        """Give the uid of the journal's claim, and the name of its volume."""
        found = self.get(f"persistentvolumeclaim/journal-{self.name}-0")
        return found["metadata"]["uid"], found["spec"]["volumeName"]

    @property
    def name(self) -> str:
        return f"{_NAME}-portos-bridge"

    def page(self, path: str) -> tuple[int, str]:
        """Ask the pod, which may be another one than before; status 0 is no answer."""
        for address in (self._address, ""):
            self._address = address or str(self.pod()["status"].get("podIP", ""))
            try:
                with urllib.request.urlopen(f"http://{self._address}:8080{path}", timeout=3) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()
            except (OSError, ValueError):
                continue
        return 0, ""

    def alive(self) -> bool:
        return self.page("/livez")[0] == 200

    def ready(self) -> bool:
        return self.page("/readyz")[0] == 200

    def metrics(self) -> dict[tuple[str, str], float]:
        return samples(self.page("/metrics")[1])

    def kill_process(self, folder: Path) -> tuple[float, list[bytes]]:
        """Kill the bridge's process as the kernel does; give when, and the notifications that its journal held then.

        It is frozen before its journal is copied, since Kubernetes starts the next one at once.
        """
        (process,) = self.node.processes(self.uid(), "portos-bridge")
        os.kill(process, signal.SIGSTOP)
        try:
            held = list(journal.bodies(journal.copy(self.node.volume(self.claim()[1]) / "journal.db", folder)))
        finally:
            os.kill(process, signal.SIGKILL)
        return time.time(), held
