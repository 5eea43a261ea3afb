"""Every order of steps and faults of a small protocol: the one that is built holds, and each wrong one is found out."""

import os

import pytest

from tests.unit.model.protocol import INVARIANTS, Rules, explore

NIGHTLY = bool(os.environ.get("TEST_NIGHTLY"))
DESIGNS = [Rules(versions=2, faults=2), Rules(versions=3, faults=1)]
LONG = [Rules(versions=3, faults=2), Rules(versions=2, faults=3), Rules(versions=4, faults=1, window=3)]


@pytest.mark.parametrize("rules", [*DESIGNS, *(LONG if NIGHTLY else [])], ids=str)
def test_what_is_built_keeps_every_promise_whatever_happens(rules: Rules) -> None:
    """No order of steps and faults breaks an invariant, and none ends with something undelivered."""
    found = explore(rules)

    assert found.broken == {}
    assert found.unfinished == 0
    assert found.states > 20_000


@pytest.mark.parametrize(
    ("mutant", "broken"),
    [
        ("subscribe assumed before it completed", "I1"),
        ("send before fsync", "I2"),
        ("cursor persisted before the acknowledgement", "I2"),
        ("no go-back-N", "I2"),
        ("non-idempotent sink session", "I3"),
        ("window told after the first event", "I4"),
        ("no send gate", "I5"),
        ("freed before the cursor is durable", "I7"),
    ],
)
def test_each_wrong_protocol_breaks_the_promise_that_forbids_it(mutant: str, broken: str) -> None:
    found = explore(Rules(mutant=mutant), until=broken)

    assert broken in found.broken, INVARIANTS[broken].__doc__


def test_a_late_append_breaks_the_last_position_and_nothing_else() -> None:
    """What a lost session has sent may land behind what is newer: consumers compare versions, or it is fenced."""
    found = explore(Rules(versions=2, faults=2 if NIGHTLY else 1, mutant="late append"))

    assert set(found.broken) == {"I6"}
    assert found.unfinished == 0
