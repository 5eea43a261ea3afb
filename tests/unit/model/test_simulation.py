"""The real pipeline in virtual time under seeds: nothing is lost, hidden, out of order or repeated too often.

Half of the seeds; the others are in `test_simulation_mutants.py`, so that two workers share them.
"""

import pytest

from tests.unit.model.seeds import BLOCKS, KEPT, check
from tests.unit.model.simulation import simulated

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.mark.parametrize("seeds", BLOCKS[::2], ids=str)
def test_whatever_happens_no_promise_is_broken(seeds: range) -> None:
    """Each event is delivered or a dead letter, in order, repeats are bounded, what is missed is told, all adds up."""
    check(seeds)


def test_what_once_showed_a_fault_shows_none_any_more() -> None:
    check(KEPT)


def test_a_seed_is_the_same_run_again() -> None:
    """Else a failing one would be good for nothing."""
    first, second = simulated(7), simulated(7)

    assert first == second
    assert len(first.delivered["kafka"]) > 10
