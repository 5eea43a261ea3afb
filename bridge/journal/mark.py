"""The high-water mark: a small file beside the journal that says which sequence number was given last.

A damaged write-ahead log ends early without a word, and takes with it whatever the journal itself could say of what is
missing. So the last number stands in a file of its own, written after each commit and not synced: it can be older than
the journal, never ahead of it, unless the journal has lost something. Written by `bridge.journal.store`, read
by whoever has to know how far the numbers of a file should go.

    magic (4 bytes) | identity of the journal (8 bytes) | last number (8 bytes) | CRC-32 of these (4 bytes)
"""

import contextlib
import logging
import os
import zlib
from pathlib import Path
from struct import Struct

__all__ = ["Mark", "marked", "noted", "read_mark"]

_log = logging.getLogger(__name__)
_MAGIC = b"PBM1"
_FIELDS = Struct("<4s8sQ")
_CRC = Struct("<I")


def marked(journal: Path) -> Path:
    """Name the mark's file of a journal."""
    return journal.with_name(journal.name + ".mark")


def read_mark(journal: Path) -> tuple[str, int] | None:
    """Read which journal a mark is of and the last number; None if there is none, or it is torn."""
    try:
        data = marked(journal).read_bytes()
    except OSError:
        return None
    if len(data) != _FIELDS.size + _CRC.size:
        return None
    magic, identity, last = _FIELDS.unpack_from(data)
    if magic != _MAGIC or _CRC.unpack_from(data, _FIELDS.size)[0] != zlib.crc32(data[: _FIELDS.size]):
        return None
    return identity.hex(), last


def noted(journal: Path, identity: object) -> int:
    """Tell how far the numbers of the journal of this identity went, as far as its mark says; 0 if it does not."""
    of, last = read_mark(journal) or (None, 0)
    return last if of == identity else 0


class Mark:
    """Writes the mark of one journal. One that cannot be written is warned of once, and the bridge goes on without."""

    def __init__(self, journal: Path) -> None:
        self._path = marked(journal)
        self._file: int | None = None
        self._identity = b""
        self._last = -1

    def begin(self, identity: str) -> None:
        """Say which journal it is; until then nothing is written."""
        self._identity = bytes.fromhex(identity)
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            self._give_up(error)

    def write(self, last: int) -> None:
        """Note the last number that is on disk, if it is another one than before."""
        if self._file is None or last == self._last:
            return
        fields = _FIELDS.pack(_MAGIC, self._identity, last)
        try:
            os.pwrite(self._file, fields + _CRC.pack(zlib.crc32(fields)), 0)
        except OSError as error:
            self._give_up(error)
        else:
            self._last = last

    def close(self) -> None:
        """Let go of the file, with what it says on disk."""
        if self._file is None:
            return
        with contextlib.suppress(OSError):  # it says less then, and nothing wrong
            os.ftruncate(self._file, _FIELDS.size + _CRC.size)
            os.fsync(self._file)
        os.close(self._file)
        self._file = None

    def _give_up(self, error: OSError) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        _log.warning(
            "%s cannot be written: %r; the journal goes on, but a loss of its newest events may go unseen",
            self._path,
            error,
        )
