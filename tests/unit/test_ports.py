"""What the contract of adapters computes by itself."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.contract import sample
from bridge.message import Message
from bridge.ports import turns

ABOUT = st.tuples(st.sampled_from(["tickets", "orders"]), st.sampled_from(["1", "2", "3"]))


def about(message: Message) -> tuple[str | None, str | None]:
    return message.resource, message.resource_id


@given(st.lists(ABOUT, max_size=30))
def test_no_turn_holds_two_messages_of_one_resource(named: list[tuple[str, str]]) -> None:
    """And all of them together are the batch, in its order, in no more turns than that takes."""
    batch = [sample(number, resource=name, resource_id=identity) for number, (name, identity) in enumerate(named)]

    cut = list(turns(batch))

    assert [message for turn in cut for message in turn] == batch
    assert all(len({about(message) for message in turn}) == len(turn) > 0 for turn in cut)
    assert all(about(second[0]) in {about(message) for message in first} for first, second in pairwise(cut))
