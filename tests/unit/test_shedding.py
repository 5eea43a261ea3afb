"""What a broker has refused for its size goes again once, as a reference."""

from bridge.contract import sample
from bridge.errors import Rejected, TooLarge, Unavailable
from bridge.journal import Page
from bridge.ports import Outcome, Shed
from bridge.reference import BODY_SHED
from bridge.shedding import Shedding

LARGE = b"x" * 1000
REFUSED = TooLarge("2 MB")


def page() -> Page:
    return Page([sample(number, body=LARGE) for number in range(4)], [10, 11, 12, 13])


def shed(found: Page) -> list[int]:
    return [
        seq for one, seq in zip(found.messages, found.seqs, strict=True) if BODY_SHED in {name for name, _ in one.flags}
    ]


def test_what_was_never_refused_goes_as_it_is() -> None:
    """The very page, at no cost."""
    whole = page()

    assert Shedding(wanted=True).applied(whole) is whole


def test_what_was_refused_goes_again_as_a_reference() -> None:
    """It and all behind it, over a new connection and at once."""
    shedding = Shedding(wanted=True)

    noted = shedding.noted(page(), [None, REFUSED, None, None])

    assert [type(outcome) for outcome in noted] == [type(None), Unavailable, type(None), type(None)]
    assert isinstance(noted[1], Unavailable)
    assert (noted[1].reason, noted[1].at_once) == ("too_large", True)
    assert shed(shedding.applied(page())) == [11]


def test_what_was_confirmed_as_a_reference_is_told() -> None:
    """With what the broker had said."""
    shedding = Shedding(wanted=True)
    shedding.noted(page(), [None, REFUSED, None, None])

    assert shedding.noted(page(), [None, None, None, None]) == [None, Shed("2 MB"), None, None]


def test_a_reference_that_is_refused_is_rejected() -> None:
    """There is nothing shorter, so it ends."""
    shedding = Shedding(wanted=True)
    shedding.noted(page(), [REFUSED, None, None, None])

    assert shedding.noted(page(), [REFUSED, None, None, None]) == [REFUSED, None, None, None]


def test_what_would_be_buried_for_its_size_is_shortened_first() -> None:
    """Where a broker only closes the connection, the last time that its sink allows."""
    suspected = Unavailable("closed", reason="too_large", bury_after=3)
    shedding = Shedding(wanted=True)

    assert shedding.noted(page(), [suspected] * 4, 1) == [suspected] * 4
    noted = shedding.noted(page(), [suspected] * 4, 2)

    assert isinstance(noted[0], Unavailable)
    assert noted[0].bury_after is None
    assert noted[1:] == [suspected] * 3
    assert shed(shedding.applied(page())) == [10]


def test_what_is_settled_is_forgotten() -> None:
    shedding = Shedding(wanted=True)
    shedding.noted(page(), [REFUSED, REFUSED, REFUSED, REFUSED])

    shedding.settled(11)

    assert shed(shedding.applied(page())) == [12, 13]


def test_where_it_is_not_wanted_nothing_is_shortened() -> None:
    outcomes: list[Outcome] = [REFUSED, None, None, None]

    assert Shedding(wanted=False).noted(page(), outcomes) == outcomes


def test_only_a_refusal_for_its_size_shortens_a_message() -> None:
    """Whatever a rejected one says of its reason, and what has no shorter form stays rejected too."""
    final = Rejected("2 MB", reason="too_large")
    small = Page([sample(1, body=b"x")], [10])

    assert Shedding(wanted=True).noted(page(), [final, None, None, None]) == [final, None, None, None]
    assert Shedding(wanted=True).noted(small, [REFUSED]) == [REFUSED]
