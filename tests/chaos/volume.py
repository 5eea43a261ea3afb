"""A file system of its own for a journal, on a loop device: its power can be cut, its space and its inodes counted.

`EXT4_IOC_SHUTDOWN` without a flush of the log drops everything that is not yet on the device, as a power cut drops the
page cache. What a disk itself may do, tear a sector or lie about a flush, it does not show.
"""

import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import unavailable, wait_until

__all__ = ["Volume", "volume"]

_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = struct.pack("I", 2)
_BUSY_SECONDS = 10


class Volume:
    """A mounted ext4 file system: `folder` is its root."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.folder = folder
        self._image = image

    def mount(self, *options: str) -> None:
        """Mount it, with further options: `ro`; its own log is replayed, as after a power cut."""
        _run("mount", "-o", ",".join(("loop", *options)), str(self._image), str(self.folder))

    def unmount(self) -> None:
        """Unmount it once nobody has it open any more."""
        wait_until(self._unmounted, _BUSY_SECONDS, f"{self.folder} can be unmounted")

    def _unmounted(self) -> bool:
        return not self.folder.is_mount() or subprocess.run(["umount", str(self.folder)], check=False).returncode == 0

    def cut_power(self) -> None:
        """Lose what is not on the device; whoever uses it gets errors from now on, until it is mounted again."""
        root = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(root, _EXT4_IOC_SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(root)

    def go_read_only(self) -> None:
        """Let ext4 meet a fault on which it goes read-only, as `errors=remount-ro` says; `power_up` mends it."""
        self._remount("errors=remount-ro")
        device = Path(_run("findmnt", "-n", "-o", "SOURCE", str(self.folder))).name
        (Path("/sys/fs/ext4") / device / "trigger_fs_error").write_text("a test")

    def _remount(self, *options: str) -> None:
        _run("mount", "-o", ",".join(("remount", *options)), str(self.folder))

    def power_up(self) -> None:
        """Mount it again after a power cut; nobody may have it open."""
        self.unmount()
        self.mount()


@contextmanager
def volume(megabytes: int = 128, inodes: int = 1024) -> Iterator[Volume]:
    """Make a file system and mount it; ends the test where that is not possible (TEST_REQUIRE names it `loop`)."""
    base = Path(tempfile.mkdtemp(prefix="volume-"))
    image, folder = base / "image", base / "mounted"
    folder.mkdir()
    made = Volume(image, folder)
    try:
        try:
            with image.open("wb") as file:
                file.truncate(megabytes << 20)
            _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-N", str(inodes), str(image))
            made.mount()
        except (OSError, subprocess.CalledProcessError) as error:
            unavailable("loop", f"needs root, mkfs.ext4 and loop devices: {error}")
        yield made
    finally:
        made.unmount()
        shutil.rmtree(base)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()
