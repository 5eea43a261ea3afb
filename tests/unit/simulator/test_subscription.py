import pytest

from bridge.simulator.subscription import ArgumentError, RefusalError, topics, wants

CHANGED = "portos.resources.changed"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"e": "portos.licence.activated"}, {"portos.licence.activated"}),
        ({"e": CHANGED, "r": None}, {f"{CHANGED}/*/*"}),
        ({"e": CHANGED}, {f"{CHANGED}/*/*"}),
        ({"e": CHANGED, "r": []}, set()),
        ({"e": CHANGED, "r": [{"n": "tickets", "a": ["created"]}]}, {f"{CHANGED}/tickets/created"}),
        (
            {"e": CHANGED, "r": [{"n": "orders"}], "extra": 1},
            {f"{CHANGED}/orders/created", f"{CHANGED}/orders/updated", f"{CHANGED}/orders/deleted"},
        ),
    ],
)
def test_a_request_becomes_topics(request_: object, expected: set[str]) -> None:
    """What is left out of a request means all."""
    assert topics((request_,)) == expected


@pytest.mark.parametrize("arguments", [(), ("text",), ({"e": 1},), ({"e": CHANGED, "r": ["tickets"]},), ({}, {})])
def test_arguments_of_another_shape_are_refused(arguments: tuple[object, ...]) -> None:
    """Arguments that do not fit the method are told from requests that the hub refuses."""
    with pytest.raises(ArgumentError):
        topics(arguments)


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({"e": "nonsense"}, "Unknown event 'nonsense'."),
        ({}, "Unknown event ''."),
        ({"e": CHANGED, "r": [{"n": "tickets", "a": ["exploded"]}]}, "Unknown action 'exploded'."),
    ],
)
def test_an_unknown_event_or_action_is_refused(request_: object, text: str) -> None:
    """The refusal names what is unknown."""
    with pytest.raises(RefusalError) as refused:
        topics((request_,))

    assert str(refused.value) == text


@pytest.mark.parametrize(
    ("subscribed", "topic", "wanted"),
    [
        ({f"{CHANGED}/*/*"}, f"{CHANGED}/a/b/created", True),
        ({f"{CHANGED}/tickets/created"}, f"{CHANGED}/tickets/created", True),
        ({f"{CHANGED}/tickets/created"}, f"{CHANGED}/tickets/updated", False),
        ({f"{CHANGED}/*/*"}, "portos.licence.activated", False),
        ({"portos.licence.activated"}, "portos.licence.activated", True),
        (set(), f"{CHANGED}/tickets/created", False),
    ],
)
def test_only_who_asked_is_told(subscribed: set[str], topic: str, wanted: bool) -> None:  # noqa: FBT001 - a table's column
    """A topic reaches those who asked for it, or for all."""
    assert wants(subscribed, topic) is wanted
