"""What a signal asks for, and that none of them ends a process which it should not."""

import asyncio
import os
import signal
import subprocess
import sys

from bridge.stopping import stop_signal

PROGRAM = """
import asyncio, os, signal, sys
from bridge import __main__
from bridge.commands import run
from bridge.stopping import hangups, stop_signal

def hang_up():
    os.kill(os.getpid(), signal.SIGHUP)

def held():
    return signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, ())

async def served():
    hang_up()
    stop = stop_signal()
    with hangups() as hangup:
        for _ in range(3):
            await asyncio.wait_for(hangup.wait(), 5)
            hangup.clear()
            hang_up()
        print("held in every thread:", held() and await asyncio.to_thread(held))
    print("stopped:", stop.is_set())
    hang_up()

def command():
    asyncio.run(served())
    hang_up()
    print("alive")
    return 0

run.run = command
sys.exit(__main__.main(["run"]))
"""


def test_a_hangup_is_an_event_and_neither_interrupts_nor_stops_nor_ends_the_process() -> None:
    """Neither while it starts or is waited for, nor afterwards, nor when the loop is closed."""
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=False)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["held in every thread: True", "stopped: False", "alive"]


async def test_a_hangup_is_a_stop_where_that_is_asked_for() -> None:
    """Whoever shows something on a terminal ends with it."""
    handled = signal.getsignal(signal.SIGHUP)
    stop = stop_signal((signal.SIGHUP,))
    os.kill(os.getpid(), signal.SIGHUP)
    await asyncio.wait_for(stop.wait(), 5)

    signal.signal(signal.SIGHUP, handled)
