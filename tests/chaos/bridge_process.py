"""The installed bridge as a process: configured by its environment, watched through its admin port, killed at will."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.brokers.process import Program
from tests.support import free_port

__all__ = ["BridgeProcess", "program", "samples"]

_SAMPLE = re.compile(r"^(portos_bridge_\w+)(?:\{(.*)\})? (\S+)$")


def program() -> str:
    """Give the path of the installed console script beside this interpreter."""
    return str(Path(sys.executable).parent / "portos-bridge")


def samples(page: str) -> dict[tuple[str, str], float]:
    """Read each of the bridge's own samples of `/metrics`, by name and labels as they are written."""
    found = map(_SAMPLE.match, page.splitlines())
    return {(match[1], match[2] or ""): float(match[3]) for match in found if match}


class BridgeProcess:
    """`portos-bridge run` with the given settings, names without their prefix: `{"HUB__URL": ...}`.

    One journal over all of its lives; its log is one file. `script` is another console script than the installed one.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str], script: str = "") -> None:
        self.journal = Path(settings.get("JOURNAL__PATH", folder / "journal" / "journal.db"))
        self._admin_port = free_port()
        own = {
            "JOURNAL__PATH": str(self.journal),
            "ADMIN__HOST": "127.0.0.1",
            "ADMIN__PORT": str(self._admin_port),
            "SECRETS_DIR": str(folder / "no-secrets"),
            "SETTINGS_DIR": str(folder / "no-settings"),
        }
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment |= {f"PORTOS_BRIDGE_{name}": value for name, value in (own | dict(settings)).items()}
        self._environment = environment
        self._program = Program([script or program(), "run"], folder / "bridge.log", environment)

    @property
    def url(self) -> str:
        """Give the address of its admin port."""
        return f"http://127.0.0.1:{self._admin_port}"

    def start(self, seconds: float = 20) -> None:
        """Start it and wait until it is ready: subscribed, with its journal open."""
        self._program.start(self.ready, seconds)

    def start_unready(self, seconds: float = 20) -> None:
        """Start it and wait only until its journal is open, for a hub or a broker that is not there."""
        self._program.start(self.opened, seconds)

    def spawn(self) -> None:
        """Start it and wait for nothing."""
        self._program.start(lambda: True, 1)

    def launch(self) -> None:
        """Start it and wait for nothing, where it is to end by itself."""
        self._program.start(lambda: True, 1)

    def _get(self, path: str, seconds: float = 5) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=seconds) as answer:  # noqa: S310 - our own
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError:
            return 0, b""

    def alive(self) -> bool:
        return self._get("/livez")[0] == 200

    def opened(self) -> bool:
        return "[+] journal" in self.page("/readyz?verbose")

    def ready(self) -> bool:
        return self._get("/readyz")[0] == 200

    def ask(self, path: str, seconds: float) -> tuple[int, str]:
        """Give what a path answers within so many seconds, the status 0 where it does not."""
        status, body = self._get(path, seconds)
        return status, body.decode()

    def page(self, path: str) -> str:
        """Give what the admin port answers."""
        return self._get(path)[1].decode()

    def status(self) -> Any:
        """Give what `/status` tells."""
        return json.loads(self._get("/status")[1])

    def metrics(self) -> dict[tuple[str, str], float]:
        """Give each sample by name and labels, the latter as they are written: `site="default",reason="json"`."""
        return samples(self._get("/metrics")[1].decode())

    def metric(self, name: str, **labels: str) -> float:
        """Sum the samples of a metric that carry all of the given labels."""
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        return sum(
            value
            for (sample, text), value in self.metrics().items()
            if sample == name and wanted <= set(text.split(","))
        )

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another command of the program with the bridge's configuration, beside it or without it."""
        return subprocess.run(
            [self._program.command[0], *words],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def running(self) -> bool:
        return self._program.running

    @property
    def pid(self) -> int:
        return self._program.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._program.returncode

    def log(self) -> str:
        """Give the log of this life."""
        return self._program.output()

    def kill9(self) -> None:
        """End it as a crash or the kernel does."""
        self._program.kill()

    def terminate(self, seconds: float = 40) -> int:
        """Ask it to stop in order, and give its exit status (negative: it had to be killed)."""
        return self._program.terminate(seconds)

    def end(self) -> None:
        """Stop it in order; fails, with the end of its log, where it does not end with 0."""
        status = self.terminate()
        assert status == 0, f"the bridge ended with {status}:\n{self.log()[-3000:]}"
