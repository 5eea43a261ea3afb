"""A Portos hub as an object: the real ASP.NET Core server or the project's own simulator, with the same controls."""

import json
import os
import sys
import tempfile
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.brokers.process import OnProgram, Program
from tests.support import free_port, require, wait_until

__all__ = ["Change", "Hub", "hub_level", "start_hub", "start_simulator"]


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the hub's ledger: a change, and to how many connections it was sent."""

    sequence: int
    at: float
    resource: str
    id: str
    version: int
    action: str
    sent_to: int


def hub_level() -> str:
    """Name what `start_hub` would start: `real` or `none`."""
    return "real" if os.environ.get("TEST_PORTOS_SERVER") else "none"


def start_hub(**options: object) -> "Hub":
    """Start the real server that TEST_PORTOS_SERVER names, with its options: `TokenLifetimeSeconds=5`."""
    server = require("hub", "TEST_PORTOS_SERVER")
    port, control = free_port(), free_port()
    further = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return Hub("real", [server, "--Port", str(port), "--ControlPort", str(control), *further], port, control)


def start_simulator(*options: str) -> "Hub":
    """Start the simulator of the installed program, with further words for its command line."""
    program = Path(sys.executable).parent / "portos-bridge"
    port, control = free_port(), free_port()
    command = [str(program), "simulate", "--port", str(port), "--control-port", str(control), *options]
    return Hub("simulator", command, port, control)


class Hub(OnProgram):
    """A running hub. Its ledger, sessions and tokens are in memory: a kill loses them, so read the ledger before."""

    username = "950"
    password = "secret"

    def __init__(self, level: str, command: Sequence[str], port: int, control: int) -> None:
        self.level = level
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._control = f"http://127.0.0.1:{control}"
        self.folder = Path(tempfile.mkdtemp(prefix="hub-"))
        self.program = Program(command, self.folder / "log")
        self._start()

    @property
    def login(self) -> dict[str, str]:
        """Give the settings of a bridge that logs in here."""
        user = {"AUTH__USERNAME": self.username, "AUTH__PASSWORD": self.password}
        return {"HUB__URL": self.url, **user, "AUTH__DEVICE_NAME": "BRIDGE1"}

    def _start(self) -> None:
        self.program.start(self.reachable, 30)

    def reachable(self) -> bool:
        """Say whether the hub answers at all."""
        try:
            self.state()
        except OSError:
            return False
        return True

    def _call(self, path: str, body: object | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the address is our own
            self._control + path, data=data, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - the address is our own
            content = answer.read()
        return json.loads(content) if content else None

    def change(self, resource: str, *, action: str = "updated", **further: object) -> Change:
        """Change one resource; further: `id`, `body`, `size`, `silent`, `expires`, `skipVersions`."""
        return _change(self._call("/change", {"resource": resource, "action": action, **further}))

    def burst(self, count: int, *, rate: float, ids: int = 100, size: int = 600, resources: Sequence[str]) -> int:
        """Begin many updates, in turn over the resources; give the number to ask `burst_done` for."""
        body = {"count": count, "rate": rate, "ids": ids, "size": size, "resources": list(resources)}
        return int(self._call("/burst", body)["burst"])

    def burst_done(self, burst: int) -> bool:
        """Say whether a burst has ended; raise if it ended early."""
        answer = {name.lower(): value for name, value in self._call(f"/burst/{burst}").items()}
        if answer.get("error"):
            raise RuntimeError(f"the burst ended with {answer['error']!r}")
        return bool(answer["done"])

    def wait_burst(self, burst: int, seconds: float) -> None:
        """Wait until a burst has ended."""
        wait_until(lambda: self.burst_done(burst), seconds, "the burst has ended")

    def ledger(self, since: int = 0) -> list[Change]:
        """Give every change since a sequence number, in the order in which they were sent."""
        return [_change(line) for line in self._call(f"/ledger?since={since}")]

    def state(self) -> Any:
        """Give connections, token counters and the log of what clients did."""
        return self._call("/state")

    def subscribed(self, resources: Sequence[str], *, least: int = 1) -> bool:
        """Say whether that many connections are subscribed to every change of all these resources."""
        wanted = {f"portos.resources.changed/{name}/{action}" for name in resources for action in _ACTIONS}
        return sum(wanted <= set(line["topics"]) for line in self.state()["connections"]) >= least

    def subscriptions(self) -> list[float]:
        """Give the moments at which changes of resources were subscribed, by whichever connection."""
        return [
            datetime.fromisoformat(entry["at"]).timestamp()
            for entry in self.state()["log"]
            if entry["what"] == "subscribed" and entry["request"]["e"] == "portos.resources.changed"
        ]

    def licence(self) -> None:
        self._call("/licence", {})

    def raw(self, target: str, *arguments: object) -> None:
        """Call any method of the clients with anything."""
        self._call("/raw", {"target": target, "arguments": list(arguments)})

    def send(self, data: bytes) -> None:
        """Put bytes on every connection as they are; only the simulator can."""
        self._call("/bytes", {"base64": b64encode(data).decode()})

    def disconnect(self) -> None:
        """Abort every connection: a Close without allowReconnect."""
        self._call("/disconnect", {})

    def forget(self) -> None:
        """Drop every subscription and say nothing."""
        self._call("/forget", {})

    def revoke(self) -> None:
        """End every session, and with it its tokens."""
        self._call("/revoke", {})

    def reject(self, *, on: bool = True) -> None:
        """Refuse every token and every login, or no longer."""
        self._call("/reject", {"on": on})

    def lifetime(self, seconds: float) -> None:
        """Set the lifetime of the tokens issued from now on."""
        self._call("/lifetime", {"seconds": seconds})

    def refuse(self, times: int = 1, message: str = "Subscription refused.") -> None:
        """Refuse the next calls of Subscribe."""
        self._call("/refuse", {"times": times, "message": message})


_ACTIONS = ("created", "updated", "deleted")


def _change(line: dict[str, Any]) -> Change:
    at = datetime.fromisoformat(line["at"]).timestamp()
    return Change(line["seq"], at, line["resource"], line["id"], line["version"], line["action"], line["sentTo"])
