"""A Kubernetes node on this very machine, started by the folder that TEST_CLUSTER names, and its command lines."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import require

__all__ = ["Node"]

_UP_SECONDS = 180
_ENVIRONMENT = 'set -e; given=$("$1/up"); eval "$given"; printf "%s\\n%s\\n" "$KUBECONFIG" "$PATH"'


class Node:
    """The programs `up`, `load IMAGE...` and `down` of a folder; `up` prints what a shell needs for kubectl and helm.

    Pods reach programs on this machine at `address`, and this machine reaches pods at theirs.
    """

    def __init__(self) -> None:
        self._folder = require("kubernetes", "TEST_CLUSTER")
        self._environment = dict(os.environ)
        said = self.output("bash", "-c", _ENVIRONMENT, "up", self._folder, seconds=_UP_SECONDS)
        kubeconfig, path = said.splitlines()
        self._environment |= {"KUBECONFIG": kubeconfig, "PATH": path}
        (self._only,) = self.get("nodes")["items"]
        self.name = str(self._only["metadata"]["name"])
        self.address = next(a["address"] for a in self._only["status"]["addresses"] if a["type"] == "InternalIP")

    def down(self) -> None:
        """Take the node away, with all that is on it."""
        self.output(f"{self._folder}/down", seconds=_UP_SECONDS)

    def load(self, *images: str) -> None:
        """Bring images of the container engine to the node."""
        self.output(f"{self._folder}/load", *images, seconds=300)

    def run(self, *command: str, given: str = "", seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program beside the node, with text on its standard input."""
        return subprocess.run(
            command,
            env=self._environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def output(self, *command: str, given: str = "", seconds: float = 60) -> str:
        """Run a program that must succeed, and give its standard output."""
        done = self.run(*command, given=given, seconds=seconds)
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def kubectl(self, *words: str, given: str = "", seconds: float = 60) -> str:
        """Run kubectl, which must succeed."""
        return self.output("kubectl", *words, given=given, seconds=seconds)

    def get(self, *words: str) -> Any:
        """Give objects as the API server has them."""
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    @contextmanager
    def drained(self) -> Iterator[None]:
        """Evict all that runs on the node, and let nothing run there meanwhile."""
        self.kubectl("drain", self.name, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=90s", seconds=120)
        try:
            yield
        finally:
            self.kubectl("uncordon", self.name)

    def volume(self, name: str) -> Path:
        """Give the folder of this machine that a volume is."""
        spec = self.get(f"persistentvolume/{name}")["spec"]
        return Path((spec.get("local") or spec["hostPath"])["path"])

    def processes(self, pod_uid: str, program: str) -> Sequence[int]:
        """Find the processes of a pod whose command line names a program."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                inside = pod_uid in (folder / "cgroup").read_text()
                if inside and program.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:  # it ended meanwhile
                continue
        return found
