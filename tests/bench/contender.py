"""Who is measured: our bridge and other people's, each as a process with one sink, and what the kernel says of it."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.brokers import Hub, KafkaBroker, MqttBroker
from tests.brokers.process import Program
from tests.chaos.bridge_process import BridgeProcess, program
from tests.support import wait_until

__all__ = [
    "BEFORE",
    "NAIVE",
    "NAMES",
    "OURS",
    "PEER",
    "Contender",
    "Place",
    "Settings",
    "Usage",
    "contender",
    "ours",
    "port_80_is_free",
    "running",
    "settings_of",
    "thread_seconds",
    "usage",
]

OURS, PEER, NAIVE, BEFORE = "ours", "dotnet", "naive", "before"
NAMES = (OURS, PEER, "node", NAIVE, BEFORE)
Settings = Mapping[str, str]
"""Values by variable, without the prefix."""
_INSTALL_SECONDS = 180
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a contender works: the hub, the one broker it fills, and the resources that this round changes."""

    hub: Hub
    broker: KafkaBroker | MqttBroker
    sink: str
    resources: tuple[str, ...]

    @property
    def address(self) -> Settings:
        """Give the settings by which our bridge finds the broker."""
        if self.sink == "kafka":
            return {"SINK__KAFKA__BOOTSTRAP_SERVERS": self.broker.bootstrap}
        return {"SINK__MQTT__URL": self.broker.url}


@dataclass(frozen=True, slots=True)
class Contender:
    """A bridge under its name; `start` gives the id of its process (group) and how to end it."""

    name: str
    start: Callable[[Place, Path], tuple[int, Callable[[], object]]]


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time and memory of a process and all its children."""

    cpu_seconds: float
    resident_mib: float
    peak_mib: float


def ours(name: str, settings: Settings) -> Contender:
    """Make ready our bridge under another name, with further settings."""
    return Contender(name, partial(_start_ours, program(), settings))


def contender(name: str) -> Contender | str:
    """Make ready what is known under this name, or say why it cannot take part."""
    if name == OURS:
        return ours(OURS, {})
    variable = f"TEST_{name.upper()}_BRIDGE"
    where = os.environ.get(variable, "")
    if not where:
        return f"set {variable}"
    if name == BEFORE:  # the console script of another checkout of ours
        return Contender(name, partial(_start_ours, where, {}))
    try:
        return Contender(name, partial(_start_peer, _command(name, Path(where))))
    except (OSError, subprocess.SubprocessError) as error:
        return f"it cannot be installed: {error}"


def port_80_is_free() -> bool:
    """Say whether the hub can listen where stock signalrcore can find it: it leaves the port out of `Host`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 80))
        except OSError:
            return False
    return True


def _command(name: str, where: Path) -> list[str]:
    """Install a peer's libraries outside of its folder, once, and say how to start it."""
    if name == PEER:
        return [str(where)]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "portos-bench" / name
    script = "bridge.mjs" if name == "node" else "bridge.py"
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for file in where.iterdir():
            shutil.copyfile(file, home / file.name)
        for command in _installation(name, home):
            subprocess.run(command, cwd=home, check=True, timeout=_INSTALL_SECONDS, stdout=subprocess.DEVNULL)
        (home / "complete").touch()
    program = "node" if name == "node" else str(home / "venv" / "bin" / "python")
    return [program, str(home / script)]


def _installation(name: str, home: Path) -> Sequence[Sequence[str]]:
    if name == "node":
        return [["npm", "install", "--no-audit", "--no-fund", "--silent"]]
    pip = [str(home / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", "requirements.txt"]
    return [[sys.executable, "-m", "venv", "venv"], pip]


def _start_peer(command: Sequence[str], place: Place, folder: Path) -> tuple[int, Callable[[], object]]:
    hub, broker = place.hub, place.broker
    address = broker.bootstrap if place.sink == "kafka" else f"{broker.host}:{broker.port}"
    options = ["--url", hub.url, "--user", hub.username, "--password", hub.password, f"--{place.sink}", address]
    program = Program([*command, *options], folder / "log")
    program.start(partial(_subscribed, hub), 30)
    return program.pid, program.kill


def _start_ours(script: str, further: Settings, place: Place, folder: Path) -> tuple[int, Callable[[], object]]:
    bridge = BridgeProcess(folder, settings_of(place) | dict(further), script)
    bridge.start()
    return bridge.pid, bridge.kill9


def settings_of(place: Place) -> dict[str, str]:
    """Give the settings of our bridge where it has one sink."""
    settings = {
        "SINKS": place.sink,
        "HUB__URL": place.hub.url,
        "AUTH__USERNAME": place.hub.username,
        "AUTH__PASSWORD": place.hub.password,
        "AUTH__DEVICE_NAME": "BENCH",
        "SUBSCRIBE__RESOURCES": ",".join(place.resources),
    }
    return settings | dict(place.address)


def _subscribed(hub: Hub) -> bool:
    """Say whether somebody has subscribed to licences too, which every contender does last."""
    return any("licence" in topic for line in hub.state()["connections"] for topic in line["topics"])


@contextmanager
def running(who: Contender, place: Place) -> Iterator[int]:
    """Have a contender run and be subscribed; gives its process id. It and its journal are gone afterwards."""
    wait_until(lambda: not place.hub.state()["connections"], 30, "the last contender has left the hub")
    folder = Path(tempfile.mkdtemp(prefix=f"bench-{who.name}-"))
    try:
        pid, stop = who.start(place, folder)
        try:
            wait_until(lambda: _subscribed(place.hub), 10, f"{who.name} is subscribed")
            yield pid
        finally:
            stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def usage(session: int) -> Usage:
    """Sum over all processes of a session, ended children included."""
    cpu = resident = peak = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(") ")[2].split()
            if int(fields[3]) != session:
                continue
            status = (entry / "status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        cpu += sum(map(int, fields[11:15]))  # utime, stime and those of the children it has waited for: proc(5)
        resident += _kib("VmRSS", status)
        peak += _kib("VmHWM", status)
    return Usage(cpu / _TICKS, resident / 1024, peak / 1024)


def thread_seconds(pid: int) -> dict[int, float]:
    """Give the CPU time of each thread of a process that is there now."""
    found: dict[int, float] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended while we looked
            fields = (task / "stat").read_text().rpartition(") ")[2].split()
            found[int(task.name)] = sum(map(int, fields[11:13])) / _TICKS
    return found


def _kib(name: str, status: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) if found else 0
