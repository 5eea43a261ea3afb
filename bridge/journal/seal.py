"""Checksums of the small rows: places and notes, whose damage SQLite would not see.

Pure. A cursor with a flipped bit would skip events, a moment would hide a window. Used by whatever writes
these rows, reads them, or looks for them in a damaged file.
"""

import zlib

__all__ = ["Value", "seal"]

Value = int | float | str | bytes | None


def seal(name: str, value: Value) -> int:
    """Give the checksum of a row of two values."""
    return zlib.crc32(f"{name}={value!r}".encode())
