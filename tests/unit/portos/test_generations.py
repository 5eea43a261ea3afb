"""Two generations of what is known of resources: when the young one becomes the old one."""

from bridge.portos.generations import Generations
from bridge.portos.versions import Seen

SEEN = Seen(1, 1.0, 1, 0)


def of(ids: int) -> Generations:
    """Two generations of at most four ids, so many of them in the young one, which began at 0."""
    made = Generations(4)
    made.turn(0.0, 10.0)
    for number in range(ids):
        made.add("tickets", str(number), SEEN)
    return made


def test_a_generation_ends_with_half_of_all_that_may_be_kept() -> None:
    """So that both together never exceed the bound by more than one batch."""
    one, two = of(1), of(2)

    assert not one.turn(1.0, 10.0)
    assert two.turn(1.0, 10.0)
    assert (len(two), two.young_ids, two.number, two.since) == (2, 0, 1, 1.0)


def test_a_generation_ends_when_it_is_as_old_as_it_may_be() -> None:
    young, old = of(1), of(1)

    assert not young.turn(9.5, 10.0)
    assert old.turn(10.0, 10.0)
