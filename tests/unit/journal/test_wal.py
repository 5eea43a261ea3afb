"""What is left of a log whose frames have lost their heads, and where a log ends."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from bridge.journal.file import log_of
from bridge.journal.wal import PAGE_BYTES, frames, mended

HEADER, HEAD = 32, 24
FRAME = HEAD + PAGE_BYTES
TRANSACTIONS = 4


@pytest.fixture
def log(path: Path) -> bytes:
    """A log of four transactions, each of several pages."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL").fetchall()
        database.execute("PRAGMA wal_autocheckpoint=0").fetchall()
        database.execute("CREATE TABLE music (title BLOB)")
        for number in range(1, TRANSACTIONS):
            database.execute("INSERT INTO music VALUES (?)", (bytes([number]) * 5 * PAGE_BYTES,))
        return log_of(path).read_bytes()


def commits(log: bytes) -> Sequence[int]:
    """Give the numbers of the frames that end a transaction."""
    heads = range(HEADER, len(log), FRAME)
    return [number for number, at in enumerate(heads) if log[at + 4 : at + 8] != bytes(4)]


def without_head(log: bytes, frame: int) -> bytes:
    at = HEADER + frame * FRAME
    return log[:at] + b"\xaa" * HEAD + log[at + HEAD :]


def all_but(log: bytes, frame: int) -> Sequence[tuple[int, bytes]]:
    return [found for number, found in enumerate(frames(log)) if number != frame]


def test_a_frame_that_has_lost_its_head_costs_its_page_alone(log: bytes) -> None:
    damaged = commits(log)[0] + 2

    better = mended(without_head(log, damaged))

    assert better is not None
    assert list(frames(better)) == all_but(log, damaged)


@pytest.mark.parametrize("noise", [b"\0", b"\xaa", b"\x55"])
def test_the_header_and_the_first_head_cost_the_first_page_alone(log: bytes, noise: bytes) -> None:
    """Also where the lowest bit of what was its magic is another one, by which the order of bytes is told."""
    better = mended(noise * HEADER + without_head(log, 0)[HEADER:])

    assert better is not None
    assert list(frames(better)) == all_but(log, 0)


def test_a_hole_in_the_last_transaction_ends_the_log(log: bytes) -> None:
    """A power cut leaves such a one: it was never confirmed, and the half of it must not be taken for the whole."""
    hole = commits(log)[-2] + 2

    assert mended(without_head(log, hole)) is None
    assert list(frames(without_head(log, hole))) == list(frames(log))[: commits(log)[-2] + 1]


def test_the_frames_of_an_earlier_round_are_none_of_this_one(log: bytes) -> None:
    earlier = b"".join(bytes(8) + b"\xbb" * 16 + bytes(PAGE_BYTES) for _ in range(5))

    assert mended(log + earlier) is None
    assert list(frames(log + earlier)) == list(frames(log))
