"""What the demo says at its end is what happened."""

import pytest

from bridge.blind import Window, resync_required
from bridge.demo.tally import tally


def told(since: float | None, until: float) -> bytes:
    return resync_required(Window(since, until, "closed"), ["tickets"], "default").body


def test_all_that_was_accepted_and_arrived_is_counted() -> None:
    result = tally({"a": 1.0, "b": 2.0}, [], [], ["a", "b"], 2, [("a", 1.5), ("b", 2.5), ("a", 3.0)])

    assert (result.sent, result.accepted, result.delivered, result.missing, result.repeated) == (2, 2, 2, 0, 1)
    assert result.latency_p50 == pytest.approx(0.5)


@pytest.mark.parametrize(("accepted", "counted"), [(["a", "b"], 2), (["a"], 2)])
def test_what_was_accepted_and_did_not_arrive_is_missing(accepted: list[str], counted: int) -> None:
    assert tally({}, [], [], accepted, counted, [("a", 1.5)]).missing == 1


def test_what_nobody_heard_is_hidden_unless_a_window_was_told() -> None:
    windows = [told(None, 10.0), told(20.0, 22.5)]

    result = tally({}, [5.0, 15.0, 20.0, 22.5, 23.0], windows, [], 0, [])

    assert (result.unheard, result.windows, result.hidden) == (5, 2, 2)
    assert result.blind == pytest.approx(2.5, abs=0.002)


def test_what_was_sent_and_never_read_is_hidden_unless_a_window_was_told() -> None:
    """The hub has sent it, and its connection ended before it was read."""
    sent = {"a": 19.0, "b": 20.5, "c": 30.0}

    result = tally(sent, [], [told(20.0, 22.5)], ["a"], 1, [("a", 19.5)])

    assert (result.sent, result.accepted, result.cut, result.hidden) == (3, 1, 2, 1)
