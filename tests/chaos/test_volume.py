"""The file system of the power cuts loses what a power cut loses, and nothing else."""

import os
import subprocess
import sys

import pytest

from tests.chaos.volume import volume

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
    """Whoever has the file system open gets an error, as from a disk that is gone."""
    with volume() as disk:
        file = os.open(disk.folder / "file", os.O_WRONLY | os.O_CREAT)

        disk.cut_power()

        with pytest.raises(OSError, match="Input/output error"):
            os.write(file, b"more")
        os.close(file)
