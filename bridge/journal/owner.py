"""One owner a journal: the lock beside the file, and in it who holds it.

Used by `bridge.journal.opening`, and by whatever else opens the file of a journal that no bridge runs on.
"""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.errors import JournalOwned, StorageFailed
from bridge.journal.volume import what_to_do
from bridge.message import rfc3339

__all__ = ["owned"]

_LONGEST_BYTES = 512
_ASKS = 20
_ASK_AGAIN_SECONDS = 0.01


@contextmanager
def owned(path: Path) -> Iterator[int]:
    """Hold the lock that makes this process the journal's only owner, also on a volume that two pods share.

    Gives its descriptor: a duplicate holds the lock as well. The kernel lets it go with the process, however that ends.
    Raises `JournalOwned` with the owner's name when another has it, `StorageFailed` when its folder is not usable.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise StorageFailed(f"journal {path}: its folder cannot be used: {error!r}{what_to_do(path, error)}") from error
    try:
        _take(lock, path)
        try:
            yield lock
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def _take(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise JournalOwned(
            f"journal {path} belongs to another running process, {_owner(lock)}: stop that one, or give this one a"
            " JOURNAL__PATH of its own"
        ) from error
    except OSError as error:
        raise StorageFailed(f"journal {path} cannot be locked: {error!r}") from error
    with contextlib.suppress(OSError):  # a full disk: the lock holds without a name
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"pid {os.getpid()} on {socket.gethostname()} since {rfc3339(time.time())}".encode(), 0)


def _owner(lock: int) -> str:
    """Read who holds the lock; asked again for a moment, since the owner may have taken it just now."""
    for _ in range(_ASKS):
        name = os.pread(lock, _LONGEST_BYTES, 0).decode(errors="replace")
        if name:
            return name
        time.sleep(_ASK_AGAIN_SECONDS)
    return "which has not left its name"
