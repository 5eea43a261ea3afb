"""What a dead letter can be used for, and that of what becomes of letters nothing gets lost on the way."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bridge.journal import Edits, Letter, Refusal
from bridge.journal.chunk import encode
from bridge.journal.letter import DeadLetter, Overtaking
from tests.unit.journal.conftest import message

DATA = encode([message(1)], 7)
KEPT = DeadLetter("kafka", "sink", "too_large", "2 MB", 1, 5.0, 6.0, DATA, 7, "id-1")


@pytest.mark.parametrize(
    ("name", "kept", "size", "sendable", "readable"),
    [
        ("an event that a sink refused", KEPT, len(DATA), True, True),
        ("a damaged row", replace(KEPT, stage="journal", sink="journal"), len(DATA), False, True),
        ("one that found no room", replace(KEPT, data=b""), 0, False, False),
        ("a record that is no event", replace(KEPT, stage="source", data=b"{", seq=None), 1, False, False),
        ("one that the disk has spoilt", replace(KEPT, data=DATA[:-1]), len(DATA), True, False),
    ],
)
def test_only_what_a_sink_has_refused_and_is_there_can_be_sent(
    name: str, kept: DeadLetter, size: int, *, sendable: bool, readable: bool
) -> None:
    letter = Letter(1, kept, size, None, None)

    assert letter.sendable is sendable, name
    assert (letter.event is not None) is readable, name


ONE_OF_EACH: Mapping[str, Any] = {
    "overtaken": [Overtaking("kafka", "tickets", "a", 3, 8)],
    "marked": {1: 5.0},
    "refused": [Refusal(2, "too_large", "2 MB", 5.0)],
    "copied": [3],
    "gone": [4],
}


@pytest.mark.parametrize("field", ONE_OF_EACH)
def test_whatever_changes_of_letters_is_something_to_be_written(field: str) -> None:
    assert Edits(**{field: ONE_OF_EACH[field]})
    assert not Edits()


def test_changes_that_are_written_together_are_all_written() -> None:
    """And of two about one letter's mark the later holds."""
    edits = Edits(marked={1: None, 9: None})

    edits.merge(Edits(**ONE_OF_EACH))
    edits.merge(Edits(gone=[5]))

    assert edits == Edits(**{**ONE_OF_EACH, "marked": {1: 5.0, 9: None}, "gone": [4, 5]})
