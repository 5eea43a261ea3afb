"""When the bridge was blind, from when to when, and what the stream says of it."""

from collections.abc import Callable

import msgspec
import pytest

from bridge.blind import (
    CAUSES,
    CORRUPTION,
    JOURNAL_LOST,
    TRIMMED,
    Sight,
    Window,
    cause_of,
    corruption,
    resync_required,
    trimmed,
)

Step = Callable[[Sight], None]


def proved(at: float) -> Step:
    return lambda sight: sight.proved(at)


def lost(cause: str) -> Step:
    return lambda sight: sight.lost(cause)


def deaf(since: float) -> Step:
    return lambda sight: sight.lost("deaf", since)


def told(at: float) -> Step:
    """Subscribed again at that moment, and the window stored."""

    def tell(sight: Sight) -> None:
        window = sight.window(at)
        assert window is not None
        sight.told(window)

    return tell


@pytest.mark.parametrize(
    ("name", "begins", "steps", "window"),
    [
        ("the first start ever", (None, "stopped"), [], Window(None, 50, "first_start")),
        ("after an orderly stop", (40, "stopped"), [], Window(40, 50, "stopped")),
        ("after a crash", (40, "unclean_start"), [], Window(40, 50, "unclean_start")),
        ("nothing is lost while it is heard", (40, "stopped"), [told(41), proved(45)], None),
        (
            "from the last proof on",
            (40, "stopped"),
            [told(41), proved(44), lost("silence")],
            (44, "silence"),
        ),
        ("no proof at all since", (40, "stopped"), [told(41), lost("network")], (41, "network")),
        ("the first cause stays", (40, "stopped"), [told(41), lost("closed"), lost("network")], (41, "closed")),
        (
            "a late proof does not help",
            (40, "stopped"),
            [told(41), lost("shed"), proved(49)],
            (41, "shed"),
        ),
        (
            "a proof that is doubted",
            (40, "stopped"),
            [told(41), proved(45), proved(43), lost("closed")],
            (43, "closed"),
        ),
        ("never into what is told", (40, "stopped"), [told(41), proved(40.5), lost("closed")], (41, "closed")),
        ("from a moment that is known", (40, "stopped"), [told(41), proved(45), deaf(42)], (42, "deaf")),
        ("nor from a moment in it", (40, "stopped"), [told(41), proved(45), deaf(40.5)], (41, "deaf")),
        ("a clock set back while it is heard", (90, "stopped"), [told(91), proved(45), lost("closed")], (45, "closed")),
        ("a connection lost before it was told", (40, "unclean_start"), [lost("network")], (40, "unclean_start")),
        ("a clock set back gives no negative time", (60, "stopped"), [], Window(60, 60, "stopped")),
        (
            "windows join up",
            (40, "stopped"),
            [told(41), lost("closed"), told(43), lost("network")],
            (43, "network"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_window_lasts_from_the_last_proof_to_the_next_subscription(
    name: str, begins: tuple[float | None, str], steps: list[Step], window: Window | tuple[float, str] | None
) -> None:
    sight = Sight(*begins)
    for step in steps:
        step(sight)

    expected = Window(window[0], 50, window[1]) if isinstance(window, tuple) else window
    assert sight.window(50) == expected, name


def test_the_last_windows_are_remembered_and_all_of_them_counted() -> None:
    """Fifty of them, whatever a hub does for how long."""
    sight = Sight(None, "stopped")
    for number in range(60):
        window = sight.window(10.0 * number + 3)
        assert window is not None
        sight.told(window)
        sight.proved(10.0 * (number + 1))
        sight.lost("closed")

    assert [window.until for window in sight.recent] == [10.0 * number + 3 for number in range(10, 60)]
    assert (sight.windows, sight.seconds) == (60, 59 * 3.0)


def test_a_window_is_told_with_its_times_its_cause_and_what_to_fetch() -> None:
    told = resync_required(Window(1_000_000_000.25, 1_000_000_002.5, "closed"), ["tickets", "orders"], "shop-1")

    assert told.event == "portos.bridge.resync.required"
    assert (told.resource, told.resource_id, told.version, told.action) == (None, None, None, None)
    assert (told.created_at, told.received_at) == (1_000_000_002.5, 1_000_000_002.5)
    assert msgspec.json.decode(told.body) == {
        "window": {"id": told.id, "from": "2001-09-09T01:46:40.250Z", "to": "2001-09-09T01:46:42.500Z"},
        "cause": "closed",
        "resources": ["tickets", "orders"],
    }


def test_the_first_window_of_all_has_no_beginning() -> None:
    body = msgspec.json.decode(resync_required(Window(None, 5.0, "first_start"), [], "default").body)

    assert body["window"]["from"] is None


def test_a_difference_of_the_clocks_stands_beside_the_times() -> None:
    """A consumer that compares the window with the hub's own times has to know."""
    body = msgspec.json.decode(resync_required(Window(1.0, 5.0, "closed"), [], "default", -12.34).body)

    assert body["clockOffsetSeconds"] == -12.3


def test_a_window_has_the_same_id_however_often_it_is_made() -> None:
    """A delivery that is repeated, or a store that is tried again, is recognised downstream."""
    window = Window(1.0, 5.0, "closed")

    made = {resync_required(window, resources, "default").id for resources in ([], ["tickets"])}
    other = resync_required(window, [], "other").id

    assert len(made) == 1
    assert other not in made


@pytest.mark.parametrize(
    ("reason", "cause"),
    [("server_close", "closed"), ("silence", "silence"), ("timeout", "other"), ("anything new", "other")],
)
def test_causes_are_a_closed_set(reason: str, cause: str) -> None:
    assert cause_of(reason) == cause
    assert cause in CAUSES


def test_what_stands_for_a_loss_says_how_much_and_keeps_its_id() -> None:
    """Its id is that of the loss alone: how far it reached may be known later only."""
    window = Window(1_000_000_000.25, 1_000_000_002.5, CORRUPTION)
    told = corruption(window, 3, ("0123", 17), ["tickets"], "shop-1")

    assert told.event == "portos.bridge.resync.required"
    assert msgspec.json.decode(told.body) == {
        "window": {"id": told.id, "from": "2001-09-09T01:46:40.250Z", "to": "2001-09-09T01:46:42.500Z"},
        "cause": "corruption",
        "resources": ["tickets"],
        "lostEvents": 3,
    }
    assert corruption(Window(None, 5.0, CORRUPTION), 4, ("0123", 17), ["tickets"], "shop-1").id == told.id
    assert corruption(window, 3, ("0123", 18), ["tickets"], "shop-1").id != told.id
    assert corruption(window, 3, ("4567", 17), ["tickets"], "shop-1").id != told.id


def test_what_stands_for_events_given_up_says_which_and_is_no_loss() -> None:
    """Its id is that of its place in the journal, which the first of what a disk has spoilt may have too."""
    window = Window(1_000_000_000.25, 1_000_000_002.5, TRIMMED)
    told = trimmed(window, 9, ("0123", 17, 25), ["tickets"], "shop-1")

    assert told.event == "portos.bridge.resync.required"
    assert msgspec.json.decode(told.body) == {
        "window": {"id": told.id, "from": "2001-09-09T01:46:40.250Z", "to": "2001-09-09T01:46:42.500Z"},
        "cause": "trimmed",
        "resources": ["tickets"],
        "lostEvents": 9,
        "firstNumber": 17,
        "lastNumber": 25,
    }
    assert told.id != corruption(window, 9, ("0123", 25), ["tickets"], "shop-1").id
    assert told.id != trimmed(window, 9, ("0123", 17, 26), ["tickets"], "shop-1").id


def test_a_journal_that_was_lost_is_no_first_start() -> None:
    """Until it is told nothing is known, so that a kill before that changes nothing."""
    window = Sight(None, JOURNAL_LOST).window(5.0)

    assert window == Window(None, 5.0, "journal_lost")
