"""What is asked for and was not asked for before has never been heard, whatever else is known to be stored."""

import pytest

from bridge.scope import Scope

ALL = ("created", "updated", "deleted")
BEFORE = Scope(("tickets", "Orders"), ("updated",), ("id:a*", "sender:till"))


@pytest.mark.parametrize(
    ("name", "before", "now", "unheard"),
    [
        ("the same", BEFORE, BEFORE, []),
        ("the same in another order", BEFORE, Scope(("orders", "tickets"), ("updated",), ("sender:till", "id:a*")), []),
        ("a resource more", Scope(("tickets",)), Scope(("tickets", "orders")), ["orders"]),
        ("a resource less", Scope(("tickets", "orders")), Scope(("tickets",)), []),
        ("other resources", Scope(("tickets",)), Scope(("orders", "receipts")), ["orders", "receipts"]),
        ("everything", Scope(("tickets",)), Scope(("*",)), ["*"]),
        ("one of everything", Scope(("*",)), Scope(("tickets",)), []),
        ("an action more", Scope(("tickets",), ("updated",)), Scope(("tickets",), ALL), ["tickets"]),
        ("an action less", Scope(("tickets",), ALL), Scope(("tickets",), ("updated",)), []),
        ("an exclusion less", BEFORE, Scope(BEFORE.resources, ("updated",), ("id:a*",)), ["tickets", "Orders"]),
        ("an exclusion more", BEFORE, Scope(BEFORE.resources, ("updated",), (*BEFORE.excluded, "id:b")), []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_was_never_heard(name: str, before: Scope, now: Scope, unheard: list[str]) -> None:
    assert list(now.unheard(before.recorded())) == unheard, name


def test_nothing_is_known_of_a_session_that_recorded_none() -> None:
    assert BEFORE.unheard(None) == ()
