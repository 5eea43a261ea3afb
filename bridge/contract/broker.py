"""A broker as a process of a test: on a free port, ready when it takes connections, to be frozen and killed."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from unittest import SkipTest

__all__ = ["LocalBroker"]

_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"))
_NEVER_OF_A_CLIENT = range(15_000, 32_000)  # below Linux's net.ipv4.ip_local_port_range and IANA's dynamic ports
_POLL_SECONDS = 0.02
_LAST_WORDS_BYTES = 2000


class LocalBroker:
    """A program of this machine that listens at `host` and `port` from entering to leaving.

    In the words of its command `{port}` and `{folder}` are filled in: a free port of the loopback, and an empty folder
    that is removed with all that is in it. Entering waits until the port takes connections and blocks meanwhile. Where
    the program is not installed it skips the test, or fails it if the environment variable TEST_REQUIRE, a list with
    commas, names the program.
    """

    host = "127.0.0.1"

    def __init__(self, *command: str, start_seconds: float = 10) -> None:
        self.port = 0
        self._command = command
        self._start_seconds = start_seconds
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        program = shutil.which(self._command[0], path=_PATH)
        if program is None:
            raise _absent(self._command[0])
        with contextlib.ExitStack() as started:
            folder = started.enter_context(tempfile.TemporaryDirectory(prefix="broker-", ignore_cleanup_errors=True))
            self.port = _free_port()
            words = [word.replace("{port}", str(self.port)).replace("{folder}", folder) for word in self._command[1:]]
            log = started.enter_context((Path(folder) / "log").open("w+b"))
            self._process = subprocess.Popen(  # noqa: S603 - the command is the test's own
                [program, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
            )
            started.callback(self.kill)
            self._wait_for_it(Path(log.name))
            self._cleanup = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def freeze(self) -> None:
        """Let it keep its connections and say nothing more, until it is killed or left."""
        self._signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End it as a crash does, with every process that it has started, and wait for it."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _wait_for_it(self, log: Path) -> None:
        deadline = time.monotonic() + self._start_seconds
        while True:
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
                return
            late = time.monotonic() > deadline
            if late or self._process.poll() is not None:
                what = f"takes no connection within {self._start_seconds:g} s" if late else "ended at once"
                words = log.read_bytes()[-_LAST_WORDS_BYTES:].decode(errors="replace")
                raise ChildProcessError(f"{self._command[0]} {what}; it said:\n{words}")
            time.sleep(_POLL_SECONDS)


def _absent(program: str) -> Exception:
    required = {name.strip() for name in os.environ.get("TEST_REQUIRE", "").split(",")}
    text = f"install {program} to run this"
    return AssertionError(f"TEST_REQUIRE names {program}: {text}") if program in required else SkipTest(text)


def _free_port() -> int:
    """Give a port that is none of those that the system gives to clients, which could take it before the broker."""
    while True:
        port = random.choice(_NEVER_OF_A_CLIENT)  # noqa: S311 - a port is no secret
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LocalBroker.host, port))
            return port
