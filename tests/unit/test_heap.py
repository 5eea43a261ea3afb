"""Large blocks go back to the system, whatever has come and gone before."""

import ctypes
import subprocess
import sys

import pytest

COUNT = """
import ctypes, sys
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

class Numbers(ctypes.Structure):
    _fields_ = [(f"n{number}", ctypes.c_size_t) for number in range(10)]

libc.mallinfo2.restype = Numbers
if sys.argv[1] == "fixed":
    from bridge.heap import fix_thresholds
    fix_thresholds()
libc.free(libc.malloc(8 << 20))  # from which glibc learns to keep such blocks
before = libc.mallinfo2().n3
block = libc.malloc(1 << 20)
print(libc.mallinfo2().n3 - before)
"""
"""The fourth field, `hblks`, counts the blocks that were taken from the system for themselves (mallinfo(3))."""

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33 or later to count blocks"
)


def blocks_of_their_own(how: str) -> int:
    found = subprocess.run([sys.executable, "-c", COUNT, how], capture_output=True, text=True, check=True, timeout=60)
    return int(found.stdout)


def test_a_large_block_is_taken_from_the_system_and_given_back() -> None:
    assert blocks_of_their_own("fixed") == 1


def test_without_it_the_library_keeps_them() -> None:
    """Or there is nothing to be fixed any more."""
    assert blocks_of_their_own("as it is") == 0
