"""How long the journal's log gets before it is folded into the file, and what is not written twice because of it."""

from contextlib import closing
from pathlib import Path

import pytest

from bridge.journal.change import Change, Chunk
from bridge.journal.file import log_of, log_pages
from bridge.journal.store import Store
from bridge.settings.core import LEAST_JOURNAL_BYTES, Journal, largest_journal

MIB = 2**20
EVENTS, EVENT_BYTES = 100, 1250


@pytest.mark.parametrize(("mebibytes", "pages"), [(4, 1024), (256, 1024), (384, 1536), (512, 2048), (102_400, 2048)])
def test_a_larger_journal_has_a_longer_log(mebibytes: int, pages: int) -> None:
    assert log_pages(mebibytes * MIB) == pages


@pytest.mark.parametrize("mebibytes", [12, 13, 20, 39, 40, 100, 300, 320, 500, 640, 1280, 4000])
def test_the_log_fits_beside_the_journal_on_its_volume(mebibytes: int) -> None:
    """With as much again for the transaction that exceeds it, or for a copy of it that is mended; without states."""
    most = largest_journal(mebibytes * MIB)

    assert most >= LEAST_JOURNAL_BYTES
    assert most + 2 * log_pages(most) * 4096 <= mebibytes * MIB


@pytest.mark.parametrize(("max_bytes", "longest"), [(64 * MIB, 5 * MIB), (Journal().max_bytes, 9 * MIB)])
def test_the_log_is_folded_where_it_should_be(tmp_path: Path, max_bytes: int, longest: int) -> None:
    path = tmp_path / "journal.db"
    with closing(Store(path, max_bytes)) as store:
        _write(store, 30 * MIB, behind=None)

        assert longest * 0.7 < log_of(path).stat().st_size < longest


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux's count of what a process writes")
def test_what_is_settled_soon_is_mostly_written_once(tmp_path: Path) -> None:
    """The next events take its pages before the log is folded: a log half as long writes 1.8 times what comes."""
    size = 60 * MIB
    with closing(Store(tmp_path / "journal.db", Journal().max_bytes)) as store:
        before = _written_bytes()
        _write(store, size, behind=1000)

        assert size < _written_bytes() - before < 1.7 * size


def test_the_log_is_not_cut_at_each_folding(tmp_path: Path) -> None:
    """What it grows by again makes the file system write more than what is synced."""
    path = tmp_path / "journal.db"
    with closing(Store(path, 64 * MIB)) as store:
        _write(store, 6 * MIB, behind=1000)
        folded = log_of(path).stat()
        for first in range(1_000_000, 1_000_100):
            store.write(Change(chunks=[Chunk(first, first, 1, b"x")]))

        assert log_of(path).stat().st_size == folded.st_size > 4 * MIB


def _written_bytes() -> int:
    return int(Path("/proc/self/io").read_text().split("wchar: ")[1].split()[0])


def _write(store: Store, size: int, behind: int | None) -> None:
    """Write so many bytes of events, and delete what lies further behind the last than `behind` events, if any."""
    freed = 0
    for last in range(EVENTS, size // EVENT_BYTES, EVENTS):
        settled = 0 if behind is None or last - freed < 2 * behind else last - behind
        freed = settled or freed
        chunk = Chunk(last - EVENTS + 1, last, EVENTS, bytes(EVENTS * EVENT_BYTES))
        store.write(Change(chunks=[chunk], settled=settled))
