"""`docs/events.md` is what the code makes, and names all that an event can have."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bridge.blind import CAUSES, CORRUPTION, TRIMMED
from bridge.message import (
    DLQ_REDRIVEN,
    GAP_CLOSED,
    GAP_DETECTED,
    LICENCE_ACTIVATED,
    RESOURCES_CHANGED,
    RESYNC_REQUIRED,
    Message,
)
from bridge.reference import without_body
from tests.reference.events import ATTRIBUTES, CAUSE_TEXTS, PAGE, attribute_names, examples, page
from tests.unit.sinks.any_message import any_message


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: make reference"


@given(any_message(st.text(max_size=20)))
def test_every_attribute_is_explained(message: Message) -> None:
    shorter = without_body(msgspec.structs.replace(message, body=b"x" * 5000))

    assert attribute_names(message) | attribute_names(shorter or message) <= set(ATTRIBUTES)


def test_every_cause_is_explained() -> None:
    assert set(CAUSE_TEXTS) == {*CAUSES, CORRUPTION, TRIMMED}


def test_every_sort_of_event_has_an_example() -> None:
    assert {message.event for message in examples().values()} == {
        RESOURCES_CHANGED,
        LICENCE_ACTIVATED,
        RESYNC_REQUIRED,
        GAP_DETECTED,
        GAP_CLOSED,
        DLQ_REDRIVEN,
    }
