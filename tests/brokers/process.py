"""A program as a Python object: started in a process group of its own, for its children to be paused with it."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.support import wait_until

__all__ = ["OnProgram", "Program"]


class Program:
    """One run after another of the same command, with its output in a file.

    Signals go to the whole group: a shell script that starts a Java process is otherwise paused without its child.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.command = list(command)
        self.log = log
        self._environment = dict(environment) if environment is not None else None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def start(self, ready: Callable[[], object], seconds: float) -> Self:
        """Start it and wait until `ready` is true; fail with the end of its output if it ends first."""
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env=self._environment,
                start_new_session=True,
            )
        try:
            wait_until(lambda: self._alive() and ready(), seconds, f"{self.command[0]} ready")
        except BaseException as error:
            self.kill()
            error.add_note(f"the end of its output:\n{self.output()[-2000:]}")
            raise
        return self

    def _alive(self) -> bool:
        if not self.running:
            raise ChildProcessError(f"{self.command[0]} ended with {self.returncode}:\n{self.output()[-2000:]}")
        return True

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        return None if self._process is None else self._process.poll()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def output(self) -> str:
        """Give what this run has written so far."""
        return self.log.read_bytes()[self._log_start :].decode(errors="replace") if self.log.exists() else ""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program and all its children."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def pause(self) -> None:
        """Freeze it: its sockets stay open and it says nothing."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash does (SIGKILL to the group) and wait for it."""
        self.signal(signal.SIGKILL)
        self.wait(10)

    def terminate(self, seconds: float = 10) -> int:
        """Ask it to end (SIGTERM); kill what is still there after the deadline; give its exit status."""
        self.resume()
        if self._process is not None and self.running:
            self._process.terminate()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
        self.signal(signal.SIGKILL)  # children that outlived it
        return self.wait(10)

    def wait(self, seconds: float) -> int:
        """Wait for its end and give its exit status."""
        return 0 if self._process is None else self._process.wait(seconds)


class OnProgram:
    """What can be done to every server that is a `program` with a `folder` of its own; `_start` starts it."""

    program: Program
    folder: Path

    def _start(self) -> None:
        raise NotImplementedError

    def pause(self) -> None:
        self.program.pause()

    def resume(self) -> None:
        self.program.resume()

    def kill(self) -> None:
        self.program.kill()

    def restart(self) -> None:
        """Start it anew on its port; end the old one first as a crash does if it still runs."""
        self.program.kill()
        self._start()

    def close(self) -> None:
        self.program.resume()
        self.program.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
