"""The file system of the power cuts loses what a power cut loses, and nothing else."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.chaos.volume import volume
from tests.support import wait_until

pytestmark = pytest.mark.loop

_WRITER = """
import os, sys
with open(sys.argv[1], "wb", buffering=0) as kept:
    kept.write(b"kept")
    os.fsync(kept.fileno())
with open(sys.argv[2], "wb", buffering=0) as lost:
    lost.write(b"lost")
"""


def test_a_power_cut_loses_what_was_not_synced() -> None:
    """What was synced is there when the power is back; what was only written is not."""
    with volume() as disk:
        kept, lost = disk.folder / "kept", disk.folder / "lost"
        subprocess.run([sys.executable, "-c", _WRITER, kept, lost], check=True)

        disk.cut_power()
        disk.power_up()

        assert kept.read_bytes() == b"kept"
        assert not lost.exists() or lost.read_bytes() == b""


def test_without_power_nothing_is_written() -> None:
    """Whoever syncs a file gets an error, as from a disk that is gone."""
    with volume() as disk, (disk.folder / "file").open("wb", buffering=0) as file:
        disk.cut_power()

        with pytest.raises(OSError, match="Input/output error"):  # noqa: PT012 - the write may be refused as well
            file.write(b"more")
            os.fsync(file.fileno())


def test_a_sync_that_meets_the_power_cut_confirms_nothing_that_is_lost() -> None:
    """The power is cut while a sync waits for its data to be written: it fails, or the data is there afterwards."""
    with volume() as disk, ThreadPoolExecutor() as threads:
        with (disk.folder / "file").open("wb", buffering=0) as file:
            file.write(b"kept")
            os.fsync(file.fileno())
            with disk.stalled():
                file.write(b"lost")
                sync = threads.submit(os.fdatasync, file.fileno())
                wait_until(_a_thread_waits_for_a_disk, 5, "the sync waits for the disk")
                cut = threads.submit(disk.cut_power)
                wait_until(cut.running, 5, "the power is being cut")
            cut.result(5)
            error = sync.exception(5)

        disk.power_up()

        assert (disk.folder / "file").read_bytes() == (b"kept" if error else b"keptlost")


def _a_thread_waits_for_a_disk() -> bool:
    return any(
        (task / "stat").read_text().rpartition(")")[2].split()[0] == "D" for task in Path("/proc/self/task").iterdir()
    )
