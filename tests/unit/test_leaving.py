"""Threads that hang: what runs goes on, a stop has threads of its own, and the process ends with the right status."""

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bridge.leaving import leave
from bridge.threads import renew_helpers
from tests.support import until
from tests.unit.test_beginning import starting

IN_A_PROCESS = """
import asyncio, sys, threading
from bridge import service
from bridge.__main__ import main
from bridge.errors import StorageFailed

async def run(self, stop, sources):
    asyncio.ensure_future(asyncio.to_thread(threading.Event().wait))
    await asyncio.sleep(0.1)
    print("the last that a sink prints")
    {end}

service._Bridge.run = run
sys.argv = ["portos-bridge", "run"]
sys.exit(main())
"""
SETTINGS = {
    "SINKS": "stdout",
    "HUB__URL": "http://127.0.0.1:1",
    "AUTH__SCHEME": "static",
    "AUTH__TOKEN": "none",
    "SUBSCRIBE__RESOURCES": "tickets",
}


@pytest.mark.parametrize(("end", "status"), [("return", 0), ("raise StorageFailed('the disk is gone')", 74)])
def test_a_thread_that_hangs_does_not_keep_the_process_from_its_exit_status(
    end: str, status: int, tmp_path: Path
) -> None:
    """Else a supervisor kills it in the end, which looks as if something was not stored or closed."""
    environment = {"PORTOS_BRIDGE_JOURNAL__PATH": str(tmp_path / "j.db")}
    environment |= {f"PORTOS_BRIDGE_{name}": value for name, value in SETTINGS.items()}

    command = [sys.executable, "-c", IN_A_PROCESS.format(end=end)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)

    assert done.returncode == status, done.stderr
    assert "ended without waiting for threads that hang, as a rule in a name or a file: helper_0" in done.stderr
    assert ("the disk is gone" in done.stderr) == (status == 74)
    assert done.stdout == "the last that a sink prints\n"


def test_threads_that_end_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own end follows."""
    monkeypatch.setattr("os._exit", lambda _: pytest.fail("the process would have ended"))
    thread = threading.Thread(target=time.sleep, args=(0.2,))
    thread.start()

    assert leave(3) == 3
    assert not thread.is_alive()


async def test_a_stop_has_threads_of_its_own(tmp_path: Path) -> None:
    """A mount that is gone takes one thread after the other; the end of the journal's own is waited for in one."""
    answered = threading.Event()
    renew_helpers()
    try:
        async with starting(tmp_path) as one:
            await until(lambda: one.bridge._source_link.connected, 5, "subscribed")
            hanging = [asyncio.create_task(asyncio.to_thread(answered.wait)) for _ in range(100)]
            await asyncio.sleep(0)

            one.stop.set()
            await asyncio.wait_for(one.done, 10)

            assert not any(task.done() for task in hanging)
    finally:
        answered.set()
    await asyncio.wait(hanging)
