"""Numbers and places that are kept in little room are those that were put there."""

from random import Random

from bridge.journal.index import Index, Numbers

FAR = (-5, 0, 2**40, 2**63 - 1, 2**64 - 1)


def test_numbers_are_a_set() -> None:
    dice = Random(5)  # noqa: S311 - no secret
    asked = [dice.choice((dice.randrange(40_000), *FAR)) for _ in range(50_000)]
    numbers, wanted = Numbers(), set()

    for number in asked:
        assert numbers.add(number) is (number not in wanted)
        wanted.add(number)

    assert list(numbers) == sorted(wanted)
    assert len(numbers) == len(wanted)
    assert [number in numbers for number in range(-10, 40_010)] == [number in wanted for number in range(-10, 40_010)]


def test_places_come_by_number_and_those_of_one_number_from_the_last_on() -> None:
    dice = Random(5)  # noqa: S311 - no secret
    entries = [(dice.choice((dice.randrange(40_000), *FAR)), dice.randrange(2**51)) for _ in range(50_000)]
    index = Index()

    for number, place in entries:
        index.add(number, place)

    assert list(index) == [place for _, place in sorted(entries, key=lambda one: (one[0], -one[1]))]
