"""A stop of the installed program while files hang: those of a mount whose server is gone. Some seconds."""

import os
import time
from pathlib import Path

import pytest

from tests.brokers import start_simulator
from tests.brokers.certificates import Authority
from tests.chaos.bridge_process import BridgeProcess
from tests.support import free_port, wait_until

pytestmark = pytest.mark.slow


def test_a_stop_ends_in_time_and_in_order_though_a_file_hangs(tmp_path: Path) -> None:
    """The sink's broker is away, so that its certificate is looked at again and again."""
    authority = Authority(tmp_path)
    hub = start_simulator("--rate", "20")
    own = {
        **hub.login,
        "SUBSCRIBE__RESOURCES": "tickets",
        "SINKS": "mqtt",
        "SINK__MQTT__URL": f"mqtts://127.0.0.1:{free_port()}",
        "SINK__MQTT__CA_FILE": str(authority.ca_file),
        "STOP__DRAIN_SECONDS": "2",
    }
    bridge = BridgeProcess(tmp_path, own)
    try:
        bridge.start()
        certificate = authority.ca_file.read_bytes()
        os.mkfifo(tmp_path / "nobody-writes")
        (tmp_path / "nobody-writes").replace(authority.ca_file)
        wait_until(lambda: waits_for_a_writer(bridge.pid), 20, "a thread hangs in the file")

        began = time.monotonic()
        status = bridge.terminate(30)

        assert status == 0, bridge.log()
        assert time.monotonic() - began < 2 + 5 + 5
        assert "stopped in order" in bridge.log()
        assert "ended without waiting for threads that hang" in bridge.log()
        authority.ca_file.unlink()
        authority.ca_file.write_bytes(certificate)
        bridge.start_unready()
        assert "the last session ended in order" in bridge.log()
    finally:
        bridge.kill9()
        hub.close()


def waits_for_a_writer(pid: int) -> bool:
    """Say whether a thread of the process opens a pipe that nobody writes."""
    tasks = Path("/proc", str(pid), "task")
    return any((task / "wchan").read_text() in {"fifo_open", "wait_for_partner"} for task in tasks.iterdir())
