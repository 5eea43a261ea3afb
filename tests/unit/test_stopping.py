"""What a signal asks for, and that none of them ends a process which it should not."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bridge.stopping import hangups, stop_signal

IN_A_PROCESS = """
import asyncio, os, signal
from bridge.stopping import hangups

async def main():
    with hangups() as hangup:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.wait_for(hangup.wait(), 5)
            hangup.clear()
    os.kill(os.getpid(), signal.SIGHUP)

asyncio.run(main())
os.kill(os.getpid(), signal.SIGHUP)
print("alive")
"""


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_hangup_is_an_event_and_never_ends_the_process() -> None:
    """Neither while it is waited for, nor afterwards, nor when the loop is closed."""
    ended = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS], capture_output=True, text=True, timeout=30, check=False
    )

    assert (ended.returncode, ended.stdout) == (0, "alive\n"), ended.stderr


async def test_a_stop_takes_no_hangup_unless_it_is_asked_to() -> None:
    """A bridge reads its settings then, whoever shows something on a terminal ends."""
    with hangups() as hangup:
        stop = stop_signal()
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(hangup.wait(), 5)
        assert not stop.is_set()

    stop = stop_signal((signal.SIGHUP,))
    os.kill(os.getpid(), signal.SIGHUP)
    await asyncio.wait_for(stop.wait(), 5)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)
