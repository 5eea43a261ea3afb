"""Other people's JavaScript: a folder with package.json, and a script that reads JSON lines and writes one for each."""

import fcntl
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import unavailable

__all__ = ["NodeScript", "node_packages"]

_INSTALL_SECONDS = 240
_RUN_SECONDS = 200  # the AsyncAPI parser needs many seconds of a processor for a document


def node_packages(source: Path, folder: Path, kind: str = "peers") -> Path:
    """Install the packages that a folder names into another one that is kept; without npm the test is skipped."""
    npm = shutil.which("npm")
    if npm is None:
        unavailable(kind, "install node and npm to run this")
    installed = folder / "node_modules"
    with _alone(folder):
        fresh = not (installed / ".package-lock.json").exists()
        for named in source.glob("package*.json"):
            fresh |= _brought(named, folder)
        if fresh:
            locked = (folder / "package-lock.json").exists()
            install = ["ci"] if locked else ["install", "--no-package-lock"]
            subprocess.run(
                [npm, *install, "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
                cwd=folder,
                check=True,
                timeout=_INSTALL_SECONDS,
            )
    return installed


class NodeScript:
    """A script with its packages, installed in a folder that is kept; without node the test is skipped."""

    def __init__(self, script: Path, folder: Path) -> None:
        node = shutil.which("node")
        if node is None:
            unavailable("peers", "install node and npm to run this")
        node_packages(script.parent, folder)
        with _alone(folder):
            _brought(script, folder)
        self._command = [node, str(folder / script.name)]

    def answers(self, questions: Iterable[Any]) -> Sequence[Any]:
        """Give what the script says to each, in order."""
        lines = "\n".join(map(json.dumps, questions))
        ran = subprocess.run(
            self._command, input=lines, text=True, capture_output=True, check=True, timeout=_RUN_SECONDS
        )
        return [json.loads(line) for line in ran.stdout.splitlines()]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep the other workers of this run out of the folder meanwhile."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _brought(source: Path, folder: Path) -> bool:
    """Copy a file to a folder, and say whether it was not there already; one that is there may be in use."""
    copy = folder / source.name
    if copy.exists() and copy.read_bytes() == source.read_bytes():
        return False
    shutil.copy(source, copy)
    return True
