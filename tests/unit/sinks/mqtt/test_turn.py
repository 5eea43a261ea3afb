"""Of one resource only one message is on its way at a time."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract import sample
from bridge.message import RESYNC_REQUIRED, Message
from bridge.portos.gaps import body_shed
from sinks.mqtt.turn import Turns


def batch(identities: list[int], resource: str = "tickets") -> list[Message]:
    return [sample(at, resource=resource, resource_id=f"id-{each}") for at, each in enumerate(identities)]


@given(st.lists(st.integers(0, 4), max_size=40), st.lists(st.integers(0, 100), max_size=200))
def test_whatever_is_answered_when_each_has_its_turn_once_and_behind_its_predecessor(
    identities: list[int], dice: list[int]
) -> None:
    """In any order of sending and answering: all are given, and never two of one resource at the same time."""
    turns, throws = Turns(batch(identities)), iter(dice)
    given_out: list[int] = []
    on_the_way: list[int] = []

    while turns.ready or on_the_way:
        if turns.ready and (not on_the_way or next(throws, 0) % 2):
            number = turns.take()
            assert identities[number] not in {identities[each] for each in on_the_way}
            given_out.append(number)
            on_the_way.append(number)
        else:
            turns.answered(on_the_way.pop(next(throws, 0) % len(on_the_way)))

    assert sorted(given_out) == list(range(len(identities)))
    for identity in set(identities):
        own = [number for number in given_out if identities[number] == identity]
        assert own == sorted(own)


def test_others_do_not_wait() -> None:
    """While the first of a resource is on its way, all resources but that one go on, the lowest number first."""
    turns = Turns(batch([0, 0, 1, 0, 2]))

    assert [turns.take() for _ in turns.ready[:]] == [0, 2, 4]
    turns.answered(0)
    assert turns.take() == 1
    assert not turns.ready


def test_what_was_let_in_comes_before_what_is_higher() -> None:
    """The lowest number goes first, so that what is open at the end of a connection lies close together."""
    turns = Turns(batch([0, 0, 1, 2, 3]))
    turns.take()
    turns.answered(0)

    assert [turns.take() for _ in turns.ready[:]] == [1, 2, 3, 4]


def test_what_was_let_in_waits_for_what_is_lower() -> None:
    turns = Turns(batch([0, 1, 2, 0]))
    turns.take()
    turns.answered(0)

    assert [turns.take() for _ in turns.ready[:]] == [1, 2, 3]


@pytest.mark.parametrize("resource", ["tickets", "orders"])
def test_a_resource_is_its_name_and_its_id(resource: str) -> None:
    """The same id of another resource is another resource."""
    turns = Turns([sample(0, resource_id="7"), sample(1, resource=resource, resource_id="7")])

    assert len(turns.ready) == (1 if resource == "tickets" else 2)


def test_a_gap_is_of_its_resource_and_holds_up_no_other() -> None:
    """In a journal that is nearly full all changes are told as gaps: one at a time would keep it full."""
    one, two, three = batch([0, 1, 0])
    turns = Turns([body_shed(one, "default"), body_shed(two, "default"), three])

    assert [turns.take() for _ in turns.ready[:]] == [0, 1]
    turns.answered(0)
    assert turns.take() == 2


def test_a_window_keeps_its_place() -> None:
    """The second in a batch is not held back behind what was heard after it."""
    told = {"event": RESYNC_REQUIRED, "resource": None, "resource_id": None}
    windows = [msgspec.structs.replace(sample(at), **told) for at in (1, 3)]
    turns = Turns([sample(0, resource_id="7"), windows[0], sample(2, resource_id="8"), windows[1], sample(4)])

    assert [turns.take() for _ in turns.ready[:]] == [0, 1, 2, 3, 4]


def test_where_nothing_can_be_refused_nobody_waits() -> None:
    turns = Turns(batch([0] * 5), together=True)

    assert [turns.take() for _ in turns.ready[:]] == [0, 1, 2, 3, 4]
