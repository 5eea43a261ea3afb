"""Console scripts of the program with a trap in it, sprung by SIGUSR1: nothing from outside stops one task or thread.

Each is a mutant of `tests.chaos.mutants`: the product has no switch, and all of its own code is as it is.
"""

__all__ = ["BLOCKED", "BLOCKED_SECONDS", "TASKLESS", "THREADLESS"]

BLOCKED_SECONDS = 25

BLOCKED = f"""
import signal
import sys
import time

signal.signal(signal.SIGUSR1, lambda *_: time.sleep({BLOCKED_SECONDS}))
"""
"""The event loop's thread sleeps, as in a call that blocks: Python runs the handler of a signal in that thread."""

TASKLESS = """
import asyncio
import signal
import sys

def cancel(*_):
    next(task for task in asyncio.all_tasks() if task.get_name() == "sink stdout").cancel()

signal.signal(signal.SIGUSR1, cancel)
"""
"""The task that serves the sink is cancelled by somebody who has no business to, and ends without an error."""

THREADLESS = """
import ctypes
import signal
import sys
import threading

def end(*_):
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "journal")
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))

signal.signal(signal.SIGUSR1, end)
"""
"""The journal's thread ends at the next thing that it does."""
