"""The mark says how far the numbers went, when the journal can no longer."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from bridge.journal.mark import Mark, marked, read_mark
from tests.support import until
from tests.unit.journal.conftest import Opening, messages
from tests.unit.journal.test_damage import read_to_the_end, shape

IDENTITY = "00112233445566aa"


async def test_a_lost_end_of_the_log_is_told(opening: Opening, path: Path, tmp_path: Path) -> None:
    """The files are taken while it runs, as a kill leaves them, and the log is cut where a flipped bit would cut it."""
    log = path.with_name(path.name + "-wal")
    async with opening() as journal:
        await journal.append(messages(1, 5))
        kept = log.stat().st_size
        await journal.append(messages(6, 5))
        await journal.append(messages(11, 5))
        await until(lambda: (read_mark(path) or ("", 0))[1] == 15, 5, "the mark")
        taken = shutil.copytree(tmp_path, tmp_path / "killed")
    shutil.copytree(taken, tmp_path, dirs_exist_ok=True)
    os.truncate(log, kept)

    async with opening() as journal:
        assert journal.head == 15
        assert shape(await read_to_the_end(journal, "kafka")) == [1, 2, 3, 4, 5, "lost 10"]
        assert await journal.append(messages(16, 1))
        assert shape(await read_to_the_end(journal, "mqtt")) == [1, 2, 3, 4, 5, "lost 10", 16]


async def test_what_is_on_disk_is_marked_and_nothing_else(opening: Opening, path: Path) -> None:
    async with opening() as journal:
        await journal.append(messages(1, 5))
        await until(lambda: (read_mark(path) or ("", 0))[1] == 5, 5, "the mark")
        journal._writer._store._db.execute("DROP TABLE chunk")
        with pytest.raises(Exception, match="no such table"):
            await journal.append(messages(6, 5))
        assert (read_mark(path) or ("", 0))[1] == 5


def test_a_mark_that_is_missing_torn_or_damaged_says_nothing(path: Path) -> None:
    assert read_mark(path) is None
    mark = Mark(path)
    mark.begin(IDENTITY)
    assert read_mark(path) is None
    mark.write(77)
    assert read_mark(path) == (IDENTITY, 77)
    mark.close()
    whole = marked(path).read_bytes()
    assert len(whole) == 24

    for at in range(24):
        marked(path).write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert read_mark(path) is None
        marked(path).write_bytes(whole[:at])
        assert read_mark(path) is None


@pytest.mark.parametrize("spoil", ["missing", "torn", "of another journal"])
async def test_without_its_mark_a_journal_opens_and_makes_one(opening: Opening, path: Path, spoil: str) -> None:
    async with opening() as journal:
        await journal.append(messages(1, 5))
    if spoil == "missing":
        marked(path).unlink()
    elif spoil == "torn":
        marked(path).write_bytes(b"PBM1")
    else:
        other = Mark(path)
        other.begin(IDENTITY)
        other.write(900)
        other.close()

    async with opening() as journal:
        assert journal.head == 5
        await journal.append(messages(6, 1))
        await until(lambda: (read_mark(path) or ("", 0))[1] == 6, 5, "the mark")
        assert shape(await read_to_the_end(journal, "kafka")) == [1, 2, 3, 4, 5, 6]


async def test_a_mark_that_cannot_be_written_is_warned_of_once(
    opening: Opening, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The journal goes on: the mark is a second opinion, not a promise."""
    marked(path).mkdir()
    async with opening() as journal:
        for number in range(1, 4):
            assert await journal.append(messages(number, 1))
        assert len(await read_to_the_end(journal, "kafka")) == 3

    assert sum("cannot be written" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_does_not_stop_the_mark_s_owner(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    marked(path).symlink_to("/dev/full")
    mark = Mark(path)
    mark.begin(IDENTITY)

    for number in (1, 2):
        mark.write(number)
    mark.close()

    assert sum("cannot be written" in record.getMessage() for record in caplog.records) == 1


async def test_a_killed_process_leaves_a_mark_that_is_not_ahead(path: Path, opening: Opening) -> None:
    """Nothing is told as lost after a kill."""
    code = f"""
import asyncio
from pathlib import Path
from bridge.journal import Limits, open_journal
from tests.unit.journal.conftest import messages
async def main():
    async with open_journal(Path({str(path)!r}), ["kafka"], 2**26, Limits(2**26, 2**20, 100, 0.1)) as journal:
        for number in range(1, 10**6):
            await journal.append(messages(number, 1))
            print(number, flush=True)
asyncio.run(main())
"""
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    while int(await asyncio.wait_for(child.stdout.readline(), 20)) < 200:
        pass
    child.kill()
    await child.stdout.read()
    await child.wait()
    noted = read_mark(path)

    async with opening("kafka") as journal:
        assert noted is not None
        assert journal.head - 2 <= noted[1] <= journal.head
        assert journal.head == len(await read_to_the_end(journal, "kafka"))
        assert journal.corrupt_rows == 0
