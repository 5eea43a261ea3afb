"""Blocks of a working bridge stay with the C library, larger ones do not, and what is free goes back now and then."""

import ctypes
import subprocess
import sys

import pytest

LIBC = """
import ctypes, sys
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
"""

COUNT = (
    LIBC
    + """
class Numbers(ctypes.Structure):
    _fields_ = [(f"n{number}", ctypes.c_size_t) for number in range(10)]

libc.mallinfo2.restype = Numbers
how, size = sys.argv[1], int(sys.argv[2])
if how == "fixed":
    from bridge.heap import fix_thresholds
    fix_thresholds()
libc.free(libc.malloc(24 << 20))  # from which glibc learns to keep such blocks
before = libc.mallinfo2().n3
block = libc.malloc(size)
print(libc.mallinfo2().n3 - before)
for block in [libc.malloc(100_000) for _ in range(40)]:
    libc.free(block)
print(libc.mallinfo2().n9)
"""
)
"""The fourth field, `hblks`, counts the blocks that were taken from the system for themselves; the last, `keepcost`, is
what is free at the end of the heap (mallinfo(3))."""

TRIM = (
    LIBC
    + """
import asyncio, re
from bridge import heap

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+) kB", open("/proc/self/status").read())[1])

async def main():
    heap.fix_thresholds()
    begun = resident()
    blocks = [libc.malloc(100_000) for _ in range(400)]
    for block in blocks:
        ctypes.memset(block, 1, 100_000)
    last = libc.malloc(100_000)  # keeps the end of the heap where it is
    for block in blocks:
        libc.free(block)
    full = resident()
    if sys.argv[1] == "trimmed":
        heap._TRIM_SECONDS = 0.01
        task = asyncio.create_task(heap.keep_trimmed())
        await asyncio.sleep(1)
    print(full - begun, resident() - begun)

asyncio.run(main())
"""
)

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33 or later to count blocks"
)


def output(program: str, *words: str) -> list[int]:
    command = [sys.executable, "-c", program, *words]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [int(number) for number in found.stdout.split()]


@pytest.mark.parametrize(("size", "taken"), [(1 << 20, 0), (16 << 20, 1)])
def test_only_a_very_large_block_is_taken_from_the_system_and_given_back(size: int, taken: int) -> None:
    assert output(COUNT, "fixed", str(size))[0] == taken


def test_what_is_free_at_the_end_of_the_heap_stays_for_a_while() -> None:
    """Or it would be taken from the system again with the next page of events."""
    assert output(COUNT, "fixed", "100")[1] > 3_000_000


def test_without_it_the_library_keeps_the_largest() -> None:
    """Or there is nothing to be fixed any more."""
    assert output(COUNT, "as it is", str(16 << 20))[0] == 0


def test_what_is_free_goes_back() -> None:
    full, rest = output(TRIM, "trimmed")

    assert full > 35_000
    assert rest < 5_000


def test_without_it_what_is_free_stays() -> None:
    """Or there is nothing to be trimmed."""
    full, rest = output(TRIM, "as it is")

    assert full > 35_000
    assert rest > full - 5_000
