"""The MQTT rungs of the ladder: a given address, a container, the program `mosquitto`."""

import os
import re
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import Protocol

from tests.brokers.container import Container, OnContainer, engine
from tests.brokers.process import OnProgram, Program
from tests.support import free_port, unavailable, wait_until

__all__ = ["GivenMqtt", "MosquittoContainer", "MosquittoProgram", "MqttBroker", "mosquitto", "mqtt_level", "start_mqtt"]

IMAGE = "eclipse-mosquitto:2.0"


class MqttBroker(Protocol):
    """An MQTT 5 broker; a given one can only be used, not paused or killed."""

    level: str
    url: str

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def kill(self) -> None: ...
    def restart(self) -> None: ...
    def save(self) -> None: ...
    def close(self) -> None: ...


def mosquitto() -> str | None:
    """Find the program."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def mqtt_level(*, own: bool = False) -> str:
    """Name the rung that `start_mqtt` would take: `given`, `container`, `process` or `none`."""
    if os.environ.get("TEST_MQTT_URL") and not own:
        return "given"
    if engine(IMAGE):
        return "container"
    return "process" if mosquitto() else "none"


def start_mqtt(*, own: bool = False, settings: str = "") -> MqttBroker:
    """Start the best broker there is; `own` leaves out a given one, for tests that pause, kill or configure it.

    `settings` are further lines of `mosquitto.conf`.
    """
    level = mqtt_level(own=own or bool(settings))
    if level == "given":
        return GivenMqtt(os.environ["TEST_MQTT_URL"])
    if level == "container":
        return MosquittoContainer(settings)
    if level == "none":
        unavailable("mqtt", f"needs an MQTT broker: set TEST_MQTT_URL, install mosquitto, or start Docker with {IMAGE}")
    return MosquittoProgram(settings)


class GivenMqtt:
    """Somebody else's broker, used as it is."""

    level = "given"

    def __init__(self, url: str) -> None:
        self.url = url
        match = re.fullmatch(r"mqtt://([^:/]+)(?::(\d+))?/?", url)
        if match is None:
            raise ValueError("TEST_MQTT_URL should be mqtt://host[:port]")
        self.host, self.port = match[1], int(match[2] or 1883)

    def _refuse(self) -> None:
        raise NotImplementedError("a given broker is not ours to stop: ask for one with own=True")

    pause = resume = kill = restart = save = _refuse

    def close(self) -> None:
        """Leave it running."""


class _Mosquitto:
    """What the program and the container share: a folder with configuration and data, and the address."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mosquitto-"))
        self.host = "127.0.0.1"
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"

    def configure(self, listener: str, data: str, settings: str) -> Path:
        """Write the configuration.

        `user root`: started as root it otherwise drops to its own user and cannot read its files. No limit on what is
        in flight or queued for a subscriber: a slow consumer of a test must not look like a loss of the bridge.
        """
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"{listener}\nallow_anonymous true\nuser root\nlog_dest stderr\nlog_type all\n"
            f"persistence true\npersistence_location {data}/\nautosave_interval 0\n"
            f"max_inflight_messages 0\nmax_queued_messages 0\nqueue_qos0_messages true\n"
            f"set_tcp_nodelay true\n{settings}\n"
        )
        return config

    @staticmethod
    def saved(folder: Path) -> int:
        """Give the moment of the last completed save in nanoseconds; the log tells of it before it is done."""
        data = folder / "mosquitto.db"
        return data.stat().st_mtime_ns if data.exists() else 0

    def answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=1):
                return True
        except OSError:
            return False


class MosquittoProgram(_Mosquitto, OnProgram):
    """Mosquitto as a process of ours."""

    level = "process"

    def __init__(self, settings: str = "") -> None:
        super().__init__()
        config = self.configure(f"listener {self.port} 127.0.0.1", str(self.folder), settings)
        self.program = Program([mosquitto() or "mosquitto", "-c", str(config)], self.folder / "log")
        self._start()

    def _start(self) -> None:
        self.program.start(lambda: " running" in self.program.output() and self.answers(), 15)

    def save(self) -> None:
        """Have sessions and subscriptions written to disk, so that they outlive a kill."""
        before = self.saved(self.folder)
        self.program.signal(signal.SIGUSR1)
        wait_until(lambda: self.saved(self.folder) > before, 10, "mosquitto saved its data")


class MosquittoContainer(_Mosquitto, OnContainer):
    """Mosquitto from its public image."""

    level = "container"

    def __init__(self, settings: str = "") -> None:
        super().__init__()
        (self.folder / "data").mkdir()
        config = self.configure("listener 1883", "/mosquitto/data", settings)
        self.container = Container(
            IMAGE,
            ports={1883: self.port},
            volumes={str(config): "/mosquitto/config/mosquitto.conf", str(self.folder / "data"): "/mosquitto/data"},
        )
        self._start(after=0)

    def _start(self, after: int) -> None:
        """Start it and wait: Docker takes connections before the broker does, so its own word counts."""
        self.container.start(lambda: self._starts() > after and self.answers(), 30)

    def _starts(self) -> int:
        return self.container.output().count(" running")

    def restart(self) -> None:
        self.container.kill()
        self._start(after=self._starts())

    def save(self) -> None:
        """Have sessions and subscriptions written to disk, so that they outlive a kill."""
        before = self.saved(self.folder / "data")
        self.container.signal("SIGUSR1")
        wait_until(lambda: self.saved(self.folder / "data") > before, 10, "mosquitto saved its data")

    def close(self) -> None:
        self.container.close()
        shutil.rmtree(self.folder, ignore_errors=True)
