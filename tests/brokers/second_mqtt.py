"""A second MQTT 5 broker, of other people's making than Mosquitto: HiveMQ CE, from `tests/brokers/hivemq`.

`make hivemq` fetches it; TEST_SECOND_MQTT_BROKER names the folder with its jars.
"""

import os
import shutil
import socket
import tempfile
from pathlib import Path

from tests.brokers.process import OnProgram, Program
from tests.support import free_port, require, unavailable

__all__ = ["HiveMq", "second_mqtt_level"]

_PROGRAM = Path(__file__).parent / "hivemq" / "Broker.java"
_QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m")
_CONFIGURATION = """<?xml version="1.0"?>
<hivemq>
  <listeners><tcp-listener><port>{port}</port><bind-address>127.0.0.1</bind-address></tcp-listener></listeners>
  <persistence><mode>in-memory</mode></persistence>
  <anonymous-usage-statistics><enabled>false</enabled></anonymous-usage-statistics>
  {settings}
</hivemq>
"""


def second_mqtt_level() -> str:
    """Name the second broker that there is: `hivemq` or `none`."""
    return "hivemq" if os.environ.get("TEST_SECOND_MQTT_BROKER") else "none"


class HiveMq(OnProgram):
    """HiveMQ CE as a process of ours; it keeps everything in memory, so a restart is one with an empty store.

    `settings` are further elements of its configuration, such as `<mqtt>`.
    """

    level = "hivemq"

    def __init__(self, settings: str = "") -> None:
        jars = require("second-mqtt", "TEST_SECOND_MQTT_BROKER")
        java = shutil.which("java")
        if java is None:
            unavailable("second-mqtt", "needs java 11 or newer")
        self.folder = Path(tempfile.mkdtemp(prefix="hivemq-"))
        self.host, self.port = "127.0.0.1", free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        (self.folder / "conf").mkdir()
        text = _CONFIGURATION.format(port=self.port, settings=settings)
        (self.folder / "conf" / "config.xml").write_text(text)
        command = [java, *_QUICK_START, "-cp", f"{jars}/*", str(_PROGRAM), str(self.folder)]
        self.program = Program(command, self.folder / "log")
        self._start()

    def _start(self) -> None:
        self.program.start(lambda: "the broker is running" in self.program.output() and self._answers(), 90)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=1):
                return True
        except OSError:
            return False

    def deny(self, way: str, *topics: str) -> None:
        """Refuse what is published below these topics, `puback` or `disconnect`; no topic takes all refusals back."""
        (self.folder / "denied").write_text("".join(f"{way} {topic}\n" for topic in topics))

    def save(self) -> None:
        """Do nothing: there is no store on disk."""
