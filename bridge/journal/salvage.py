"""A journal whose file cannot be used: what can be read is put into a new one, and the old one is kept aside.

So that no damage makes a crash loop, and none takes more with it than it has hit. The new file is complete and on disk
before the old one is touched; a process that ends in between goes on where it was. Used by `bridge.journal.opening`,
and by `bridge.journal.stopped` where no bridge is to be started.
"""

import errno
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import StorageFailed
from bridge.journal.checkup import what_is_wrong
from bridge.journal.file import log_of
from bridge.journal.mark import marked
from bridge.journal.rebuild import Salvaged, Watch, readable_log, rebuilt, surveyed
from bridge.journal.store import NoRoom
from bridge.journal.volume import what_to_do
from bridge.journal.wal import mended

__all__ = ["Repair", "foreseen", "is_there", "made_usable", "needs_mending"]

_log = logging.getLogger(__name__)
_KEPT_ASIDE = 3
_READY = ".salvaged-"
_ASIDE = ".corrupt-"
_DAMAGED_LOG = "its log is damaged before its end"
_UNFINISHED = "a salvage of it was not finished"


def _unwatched(_: int, __: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Repair:
    """What is wrong with a journal's files, nothing if they can be used as they are, and what becomes of that.

    `aside` are the old files, kept under these names. `salvaged` is what is in a new file; None where the old one goes
    on being used. `path` is where the journal can be read, in the end or already.
    """

    path: Path
    wrong: Sequence[str] = ()
    aside: Sequence[Path] = ()
    salvaged: Salvaged | None = None


def made_usable(path: Path, max_bytes: int, watch: Watch = _unwatched) -> Repair:
    """Leave a journal that can be opened, or none, which is made then; what was damaged is kept aside.

    Raises `StorageFailed` where the disk has no room for that or fails: nothing is removed then, and a log that could
    be mended before is mended.
    """
    wrong: list[str] = []
    aside: list[Path] = []
    salvaged = None
    try:
        for ready in _ready(path):
            wrong.append(_UNFINISHED)
            aside += _put_in_place(path, ready)
        if (better := _better_log(path)) is not None:
            wrong.append(_DAMAGED_LOG)
            aside.append(_mend_log(path, better))
        if (why := what_is_wrong(path)) is not None:
            wrong.append(why)
            salvaged, old = _salvage(path, max_bytes, watch)
            aside += old
    except (OSError, NoRoom) as error:
        text = f"journal {path} is damaged, and what can be read cannot be put beside it: {error.__cause__ or error!r}"
        done = f"the old file is kept as {', '.join(map(str, aside))}" if aside else "nothing was changed"
        raise StorageFailed(f"{text}; {done}{what_to_do(path)}") from error
    if aside:
        _forget_old(path)
    return Repair(path, wrong, aside, salvaged)


def foreseen(path: Path, watch: Watch = _unwatched) -> Repair:
    """Say what `made_usable` would do, and do nothing; where the old files would be kept is known only then.

    Behind a damage in the log SQLite reads nothing, so that dead letters may be missing in what is said.
    """
    ready = _ready(path)
    if ready:
        return Repair(ready[-1], [_UNFINISHED])
    if (better := _better_log(path)) is not None:
        return Repair(path, [_DAMAGED_LOG], salvaged=surveyed(path, better, watch))
    if (why := what_is_wrong(path)) is not None:
        return Repair(path, [why], salvaged=surveyed(path, readable_log(path), watch))
    return Repair(path)


def needs_mending(path: Path) -> bool:
    """Say whether SQLite would take less from a journal's log than there is, and so lose the rest of it."""
    if not path.exists() or not path.stat().st_size:
        return log_of(path).exists()
    return _better_log(path) is not None


def is_there(path: Path) -> bool:
    """Say whether there is anything of a journal, be it only what says that there was one."""
    return any(file.exists() and file.stat().st_size for file in (path, log_of(path), marked(path), *_ready(path)))


def _ready(path: Path) -> Sequence[Path]:
    return sorted(path.parent.glob(f"{path.name}{_READY}*"))


def _better_log(path: Path) -> bytes | None:
    """Put a log right that SQLite would not read to its end; None if it would, or there is none."""
    log = readable_log(path)
    return None if log is None else mended(log)


def _mend_log(path: Path, better: bytes) -> Path:
    """Put a better log in the place of the one that is there, and keep that one aside."""
    log = log_of(path)
    aside = log_of(_aside(path, _stamp(path)))
    new = log.with_name(log.name + ".mended")
    with _none_left_of(aside, new):
        _copy(log, aside)
        _write(new, better)
        new.replace(log)
    _sync_folder(path)
    return aside


def _salvage(path: Path, max_bytes: int, watch: Watch) -> tuple[Salvaged, Sequence[Path]]:
    stamp = _stamp(path)
    new = path.with_name(f"{path.name}.new")
    for part in (new, log_of(new)):
        part.unlink(missing_ok=True)
    with _none_left_of(new, log_of(new)):
        salvaged = rebuilt(path, new, max_bytes, watch)
        _check_finished(new)
    ready = path.with_name(f"{path.name}{_READY}{stamp}")
    new.replace(ready)
    _sync_folder(path)
    return salvaged, _put_in_place(path, ready)


@contextmanager
def _none_left_of(*files: Path) -> Iterator[None]:
    """Remove files that come to nothing."""
    try:
        yield
    except BaseException:
        for file in files:
            with suppress(OSError):  # what else is wrong is to be told
                file.unlink()
        raise


def _check_finished(new: Path) -> None:
    """Raise where SQLite has closed a file, without a word, and could not put its log into it."""
    if log_of(new).exists():
        raise OSError(errno.ENOSPC, "the new file could not be finished")


def _put_in_place(path: Path, ready: Path) -> Sequence[Path]:
    """Move the old file and its log aside and the new one in; done again from any point of it, it leads to the same."""
    aside = _aside(path, ready.name.rpartition(_READY)[2])
    for old, to in ((log_of(path), log_of(aside)), (path, aside)):
        if old.exists() and not to.exists():
            old.replace(to)
    ready.replace(path)
    _sync_folder(path)
    return [file for file in (aside, log_of(aside)) if file.exists()]


def _aside(path: Path, stamp: str) -> Path:
    return path.with_name(f"{path.name}{_ASIDE}{stamp}")


def _forget_old(path: Path) -> None:
    """Remove the oldest of what is kept aside, beyond three times of it."""
    kept = sorted(path.parent.glob(f"{path.name}{_ASIDE}*"))
    stamps = sorted({file.name.removesuffix("-wal") for file in kept})
    for file in kept:
        if file.name.removesuffix("-wal") in stamps[:-_KEPT_ASIDE]:
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                _log.warning("%s is one of more than %d damaged files and stays: %r", file, _KEPT_ASIDE, error)
            else:
                _log.warning("%s is removed: the %d latest damaged files are kept", file, _KEPT_ASIDE)


def _stamp(path: Path) -> str:
    """Give a time under which nothing is kept aside yet, as a log is that was mended within the same millisecond.

    The mended one would stay where it is, and SQLite would take it for the new file's.
    """
    while any(path.parent.glob(f"{path.name}{_ASIDE}{(stamp := _now())}*")):
        pass
    return stamp


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
