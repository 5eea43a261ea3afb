"""What one transaction writes: all that was asked for together, and without its events what is true without them."""

from copy import deepcopy
from dataclasses import fields, replace

import pytest

from bridge.journal.change import Change, Chunk
from bridge.journal.letter import DeadLetter, Edits
from bridge.journal.memory import Recorded
from bridge.labels import SOURCE

LETTER = DeadLetter("kafka", "sink", "too_large", "2 MB", 1, 5.0, 6.0, b"x", 1)
EARLIER = Change(
    [Chunk(5, 6, 9, b"rows")],
    {"kafka": 3, "mqtt": 4},
    [LETTER],
    Edits(gone=[1]),
    settled=3,
    clean=False,
    proved_at=10.0,
    scope="some",
    ledger=b"first",
    identity="one",
    notes={"schema": 2, "holes": "[]"},
    records=[Recorded(6, b"a", 1)],
)
LATER = Change(
    [Chunk(7, 7, 1, b"row")],
    {"kafka": 5},
    [replace(LETTER, seq=2)],
    Edits(gone=[2]),
    settled=2,
    clean=True,
    proved_at=11.0,
    scope="all",
    ledger=b"second",
    identity="two",
    notes={"schema": 3},
    records=[Recorded(7, b"b", 6)],
)


@pytest.mark.parametrize("field", [field.name for field in fields(Change)])
def test_what_is_asked_for_together_is_written_together(field: str) -> None:
    """The later word holds where there can be one only, and what is not said changes nothing."""
    both, first, second = deepcopy(EARLIER), deepcopy(EARLIER), Change()
    both.merge(deepcopy(LATER))
    first.merge(Change())
    second.merge(deepcopy(EARLIER))
    expected = {
        "chunks": EARLIER.chunks + LATER.chunks,
        "cursors": {"kafka": 5, "mqtt": 4},
        "dead_letters": EARLIER.dead_letters + LATER.dead_letters,
        "edits": Edits(gone=[1, 2]),
        "settled": 3,
        "notes": {"schema": 3, "holes": "[]"},
        "records": EARLIER.records + LATER.records,
    }

    assert getattr(both, field) == expected.get(field, getattr(LATER, field))
    assert getattr(first, field) == getattr(second, field) == getattr(EARLIER, field)


def test_without_its_events_a_change_says_nothing_that_rests_on_them() -> None:
    """What the hub sent that is no event goes with them; the record of the memory is one up to what is stored."""
    change = deepcopy(EARLIER)
    change.dead_letters.append(replace(LETTER, sink=SOURCE, stage="source"))

    change.withdraw(4)

    assert change == replace(
        EARLIER, chunks=[], proved_at=None, scope=None, ledger=None, records=[Recorded(4, b"a", 1)]
    )
