"""What every kind of test needs: asking for the outside world, waiting for a condition, a free port, a program."""

import asyncio
import ctypes
import inspect
import os
import random
import socket
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

__all__ = ["end_thread", "free_port", "require", "required", "unavailable", "until", "wait_until", "write_program"]

T = TypeVar("T")
_POLL_SECONDS = 0.02


def required(kind: str) -> bool:
    """Say whether this run may not skip what needs `kind`: TEST_REQUIRE names it."""
    return kind in {name.strip() for name in os.environ.get("TEST_REQUIRE", "").split(",")}


def unavailable(kind: str, reason: str) -> NoReturn:
    """End the test for want of `kind`: a skip, or a failure where TEST_REQUIRE names the kind."""
    if required(kind):
        pytest.fail(f"TEST_REQUIRE names {kind}: {reason}", pytrace=False)
    pytest.skip(reason)


def require(kind: str, variable: str) -> str:
    """Give the value of a variable that names a part of the outside world, or end the test as `unavailable` does."""
    value = os.environ.get(variable, "").strip()
    if not value:
        unavailable(kind, f"set {variable} to run this")
    return value


async def until(condition: Callable[[], T | Awaitable[T]], seconds: float, what: str) -> T:
    """Wait until the condition gives something true, and give it; fail with `what` after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        result: T = await value if inspect.isawaitable(value) else value
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what} (last seen: {result!r})")
        await asyncio.sleep(_POLL_SECONDS)


def wait_until(condition: Callable[[], T], seconds: float, what: str) -> T:
    """Wait as `until` does where no event loop runs."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what} (last seen: {result!r})")
        time.sleep(_POLL_SECONDS)


def write_program(path: Path, text: str) -> str:
    """Write a script that can be run at once; gives its path.

    Another process writes it: a file of our own that is open for writing is open as well in whatever another thread
    forks just then, and Linux runs no file that somebody may still write to (ETXTBSY in execve(2)).
    """
    write = ["/bin/sh", "-c", 'cat > "$1" && chmod 755 "$1"', "write", str(path)]
    subprocess.run(write, input=text, text=True, check=True, timeout=10)
    return str(path)


_NEVER_OF_A_CLIENT = range(15_000, 32_000)  # below Linux's net.ipv4.ip_local_port_range and IANA's dynamic ports
_NEXT: dict[range, int] = {}


def free_port(*, neighbours: int = 0) -> int:
    """Give a TCP port of the loopback that is free now, with that many free ones right above it.

    It is none of those that the system gives to clients, which could take it before whoever is to listen there, nor
    of those that are given by another worker of this run. None is given twice before all were: whoever has one may
    not listen there yet, or may be down for a while.
    """
    mine = _ports_of_this_worker()
    port = _NEXT.get(mine) or random.choice(mine)  # noqa: S311 - a port is no secret
    while True:
        if port + neighbours >= mine.stop:
            port = mine.start
        _NEXT[mine] = port + neighbours + 1
        if all(_is_free(port + offset) for offset in range(neighbours + 1)):
            return port
        port = _NEXT[mine]


def _ports_of_this_worker() -> range:
    """Share them out among the workers of pytest-xdist; without it, all are this process's."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = len(_NEVER_OF_A_CLIENT) // workers
    return _NEVER_OF_A_CLIENT[number * share : (number + 1) * share]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def end_thread(name: str) -> None:
    """Let the thread of that name die of `SystemExit`, which says nothing, as soon as it does anything at all."""
    thread = next(thread for thread in threading.enumerate() if thread.name == name)
    asked = ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
    assert asked == 1, f"{asked} threads are called {name}"
