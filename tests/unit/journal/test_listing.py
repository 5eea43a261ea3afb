"""Every number is listed once, as what it holds or as lost."""

from bridge.journal.change import Chunk
from bridge.journal.chunk import encode
from bridge.journal.listing import Hole, Row, rows_of
from tests.unit.journal.conftest import messages


def chunk(first: int, count: int, damaged: int | None = None) -> Chunk:
    """A chunk as it is stored; of the row with the number `damaged` a byte is flipped."""
    rows = bytearray(encode(messages(first, count), first))
    if damaged is not None:
        size = len(rows) // count
        rows[(damaged - first) * size + size - 2] ^= 1
    return Chunk(first, first + count - 1, 0, bytes(rows))


def shape(chunks: list[Chunk], after: int = 0, until: int = 99) -> list[int | tuple[int, int]]:
    """A number for a message, first and last for what is lost."""
    return [row.seq if isinstance(row, Row) else (row.seq, row.last) for row in rows_of(chunks, after, until)]


def test_messages_are_listed_with_their_numbers() -> None:
    rows = list(rows_of([chunk(1, 2), chunk(3, 1)], 0, 3))

    assert [row.message for row in rows if isinstance(row, Row)] == messages(1, 3)
    assert shape([chunk(1, 2), chunk(3, 1)]) == [1, 2, 3]


def test_a_list_begins_behind_the_number_it_is_asked_for() -> None:
    assert shape([chunk(1, 5)], after=3) == [4, 5]


def test_numbers_that_are_not_there_are_one_hole() -> None:
    assert shape([chunk(1, 2), chunk(6, 1)]) == [1, 2, (3, 5), 6]
    assert shape([chunk(4, 1)], after=1) == [(2, 3), 4]


def test_a_damaged_row_is_a_hole_and_its_neighbours_are_not() -> None:
    assert shape([chunk(1, 3, damaged=2)]) == [1, (2, 2), 3]


def test_damage_and_absence_side_by_side_are_one_hole_with_what_is_left() -> None:
    [*_, hole, _] = rows_of([chunk(1, 2, damaged=2), chunk(5, 1)], 0, 5)

    assert isinstance(hole, Hole)
    assert (hole.seq, hole.last) == (2, 4)
    assert hole.left_bytes > 20


def test_where_nothing_is_left_all_that_should_be_there_is_a_hole() -> None:
    assert shape([], after=3, until=7) == [(4, 7)]
    assert shape([], after=7, until=7) == []
