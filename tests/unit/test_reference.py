"""What is left of an event without its body."""

import json

import msgspec
import pytest

from bridge.contract import sample
from bridge.message import GAP_DETECTED, LICENCE_ACTIVATED, Message, attributes
from bridge.reference import reference, without_body

LARGE = b'{"p":"' + b"x" * 1000 + b'"}'


def test_a_large_event_says_which_resource_it_was() -> None:
    """Its identity, place and order stay what they were; beside them it says that its body is gone, and where it is."""
    whole = sample(4, resource_id="67c6", body=LARGE)

    left = without_body(whole)

    assert left is not None
    assert json.loads(left.body) == {
        "resource": "tickets",
        "id": "67c6",
        "version": 4,
        "action": "updated",
        "createdAt": "2026-01-01T00:00:00.004Z",
    }
    assert set(attributes(left, "shop")) - set(attributes(whole, "shop")) == {
        ("bodyshed", "true"),
        ("resourceurl", "/api/tickets/67c6"),
    }
    assert msgspec.structs.replace(left, body=whole.body, flags=whole.flags) == whole


def test_flags_that_were_there_stay() -> None:
    left = without_body(msgspec.structs.replace(sample(4, body=LARGE), flags=(("versionreset", "true"),)))

    assert left is not None
    assert [name for name, _ in left.flags] == ["versionreset", "bodyshed", "resourceurl"]


@pytest.mark.parametrize(
    ("resource", "resource_id", "action", "url"),
    [
        ("mPOS Link", "a/b š", "updated", "/api/mPOS%20Link/a%2Fb%20%C5%A1"),
        ("tickets", "", "updated", None),
        ("tickets", "1", "deleted", None),
    ],
)
def test_an_address_is_given_where_there_can_be_one(resource: str, resource_id: str, action: str, url: str) -> None:
    """As a path, since who reads events reaches Portos by an address of its own; what is deleted has none."""
    whole = msgspec.structs.replace(sample(1, resource=resource, resource_id=resource_id, body=LARGE), action=action)

    left = without_body(whole)

    assert left is not None
    assert dict(left.flags).get("resourceurl") == url


def test_a_licence_says_that_it_was_activated() -> None:
    left = without_body(Message("id", LICENCE_ACTIVATED, None, None, None, None, 1.0, None, 2.0, LARGE))

    assert left is not None
    assert json.loads(left.body) == {"event": LICENCE_ACTIVATED, "createdAt": "1970-01-01T00:00:01.000Z"}
    assert left.flags == (("bodyshed", "true"),)


def test_what_is_a_reference_is_not_shortened_again() -> None:
    """So nobody goes round in circles."""
    left = without_body(sample(4, body=LARGE))

    assert left is not None
    assert without_body(left) is None
    assert without_body(sample(4, body=reference(sample(4)))) is None


def test_what_the_bridge_says_itself_is_never_shortened() -> None:
    """Its body is all there is of it."""
    assert without_body(Message("id", GAP_DETECTED, None, None, None, None, 1.0, None, 2.0, LARGE)) is None
