"""A disk with a volatile cache, whose power can be cut: one file, served over FUSE, for a loop device to lie on.

`python -m tests.chaos.device IMAGE FACE SEED` shows the sectors of the file IMAGE as the file FACE, until FACE is
unmounted or its own input ends; `ready` on its output says that they are there. A line on its input cuts the power, and
`gone` says that it is done. Of what was written since the last flush each sector is then lost or kept, by the dice, as
a cache is written out in any order; every request from then on ends in an error. Requests are served one at a time, so
that each comes before the cut or after it.

FACE is the root of its file system, a regular file, and needs no more of FUSE (`linux/fuse.h`, 7.31) than a few
requests; the kernel does without the others. The libraries there are need a libfuse beside them.
"""

import ctypes
import errno
import os
import select
import struct
import sys
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from random import Random
from stat import S_IFREG

__all__ = ["Cache", "main"]

_SECTOR_BYTES = 512
_LARGEST_BYTES = 128 << 10
_HEADER = struct.Struct("<IIQ24x")
_SPAN = struct.Struct("<8xQI20x")
_ANSWER = struct.Struct("<IiQ")
_ROOT, _ATTRIBUTES_SECONDS, _BIG_WRITES = 1, 3600, 1 << 5


class _Request(IntEnum):
    FORGET = 2
    GETATTR = 3
    OPEN = 14
    READ = 15
    WRITE = 16
    RELEASE = 18
    FSYNC = 20
    FLUSH = 25
    INIT = 26


@dataclass(slots=True)
class Cache:
    """The sectors of an image that is open as `image`."""

    image: int
    dice: Random
    powered: bool = True
    replaced: dict[int, bytes] = field(default_factory=dict)
    """What the sectors held that were written since the last flush."""

    def read(self, offset: int, size: int) -> bytes:
        self._need_power()
        return os.pread(self.image, size, offset)

    def write(self, offset: int, data: bytes) -> None:
        """Write whole sectors; none is safe before a flush."""
        self._need_power()
        before = os.pread(self.image, len(data), offset)
        for start in range(0, len(data), _SECTOR_BYTES):
            self.replaced.setdefault(offset + start, before[start : start + _SECTOR_BYTES])
        os.pwrite(self.image, data, offset)

    def flush(self) -> None:
        """Make safe whatever was written."""
        self._need_power()
        self.replaced.clear()

    def cut(self) -> None:
        """Lose about half of the sectors that are not safe, and fail from now on."""
        for offset, before in self.replaced.items():
            if self.dice.random() < 0.5:
                os.pwrite(self.image, before, offset)
        self.powered = False

    def _need_power(self) -> None:
        if not self.powered:
            raise OSError(errno.EIO, "the power is cut")


def main() -> int:
    """Serve an image until nobody wants it any more."""
    image, face, seed = sys.argv[1:]
    cache = Cache(os.open(image, os.O_RDWR), Random(seed))  # noqa: S311 - what a cache loses is no secret
    fuse = _mounted(Path(face))
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([fuse, sys.stdin], [], [])
        if sys.stdin in ready:
            if not sys.stdin.readline():
                return 0
            cache.cut()
            print("gone", flush=True)
        elif not _serve(fuse, cache):
            return 0


def _mounted(face: Path) -> int:
    """Mount the file; mount(8) would look at it before it is served."""
    fuse = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fuse},rootmode={S_IFREG | 0o600:o},user_id=0,group_id=0"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"device", bytes(face), b"fuse", 0, options.encode()):
        raise OSError(ctypes.get_errno(), f"{face} cannot be mounted")
    return fuse


def _serve(fuse: int, cache: Cache) -> bool:
    """Answer a request; say whether there was one."""
    try:
        request = os.read(fuse, _LARGEST_BYTES + 4096)
    except OSError as error:
        if error.errno == errno.ENODEV:  # it is unmounted
            return False
        raise
    _, operation, number = _HEADER.unpack_from(request)
    if operation == _Request.FORGET:
        return True
    try:
        answer, failed = _answer(cache, operation, request[_HEADER.size :]), 0
    except OSError as error:
        answer, failed = b"", -(error.errno or errno.EIO)
    os.write(fuse, _ANSWER.pack(_ANSWER.size + len(answer), failed, number) + answer)
    return True


def _answer(cache: Cache, operation: int, body: bytes) -> bytes:
    """Do what is asked, and give what follows the header of the answer."""
    answer = b""
    match operation:
        case _Request.INIT:
            sizes = 7, 31, _LARGEST_BYTES, _BIG_WRITES, 16, 12, _LARGEST_BYTES, 1, 0, 0, 0
            answer = struct.pack("<4I2H2I2HI28x", *sizes)
        case _Request.GETATTR:
            size = os.fstat(cache.image).st_size
            file = struct.pack("<6Q10I", _ROOT, size, 0, 0, 0, 0, 0, 0, 0, S_IFREG | 0o600, 1, 0, 0, 0, 4096, 0)
            answer = struct.pack("<QI4x", _ATTRIBUTES_SECONDS, 0) + file
        case _Request.OPEN:
            answer = bytes(16)
        case _Request.READ:
            answer = cache.read(*_SPAN.unpack_from(body))
        case _Request.WRITE:
            offset, size = _SPAN.unpack_from(body)
            cache.write(offset, body[_SPAN.size :])
            answer = struct.pack("<I4x", size)
        case _Request.FSYNC:
            cache.flush()
        case _Request.FLUSH | _Request.RELEASE:
            pass  # a close keeps nothing safe
        case _:
            raise OSError(errno.ENOSYS, f"request {operation} is not served")
    return answer


if __name__ == "__main__":
    sys.exit(main())
