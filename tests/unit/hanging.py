"""A file that hangs, as one does on a mount whose server is gone; a named pipe stands for it."""

import os
import threading
from contextlib import suppress
from pathlib import Path

__all__ = ["Hanging"]


class Hanging:
    """Has files hang, and counts the threads that have come since."""

    def __init__(self, folder: Path) -> None:
        self._pipe = folder / "nobody-writes"
        self._link = folder / "link"
        self._before = threading.active_count()
        os.mkfifo(self._pipe)

    @property
    def threads(self) -> int:
        return threading.active_count() - self._before

    def begin(self, file: Path) -> None:
        """Hold whoever reads the file from now on."""
        os.link(self._pipe, self._link)
        self._link.replace(file)
        self._before = threading.active_count()

    def mount_anew(self, file: Path, content: str) -> None:
        """Answer who comes, and never who waits, as after a lazy unmount."""
        self._link.write_text(content)
        self._link.replace(file)

    def answer(self) -> None:
        """Let all go who wait."""
        with suppress(OSError):  # nobody waits
            os.close(os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK))
