"""How long it takes a new user to see a notification over MQTT: `make first-event`, which needs Mosquitto.

What the README shows between its markers is run as it stands, by a shell in a fresh clone of the last commit, in an
empty home with nothing in the environment but what names the package registry; only the ports are other ones, so that
nothing that runs here already is in the way. The time from the clone to the first notification must be under three
minutes.
"""

import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["block", "main"]

ROOT = Path(__file__).parents[2]
_BEGIN = "<!-- first event: run by `make first-event` -->"
_LIMIT_SECONDS = 180.0
_REGISTRY = re.compile(r"(PIP|UV|SSL|REQUESTS|CURL|GIT_SSL)_\w+|\w+_(PROXY|proxy)|PATH|LANG")
_EVENT = "portos/resources/"
_TRACE = "trap 'echo \"@ $BASH_COMMAND\"' DEBUG; set -euo pipefail\n"


def main() -> int:
    """Run it, show when what came, and fail where it took too long."""
    if missing := [name for name in ("git", "make", "mosquitto", "mosquitto_sub") if not shutil.which(name)]:
        print(f"needs {', '.join(missing)}; Debian and Ubuntu: apt-get install git make mosquitto mosquitto-clients")
        return 1
    with tempfile.TemporaryDirectory(prefix="portos-bridge-new-") as home:
        begun = time.monotonic()
        clone = Path(home, "portos-bridge")
        _say(begun, f"git clone: {_cores()}, the registry's answers are not cached")
        subprocess.run(["git", "clone", "--quiet", ROOT.as_uri(), clone], check=True, timeout=60)
        with _shell(clone, Path(home)) as shell:
            for line in _lines(shell, begun + _LIMIT_SECONDS):
                if line.startswith("@ ") and "export" not in line:
                    _say(begun, line[2:])
                if line.startswith(_EVENT):
                    _say(begun, f"the first notification: {line[:90]} ...")
                    return 0
    _say(begun, "no notification until now")
    return 1


def block(text: str) -> str:
    """Give the commands that the README shows behind the marker."""
    found = re.search(rf"{re.escape(_BEGIN)}\n+```\n(.*?)```", text, re.DOTALL)
    if found is None:
        raise SystemExit(f"README.md has no block of commands behind {_BEGIN}")
    return found[1]


@contextmanager
def _shell(clone: Path, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the block in a session of its own, and end whatever it has left in the background."""
    commands = block((clone / "README.md").read_text(encoding="utf-8"))
    for port in ("1883", "3000"):
        commands = commands.replace(port, str(_free_port()))
    commands = commands.replace("simulate ", "simulate --control-port 0 ")
    kept = {name: value for name, value in os.environ.items() if _REGISTRY.fullmatch(name)}
    process = subprocess.Popen(
        ["bash", "-c", _TRACE + commands],
        cwd=clone,
        env=kept | {"HOME": str(home), "PYTHON": f"{sys.base_prefix}/bin/python3", "PORTOS_BRIDGE_ADMIN__PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _lines(shell: subprocess.Popen[bytes], until: float) -> Iterator[str]:
    """Give what is said, until the shell ends or the time is over; then the last of it is shown."""
    assert shell.stdout is not None
    said: deque[str] = deque(maxlen=40)
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(shell.stdout, selectors.EVENT_READ)
        while time.monotonic() < until and shell.poll() is None:
            if not selector.select(1.0):
                continue
            *whole, rest = (rest + os.read(shell.stdout.fileno(), 65536)).split(b"\n")
            for line in whole:
                said.append(line.decode(errors="replace"))
                yield said[-1]
    print(*said, sep="\n", flush=True)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _cores() -> str:
    return f"{len(os.sched_getaffinity(0))} cores"


def _say(begun: float, text: str) -> None:
    print(f"{time.monotonic() - begun:6.1f} s  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
