"""A salvage takes the same memory however much it finds: a start that is killed for its memory is so each time."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.journal.change import Change, Chunk
from bridge.journal.entry import chunks_of
from bridge.journal.letter import DeadLetter
from bridge.journal.store import Store
from tests.unit.journal.conftest import message
from tests.unit.journal.test_salvage import break_tree

MOST_BYTES = 16 * 2**20  # for a batch of 4 MiB on its way from file to file; each journal here is of 30 MiB or more
LARGE = b"x" * 2**18
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc: runs on Linux only")


def chunk(number: int, body: bytes) -> Chunk:
    (made,) = chunks_of([message(number, body)], number)
    return made


def small_commits() -> Iterator[Change]:
    """As a quiet shop makes them, written a few at once here."""
    for first in range(1, 30_001, 500):
        yield Change(chunks=[chunk(number, b"x" * 1000) for number in range(first, first + 500)])


def dead_letters() -> Iterator[Change]:
    yield Change(chunks=[chunk(1, b"x")])
    for number in range(2, 122):
        yield Change(dead_letters=[DeadLetter("kafka", "sink", "rejected", "no", 1, 1.5, 2.5, LARGE, number)])


def damaged_rows() -> Iterator[Change]:
    for number in range(1, 121):
        whole = chunk(number, LARGE)
        yield Change(chunks=[replace(whole, rows=whole.rows[:-9] + bytes(9))])


@pytest.mark.parametrize(
    ("changes", "events", "letters"), [(small_commits, 30_000, 0), (dead_letters, 1, 120), (damaged_rows, 0, 120)]
)
def test_a_salvage_needs_little_memory(
    path: Path, changes: Callable[[], Iterator[Change]], events: int, letters: int
) -> None:
    store = Store(path, 2**28)
    for change in changes():
        store.write(change)
    store.close()
    break_tree(path)

    code = [sys.executable, "-m", "tests.unit.journal.salvager", str(path)]
    done = subprocess.run(code, check=True, capture_output=True, text=True, timeout=60)

    *found, grown_bytes = map(int, done.stdout.split())
    assert found == [events, letters]
    assert grown_bytes < MOST_BYTES
