"""How much memory the C library keeps that the program has given back. Used by the command `run`.

glibc raises its thresholds by itself, up to 32 MiB, as it sees large blocks come and go: from then on they lie between
small ones that stay, and after each outage the process is a little larger (mallopt(3), "dynamic mmap threshold").
Thresholds that are set stay.
"""

import ctypes

__all__ = ["fix_thresholds"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MMAP_BYTES = 131_072
_TRIM_BYTES = 262_144


def fix_thresholds() -> None:
    """Have large blocks given back as soon as they are free; a C library that has no `mallopt` is left as it is."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
