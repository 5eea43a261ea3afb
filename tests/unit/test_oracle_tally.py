"""The tally of the soak must be able to fail."""

import json

from tests.oracle.record import Received
from tests.oracle.tally import Tally


def tally(*versions: int, redelivered: bool = False) -> Tally:
    found = Tally()
    for version in versions:
        body = json.dumps({"p": {"n": "tickets", "a": 2, "i": {"i": "t1", "n": "tickets", "v": version}}}).encode()
        found.add([Received("mqtt", "portos/resources/tickets", None, body, redelivered=redelivered)])
    return found


def test_what_comes_once_and_in_order_is_only_counted() -> None:
    found = tally(1, 2, 4)

    assert (found.changes, found.repeats, found.disorder, found.unknown) == (3, 0, 0, 0)


def test_a_repeat_is_no_disorder_and_what_comes_late_is() -> None:
    """A version that was there before is a repeat; one that was not, behind a newer one, breaks the order."""
    found = tally(1, 3, 1, 2)

    assert (found.changes, found.repeats, found.disorder) == (3, 1, 1)


def test_what_only_the_other_has_is_lacking() -> None:
    assert (tally(1, 2).lacking(tally(1, 2, 3, 4)), tally(1, 2, 3).lacking(tally(1))) == (2, 0)


def test_a_record_that_is_no_change_is_told() -> None:
    found = Tally()

    found.add([Received("mqtt", "portos/resources/tickets", None, b"{}")])

    assert found.unknown == 1
