"""The newest messages in memory: contiguous, bounded, never a wrong one."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.journal.tail import Tail
from tests.unit.journal.conftest import message, messages


def test_messages_follow_a_sequence_number() -> None:
    tail = Tail(10, 10**6)

    tail.add(messages(11, 5))

    assert [m.version for m in tail.after(12, 2)] == [13, 14]
    assert tail.after(15, 9) == []
    assert tail.received_at(11) == 111.0
    assert tail.received_at(16) is None


def test_what_has_fallen_out_is_not_answered_for() -> None:
    tail = Tail(0, 3 * 700)

    tail.add([message(number, b"x" * 100) for number in range(1, 11)])

    assert tail.first == 8
    assert tail.after(6, 10) == ()
    assert [m.version for m in tail.after(7, 10)] == [8, 9, 10]


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 4000)), max_size=12))
def test_any_sequence_of_adding_and_forgetting_keeps_the_numbers_right(steps: list[tuple[int, int]]) -> None:
    tail, head = Tail(0, 500 * 700), 0

    for count, forget in steps:
        tail.add(messages(head + 1, count))
        head += count
        tail.forget(min(forget, head))

        assert tail.first <= head + 1
        assert [m.version for m in tail.after(tail.first - 1, 5000)] == list(range(tail.first, head + 1))
