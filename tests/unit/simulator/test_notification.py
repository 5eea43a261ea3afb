import json

import pytest

from bridge.simulator.notification import licence_activated, resource_changed


def test_a_notification_has_the_servers_bytes() -> None:
    """Keys, their order, and the way times and names are written are the real server's."""
    written = resource_changed(
        "stocks", "deleted", 'Sklad "Žilina"', 7, b"[]", actor=("1", "mPOS Link"), at=1_741_078_280.5, expires=1.25
    )

    assert written.decode() == (
        '{"e":"portos.resources.changed","s":{"c":"SYSTEM","u":{"u":"SYSTEM","d":"SYSTEM","f":null}},"r":null,'
        '"ca":"2025-03-04T08:51:20.5Z","ea":"1970-01-01T00:00:01.25Z",'
        '"p":{"u":{"u":"1","d":"mPOS Link","f":null},"n":"stocks","a":3,'
        '"i":{"i":"Sklad \\"Žilina\\"","n":"stocks","v":7},"r":[]}}'
    )


@pytest.mark.parametrize(("action", "number"), [("created", 1), ("updated", 2), ("deleted", 3)])
def test_actions_are_numbers(action: str, number: int) -> None:
    """A notification codes its action as 1, 2 or 3, and has no end where none is given."""
    written = json.loads(resource_changed("a", action, "b", 1, b"null", actor=("1", "P01"), at=0))

    assert written["p"]["a"] == number
    assert written["ea"] is None
    assert written["p"]["r"] is None


def test_the_licence_comes_with_its_own_event() -> None:
    """The licence object is the payload itself."""
    written = json.loads(licence_activated(0.5))

    assert written["e"] == "portos.licence.activated"
    assert written["p"]["shopId"] == 700123
