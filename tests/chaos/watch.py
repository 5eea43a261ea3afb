"""A bridge watched from outside: how much memory it has taken, and for how long it has left its hub unread."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.chaos.background import Background

__all__ = ["Watch"]

_EVERY_SECONDS = 0.05
_ESTABLISHED = "01"
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)


class Watch(Background):
    """Looks twenty times a second, in a thread of its own, until it is left.

    The kernel tells how many bytes wait on each socket that is connected to the hub's port. One is unread from the
    moment at which some wait to the one at which there are fewer: whoever reads takes what is there.
    """

    def __init__(self, pid: Callable[[], int | None], port: int) -> None:
        super().__init__("watch")
        self.unread_seconds = 0.0
        self.peak_bytes = 0
        self._pid = pid
        self._port = f"{port:04X}"
        self._waiting: dict[str, tuple[int, float]] = {}

    def _run(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            self._look_at_sockets(Path("/proc/net/tcp").read_text(), time.monotonic())
            self._look_at_memory()

    def _look_at_sockets(self, table: str, now: float) -> None:
        seen: dict[str, tuple[int, float]] = {}
        for line in table.splitlines()[1:]:
            _, local, remote, state, queues, *_ = line.split()
            if state != _ESTABLISHED or not remote.endswith(f":{self._port}"):
                continue
            waiting = int(queues.split(":")[1], 16)
            before, since = self._waiting.get(local, (0, now))
            if not waiting or waiting < before:
                since = now
            seen[local] = waiting, since
            self.unread_seconds = max(self.unread_seconds, now - since)
        self._waiting = seen

    def _look_at_memory(self) -> None:
        with suppress(OSError, TypeError):  # there is no such process just now
            found = _PEAK.search(Path(f"/proc/{self._pid()}/status").read_text())
            self.peak_bytes = max(self.peak_bytes, int(found[1]) * 1024 if found else 0)
