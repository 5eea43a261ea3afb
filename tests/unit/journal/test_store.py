"""The journal finds its chunks by where they begin: the index that there is, and no look at all the others."""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bridge.journal.change import Change, Chunk
from bridge.journal.chunk import encode
from bridge.journal.listing import Row, rows_of
from bridge.journal.store import Store
from tests.unit.journal.conftest import messages


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "journal.db", 64 * 2**20)) as opened:
        yield opened


def chunk(first: int, last: int, says: int | None = None) -> Chunk:
    """A chunk of the numbers `first` to `last`; `says` is what stands in the place of `last`."""
    return Chunk(first, says or last, 0, encode(messages(first, last - first + 1), first))


def places_of(chunks: list[Chunk]) -> list[tuple[int, int]]:
    return [(one.first, one.last) for one in chunks]


def test_no_chunk_is_looked_at_but_those_that_are_asked_for(store: Store) -> None:
    """A sink that is behind would make all others wait for a look at its whole backlog, commit after commit."""
    asked: list[str] = []
    store.write(Change(chunks=[chunk(number, number) for number in range(1, 10)]))
    store._db.set_trace_callback(asked.append)

    store.load()
    store.write(Change(chunks=[chunk(10, 12)], settled=1, cursors={"kafka": 1}))
    store.write(Change(chunks=[chunk(3, 3)]), in_place_of=3)
    store.read(2, 1, 1)
    store.body_bytes(2)
    store.free(2)
    store._db.set_trace_callback(None)

    plans = {sql: store._db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall() for sql in asked if " chunk " in f"{sql} "}
    steps = {sql: [step for *_, step in plan] for sql, plan in plans.items()}
    assert {sql.split()[0] for sql in steps} == {"SELECT", "INSERT", "DELETE"}
    assert len([sql for sql in steps if not sql.startswith("INSERT")]) == 6
    assert [sql for sql, plan in steps.items() if any(step.startswith("SCAN") for step in plan)] == []


@pytest.mark.parametrize("seed", range(10))
def test_wherever_a_read_begins_it_gives_all_chunks_that_reach_behind_there(store: Store, seed: int) -> None:
    """Also in the middle of a chunk, where some are missing, and behind the last."""
    dice = random.Random(seed)  # noqa: S311 - a test's
    chunks: list[Chunk] = []
    number = dice.randint(1, 9)
    while number < 60:
        chunks.append(chunk(number, number + dice.choice((0, 0, 1, 4))))
        number = chunks[-1].last + dice.choice((1, 1, 1, 7))
    store.write(Change(chunks=chunks))

    for after in range(-1, number + 3):
        assert places_of(list(store.read(after, 99, 2**20))) == places_of([one for one in chunks if one.last > after])


@pytest.mark.parametrize("settled", range(12))
def test_what_is_settled_goes_and_a_chunk_that_is_settled_in_part_stays(store: Store, settled: int) -> None:
    chunks = [chunk(2, 2), chunk(3, 5), chunk(8, 10)]
    left = [one for one in chunks if one.last > settled]
    store.write(Change(chunks=chunks))

    store.write(Change(settled=settled))

    assert places_of(list(store.read(0, 99, 2**20))) == places_of(left)
    assert store.free(settled) is False


def test_a_chunk_that_seems_to_reach_over_others_does_not_hide_them(store: Store) -> None:
    """A start would salvage such a file; one that is only looked at shows whatever can be read."""
    store.write(Change(chunks=[chunk(1, 4, says=900), chunk(5, 6), chunk(7, 9)]))

    found = rows_of(store.read(4, 99, 2**20), 4, 9)

    assert [row.seq for row in found if isinstance(row, Row)] == [5, 6, 7, 8, 9]
    assert store.places().head == 9


def test_a_journal_ends_where_its_newest_chunk_does(store: Store) -> None:
    assert (store.places().head, store.places().freed) == (0, 0)

    store.write(Change(chunks=[chunk(4, 6), chunk(7, 9)]))

    assert (store.places().head, store.places().freed) == (9, 3)
