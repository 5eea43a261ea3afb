"""The volume under the journal: how much of it the journal may take, and what is wrong with it where a write fails."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["what_to_do", "within_volume"]


def within_volume(path: Path, max_bytes: int, largest: Callable[[int], int]) -> int:
    """Give how much a journal at `path` may hold: what is asked for, or the `largest` for the bytes of its volume."""
    found = _volume(path)
    size = 0 if found is None else found.f_blocks * found.f_frsize
    return min(largest(size), max_bytes) if size else max_bytes  # some network file systems tell no size


def what_to_do(path: Path, error: BaseException | None = None) -> str:
    """Say what the volume lacks, as the end of an error's text; empty where it is not that.

    ext4 that goes read-only by itself, at a fault, tells it by the error and not by the volume's flags (Linux 6.18).
    """
    found = _volume(path)
    read_only = isinstance(error, OSError) and error.errno == errno.EROFS
    if read_only or (found is not None and found.f_flag & os.ST_RDONLY):
        return "; its volume is read-only: check it and mount it for writing, then the next start goes on"
    if found is None:
        return ""
    if found.f_blocks and not found.f_bavail:
        return "; its volume is full: make room there, then the next start goes on"
    if found.f_files and not found.f_favail:
        return "; its volume has no inode left: delete files there, then the next start goes on"
    return ""


def _volume(path: Path) -> os.statvfs_result | None:
    folder = path.parent
    while not folder.exists() and folder != folder.parent:  # it is made when the journal is opened
        folder = folder.parent
    try:
        return os.statvfs(folder)
    except OSError:  # whoever uses the file meets it too, and tells it
        return None
