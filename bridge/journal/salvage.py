"""A journal whose file cannot be used: what can be read is put into a new one, and the old one is kept aside.

So that no damage makes a crash loop, and none takes more with it than it has hit. The new file is complete and on disk
before the old one is touched; a process that ends in between goes on where it was. Used by `bridge.journal.opening`.
"""

import logging
import os
import shutil
import time
from pathlib import Path

from bridge.errors import StorageFailed
from bridge.journal.checkup import what_is_wrong
from bridge.journal.file import log_of
from bridge.journal.rebuild import MOST_LOG_BYTES, Found, rebuilt
from bridge.journal.store import NoRoom
from bridge.journal.volume import what_to_do
from bridge.journal.wal import mended

__all__ = ["made_usable"]

_log = logging.getLogger(__name__)
_KEPT_ASIDE = 3
_READY = ".salvaged-"
_ASIDE = ".corrupt-"


def made_usable(path: Path, max_bytes: int) -> None:
    """Leave a journal that can be opened, or none, which is made then; what was damaged is kept aside and logged.

    Raises `StorageFailed` where the disk has no room for that or fails: nothing is removed then.
    """
    try:
        for ready in path.parent.glob(f"{path.name}{_READY}*"):
            _put_in_place(path, ready)
        _mend_log(path)
        why = what_is_wrong(path)
        if why is not None:
            _salvage(path, max_bytes, why)
    except (OSError, NoRoom) as error:
        text = f"journal {path} is damaged, and what can be read cannot be put beside it: {error.__cause__ or error!r}"
        raise StorageFailed(f"{text}; nothing was changed{what_to_do(path)}") from error


def _mend_log(path: Path) -> None:
    """Put a log right that SQLite would not read to its end, and keep the old one aside."""
    log = log_of(path)
    if not log.exists() or log.stat().st_size > MOST_LOG_BYTES:
        return
    better = mended(log.read_bytes())
    if better is None:
        return
    aside = log_of(_aside(path, _now()))
    _copy(log, aside)
    new = log.with_name(log.name + ".mended")
    _write(new, better)
    new.replace(log)
    _sync_folder(path)
    _forget_old(path)
    _log.error(
        "the log of journal %s was damaged; what follows the damage is used, the old file is kept as %s", path, aside
    )


def _salvage(path: Path, max_bytes: int, why: str) -> None:
    stamp = _now()
    new = path.with_name(f"{path.name}.new")
    for part in (new, log_of(new)):
        part.unlink(missing_ok=True)
    found = Found()
    try:
        missing = rebuilt(path, new, max_bytes, found)
    except BaseException:
        for part in (new, log_of(new)):
            part.unlink(missing_ok=True)
        raise
    ready = path.with_name(f"{path.name}{_READY}{stamp}")
    new.replace(ready)
    _sync_folder(path)
    _put_in_place(path, ready)
    _forget_old(path)
    text = "journal %s was damaged (%s): %d events could be read again, %d are lost%s; the old file is kept as %s"
    told = " and told to the sinks" if missing else ", as far as is known" if "proved_at" not in found.notes else ""
    _log.error(text, path, why, len(found.taken), missing, told, _aside(path, stamp))


def _put_in_place(path: Path, ready: Path) -> None:
    """Move the old file and its log aside and the new one in; done again from any point of it, it leads to the same."""
    aside = _aside(path, ready.name.rpartition(_READY)[2])
    for old, to in ((log_of(path), log_of(aside)), (path, aside)):
        if old.exists() and not to.exists():
            old.replace(to)
    ready.replace(path)
    _sync_folder(path)


def _aside(path: Path, stamp: str) -> Path:
    return path.with_name(f"{path.name}{_ASIDE}{stamp}")


def _forget_old(path: Path) -> None:
    """Remove the oldest of what is kept aside, beyond three times of it."""
    kept = sorted(path.parent.glob(f"{path.name}{_ASIDE}*"))
    stamps = sorted({file.name.removesuffix("-wal") for file in kept})
    for file in kept:
        if file.name.removesuffix("-wal") in stamps[:-_KEPT_ASIDE]:
            _log.warning("%s is removed: the %d latest damaged files are kept", file, _KEPT_ASIDE)
            file.unlink(missing_ok=True)


def _now() -> str:
    now = time.time()
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"


def _copy(file: Path, to: Path) -> None:
    shutil.copyfile(file, to)
    with to.open("rb+") as copied:
        os.fsync(copied.fileno())


def _write(file: Path, data: bytes) -> None:
    with file.open("wb") as written:
        written.write(data)
        written.flush()
        os.fsync(written.fileno())


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
