"""What was heard proves that nothing is missing up to when the hub sent it, and no more."""

import pytest

from bridge.message import RESOURCES_CHANGED, Message
from bridge.portos.proof import Proof
from bridge.source import Batch, SourceActivity, Unreadable

NOW = 1000.0


def event(created_at: float | None, received_at: float) -> Message:
    return Message("id", RESOURCES_CHANGED, "tickets", "t1", 1, "updated", created_at, None, received_at, b"{}")


def proof(offset: float | None = None) -> Proof:
    return Proof(SourceActivity(clock_offset_seconds=offset), 35.0, NOW)


@pytest.mark.parametrize(
    ("name", "ways", "late"),
    [
        ("no way at all", [0.0], 0.0),
        ("the way of the last event", [0.4], 0.4),
        ("quicker than any before", [0.4, 0.1], 0.1),
        ("what the network held", [0.0, 3.0], 3.0),
        ("held, with clocks that differ by more than a way", [30.0, 33.0], 4.0),
        ("held, with the hub's clock a little ahead", [-0.6, 2.4], 3.0),
        ("two clocks are no way", [30.0], 1.0),
        ("nothing is later than the silence that ends a connection", [0.0, 500.0], 35.0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_event_proves_what_was_sent_before_it(name: str, ways: list[float], late: float) -> None:
    proved = proof()
    for number, way in enumerate(ways):
        at = NOW + 100 + number
        proved.event(event(at - way, at), at)
        found = at - proved.heard_until

    assert found == pytest.approx(late), name


def test_the_difference_of_the_clocks_is_taken_off_where_it_is_known() -> None:
    proved = proof(offset=-30.0)

    proved.event(event(NOW + 100 - 30.2, NOW + 100), NOW + 100)

    assert proved.heard_until == pytest.approx(NOW + 99.8)


def test_nothing_is_proved_before_the_subscription() -> None:
    """The window that is told then ends there."""
    proved = proof()
    assert proved.heard_until == NOW

    proved.event(event(NOW - 5, NOW + 0.1), NOW + 0.1)

    assert proved.heard_until >= NOW


def test_a_ping_proves_a_second_less_than_its_moment() -> None:
    """It does not say when it was sent; and it never takes back what an event has proved."""
    proved = proof()
    proved.event(event(NOW + 9.8, NOW + 10), NOW + 10)

    proved.ping(NOW + 10.5)
    assert proved.heard_until == pytest.approx(NOW + 9.8)

    proved.ping(NOW + 20)
    assert proved.heard_until == NOW + 19


def test_a_ping_behind_what_came_late_is_as_late() -> None:
    proved = proof()
    proved.event(event(NOW + 10, NOW + 10), NOW + 10)
    assert proved.heard_until == NOW + 10
    proved.event(event(NOW + 10, NOW + 13), NOW + 13)

    proved.ping(NOW + 14)

    assert proved.heard_until == NOW + 11


def test_doubt_takes_back_what_pings_have_proved_until_the_next_event() -> None:
    proved = proof()
    proved.event(event(NOW + 10, NOW + 10), NOW + 10)
    proved.ping(NOW + 20)

    proved.doubted = True
    assert proved.heard_until == proved.surely_heard_until == NOW + 10

    proved.event(event(NOW + 30, NOW + 30), NOW + 30)
    assert proved.heard_until == NOW + 30


def test_an_event_ends_the_doubt_and_pings_prove_something_again() -> None:
    proved = proof()
    proved.doubted = True
    proved.event(event(NOW + 10, NOW + 10), NOW + 10)

    proved.ping(NOW + 30)

    assert proved.heard_until == pytest.approx(NOW + 29)


def test_what_is_dropped_proves_nothing() -> None:
    proved = proof()
    proved.event(event(NOW + 10, NOW + 10), NOW + 10)
    proved.freeze()

    proved.event(event(NOW + 20, NOW + 20), NOW + 20)
    proved.ping(NOW + 30)

    assert proved.heard_until == NOW + 10


def test_a_ping_that_the_network_has_held_proves_no_more_than_the_event_behind_it() -> None:
    """What was sent before an event was not sent after it; one that comes later is none of these."""
    proved = proof()
    proved.event(event(NOW + 10, NOW + 10), NOW + 10)
    proved.ping(NOW + 20)

    proved.event(event(NOW + 11, NOW + 20), NOW + 20)
    assert proved.heard_until == pytest.approx(NOW + 11)

    proved.event(event(NOW + 30, NOW + 30), NOW + 30)
    proved.ping(NOW + 40)
    assert proved.heard_until == pytest.approx(NOW + 39)


@pytest.mark.parametrize(("doubted", "until"), [(False, 29), (True, 10)])
def test_an_answer_to_leaving_proves_that_the_subscription_was_there_until_then(*, doubted: bool, until: float) -> None:
    """Not that it was there later, nor anything where it is doubted."""
    proved = proof()
    proved.event(event(NOW + 10, NOW + 10), NOW + 10)
    proved.doubted = doubted
    proved.freeze()

    proved.ping(NOW + 50)
    proved.subscribed_until(NOW + 30)
    assert proved.heard_until == NOW + until

    assert proved.sent_at(Batch([event(NOW + 40, NOW + 40)]), NOW + 41) == NOW + until


def test_an_event_heard_while_leaving_proves_all_that_was_sent_before_leaving() -> None:
    """But nothing of the time behind: of another subscription there may be no more."""
    proved = proof()
    proved.event(event(NOW + 10, NOW + 10), NOW + 10)
    proved.freeze()
    proved.event(event(NOW + 31, NOW + 31), NOW + 31)
    assert proved.heard_until == NOW + 10

    proved.subscribed_until(NOW + 30)
    assert proved.heard_until == NOW + 30


def test_an_event_without_a_time_counts_as_one_with_the_way_of_the_last() -> None:
    proved = proof()
    proved.event(event(NOW + 9.5, NOW + 10), NOW + 10)
    assert proved.heard_until == pytest.approx(NOW + 9.5)

    proved.event(Unreadable("json", "cut", b"{", NOW + 20), NOW + 20)

    assert proved.heard_until == pytest.approx(NOW + 19.5)


def test_a_batch_behind_which_more_waits_proves_what_its_own_time_tells() -> None:
    proved = proof()
    first, last = event(NOW + 9, NOW + 10), event(NOW + 11, NOW + 12)
    proved.event(last, NOW + 12)

    assert proved.sent_at(Batch([first]), NOW + 11.5) == pytest.approx(NOW + 9)
    assert proved.sent_at(Batch([last]), NOW + 10.5) == NOW + 10.5
    assert proved.sent_at(Batch([event(None, NOW + 10)]), NOW + 11.5) is None
    assert proved.sent_at(Batch(()), NOW + 11.5) is None
