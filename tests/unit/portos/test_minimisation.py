"""Which steps the settings ask for."""

from typing import Any

import pytest

from bridge.portos.minimisation import bridged, minimisation, scope
from bridge.scope import Minimisation
from bridge.settings import Settings


def settings(**sections: Any) -> Settings:
    least = {
        "sinks": "none",
        "hub": {"url": "http://hub"},
        "auth": {"scheme": "static", "token": "t"},
        "subscribe": {"resources": "tickets,orders"},
    }
    return Settings.model_validate(least | sections)


def steps(found: Minimisation) -> tuple[bool, bool, bool]:
    return found.filtered is not None, found.reduced is not None, found.shortened is not None


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({}, (False, False, False)),
        ({"event": {"content": "resource"}}, (False, True, True)),
        ({"event": {"content": "reference"}}, (False, True, True)),
        ({"filter": {"exclude_ids": "x*"}}, (True, False, True)),
        ({"filter": {"exclude_senders": "12"}}, (True, False, True)),
        ({"subscribe": {"resources": "*"}, "filter": {"exclude_resources": "apikeys"}}, (True, False, True)),
        ({"subscribe": {"resources": "tickets", "actions": "deleted"}}, (True, False, False)),
    ],
)
def test_only_what_is_asked_for_is_done(sections: Any, expected: tuple[bool, bool, bool]) -> None:
    """By default nothing, so that it costs nothing; an unreadable record may be one of what is left out."""
    assert steps(minimisation(settings(**sections))) == expected


def test_what_is_left_out_is_not_told_as_bridged() -> None:
    assert bridged(settings(filter={"exclude_resources": "Orders"})) == ["tickets"]


def test_the_scope_is_all_that_is_asked_for_less_what_is_left_out() -> None:
    filters = {"exclude_resources": "Orders", "exclude_ids": "a*", "exclude_senders": "till"}

    made = scope(settings(filter=filters))

    assert made.resources == ["tickets"]
    assert set(made.actions) == {"created", "updated", "deleted"}
    assert set(made.excluded) == {"resource:Orders", "id:a*", "sender:till"}
