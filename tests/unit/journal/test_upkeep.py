"""What rides along with a transaction: seldom enough to delay nobody, often enough that nothing piles up."""

import pytest

from bridge.journal.change import Change, Chunk
from bridge.journal.memory import Records
from bridge.journal.upkeep import Upkeep


def settled(upkeep: Upkeep, floor: int, now: float, change: Change | None = None, *, half_full: bool = False) -> int:
    """Ask up to which number is deleted."""
    change = change or Change()
    upkeep.ride_along(change, floor, 100_000, now, half_full=half_full)
    return change.settled


@pytest.fixture
def upkeep() -> Upkeep:
    """Has freed ten events at 100 s, and recorded the ledger with them."""
    made = Upkeep(0, Records(None, 0, [], 0))
    settled(made, 10, 100.0)
    return made


@pytest.mark.parametrize(
    ("floor", "now", "freed"),
    [
        (10, 500.0, 0),
        (11, 100.9, 0),
        (11, 101.0, 11),
        (259, 100.3, 0),
        (260, 100.2, 0),
        (260, 100.25, 260),
        (1009, 100.0, 0),
        (1010, 100.0, 1010),
    ],
)
def test_much_is_deleted_at_once_and_some_now_and_then(upkeep: Upkeep, floor: int, now: float, freed: int) -> None:
    assert settled(upkeep, floor, now) == freed


def test_what_is_deleted_is_not_deleted_again(upkeep: Upkeep) -> None:
    assert settled(upkeep, 5000, 100.0) == 5000
    assert settled(upkeep, 5000, 200.0) == 0


def test_a_journal_that_fills_up_is_freed_at_once(upkeep: Upkeep) -> None:
    assert settled(upkeep, 11, 100.0, half_full=True) == 11


def test_a_commit_of_events_deletes_nothing_unless_there_is_little_room(upkeep: Upkeep) -> None:
    """They would have to wait for it, and a refused commit would leave what is remembered in doubt."""
    events = Change(chunks=[Chunk(5001, 5001, 1, b"x")])

    assert settled(upkeep, 5000, 200.0, events) == 0
    assert settled(upkeep, 5000, 200.0, events, half_full=True) == 5000


def test_an_orderly_end_leaves_nothing_that_is_settled(upkeep: Upkeep) -> None:
    assert settled(upkeep, 11, 100.0, Change(clean=True)) == 11


def test_the_ledger_goes_with_what_is_deleted(upkeep: Upkeep) -> None:
    """Or a restart would not know what became of it."""
    assert upkeep.ride_along(Change(), 5000, 5000, 100.0, half_full=False)
    assert not upkeep.ride_along(Change(), 5000, 5000, 100.0, half_full=False)


def test_the_ledger_goes_with_a_proof_once_a_second(upkeep: Upkeep) -> None:
    """A sink may be down for hours, in which nothing is deleted."""
    assert not upkeep.ride_along(Change(proved_at=1.0), 10, 10, 100.9, half_full=False)
    assert upkeep.ride_along(Change(proved_at=1.0), 10, 10, 101.0, half_full=False)
    assert not upkeep.ride_along(Change(proved_at=1.0), 10, 10, 101.5, half_full=False)
