"""A file system of its own for a journal, on a disk whose power can be cut, with its space and its inodes counted.

The disk is a loop device over `device.py`, because its power has to end with the program's. `EXT4_IOC_SHUTDOWN` ends
only the file system, and then confirms what is lost (Linux 6.18): it ends the running transaction without writing it; a
`fdatasync` that waits for its data meanwhile finds its transaction neither running nor committing, takes it for written
(`jbd2_complete_transaction`), flushes the disk, which works, and returns 0. A program that appends and syncs lost what
it had been told to be safe in 14 cuts of 300, bare SQLite in 12 of 200; where the program was killed first, so that
nobody is told, in 0 of 300 and 0 of 200. On a disk without power that flush fails.
"""

import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support import unavailable, wait_until

__all__ = ["Volume", "volume"]

_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = struct.pack("I", 2)
_BUSY_SECONDS = 10
_BLOCK_BYTES = 4096
_ROOT = Path(__file__).parents[2]


class Volume:
    """A mounted ext4 file system in a folder `base` with its `image`: `folder` is its root."""

    def __init__(self, base: Path, seed: str) -> None:
        self.folder = base / "mounted"
        self.folder.mkdir()
        self._image = base / "image"
        self._face = base / "disk"
        self._face.touch()
        self._seed = seed
        self._lives = 0
        self._disk: subprocess.Popen[str] | None = None

    def mount(self) -> None:
        """Switch the disk on and mount it; its own log is replayed, as after a power cut."""
        self._lives += 1
        serve = [sys.executable, "-m", "tests.chaos.device", self._image, self._face, f"{self._seed}/{self._lives}"]
        self._disk = subprocess.Popen(serve, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._said("ready")
        _run("mount", "-o", "loop", str(self._face), str(self.folder))

    def unmount(self) -> None:
        """Unmount it once nobody has it open any more, and switch the disk off."""
        wait_until(self._unmounted, _BUSY_SECONDS, f"{self.folder} can be unmounted")
        if (disk := self._disk) is not None:
            wait_until(lambda: _unmount(self._face) or disk.poll() is not None, _BUSY_SECONDS, "the disk is free")
            disk.communicate(timeout=_BUSY_SECONDS)
            self._disk = None

    def _unmounted(self) -> bool:
        return not self.folder.is_mount() or _unmount(self.folder)

    def cut_power(self) -> None:
        """Lose what the disk has not flushed; whoever uses it gets errors from now on, until it is mounted again."""
        assert self._disk is not None
        assert self._disk.stdin is not None
        self._disk.stdin.write("cut\n")
        self._disk.stdin.flush()
        self._said("gone")

    def _said(self, word: str) -> None:
        assert self._disk is not None
        assert self._disk.stdout is not None
        if self._disk.stdout.readline() != f"{word}\n":
            raise OSError(f"the disk ended with {self._disk.wait(_BUSY_SECONDS)}")

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Let the disk answer nothing meanwhile; what it is asked comes afterwards, a power cut before all else."""
        assert self._disk is not None
        self._disk.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._disk.send_signal(signal.SIGCONT)

    @contextmanager
    def filled(self) -> Iterator[None]:
        """Take every block that is free meanwhile."""
        file = self.folder / "ballast"
        with file.open("wb", buffering=0) as out:
            for size in (1 << 20, _BLOCK_BYTES):
                with suppress(OSError):
                    while True:
                        out.write(bytes(size))
            with suppress(OSError):
                os.fsync(out.fileno())
        try:
            yield
        finally:
            file.unlink()

    def shut_down(self) -> None:
        """Lose what ext4 has not yet given to the disk; whoever uses it must have been killed (see above)."""
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
def volume(megabytes: int = 128, inodes: int = 1024, seed: str = "1") -> Iterator[Volume]:
    """Make a file system and mount it; ends the test where that is not possible (TEST_REQUIRE names it `loop`).

    `seed` is that of what a cut loses of what was not flushed.
    """
    base = Path(tempfile.mkdtemp(prefix="volume-"))
    image = base / "image"
    made = Volume(base, seed)
    try:
        try:
            with image.open("wb") as file:
                file.truncate(megabytes << 20)
            _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-N", str(inodes), str(image))
            made.mount()
        except (OSError, subprocess.CalledProcessError) as error:
            unavailable("loop", f"needs root, mkfs.ext4, loop devices and FUSE: {error}")
        yield made
    finally:
        made.unmount()
        shutil.rmtree(base)


def _unmount(place: Path) -> bool:
    return subprocess.run(["umount", str(place)], capture_output=True, check=False).returncode == 0


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()
