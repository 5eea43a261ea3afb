"""What follows from outcomes, and how long pauses are, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import Rejected, Unavailable
from bridge.policy import Pauses, Verdict, first_page_events, judge, page_events, pause
from bridge.ports import Outcome, Shed

LOST = Unavailable("lost", reason="network")
REFUSED = Unavailable("refused", reason="refused", bury_after=3)
NEVER = Rejected("no", reason="too_large")
PAUSES = Pauses(first_seconds=0.5, longest_seconds=30, hold_seconds=60)


@pytest.mark.parametrize(
    ("outcomes", "settled", "buried", "error"),
    [
        ([None, None, None], 3, [], None),
        ([None, NEVER, None], 3, [1], None),
        ([NEVER, NEVER, NEVER], 3, [0, 1, 2], None),
        ([None, LOST, None], 1, [], LOST),
        ([NEVER, LOST, NEVER], 1, [0], LOST),
        ([LOST, None, None], 0, [], LOST),
        ([None, REFUSED, None], 1, [], REFUSED),
    ],
)
def test_a_batch_is_settled_up_to_the_first_that_is_not_known(
    outcomes: list[Outcome], settled: int, buried: list[int], error: Unavailable | None
) -> None:
    verdict = judge(outcomes, 3, 0)

    assert (verdict.settled, list(verdict.buried), verdict.error) == (settled, buried, error)


def test_what_was_delivered_without_its_body_is_settled_and_told() -> None:
    verdict = judge([Shed("3 MB"), None, Shed("2 MB"), LOST, Shed("4 MB")], 5, 0)

    assert (verdict.settled, dict(verdict.buried)) == (3, {})
    assert dict(verdict.shed) == {0: Shed("3 MB"), 2: Shed("2 MB")}


@pytest.mark.parametrize("outcomes", [[], [None], [None] * 4])
def test_a_sink_that_does_not_answer_for_each_message_is_not_believed(outcomes: list[Outcome]) -> None:
    verdict = judge(outcomes, 3, 0)

    assert (verdict.settled, dict(verdict.buried)) == (0, {})
    assert verdict.error is not None
    assert verdict.error.reason == "contract"


@pytest.mark.parametrize(("failures", "settled"), [(0, 0), (1, 0), (2, 1), (9, 1)])
def test_a_message_that_is_refused_too_often_is_buried(failures: int, settled: int) -> None:
    verdict = judge([REFUSED, None], 2, failures)

    assert verdict.settled == settled
    assert list(verdict.buried) == [0] * settled
    assert verdict.error is REFUSED, "the connection is given up all the same"


def test_a_lost_connection_never_buries_however_often_it_is_lost() -> None:
    assert judge([LOST], 1, 10_000).settled == 0


@given(st.lists(st.sampled_from([None, NEVER, LOST, REFUSED]), min_size=1), st.integers(0, 5))
def test_nothing_is_settled_that_is_neither_confirmed_nor_buried(outcomes: list[Outcome], failures: int) -> None:
    verdict = judge(outcomes, len(outcomes), failures)

    for index, outcome in enumerate(outcomes[: verdict.settled]):
        assert outcome is None or index in verdict.buried
    assert verdict.settled == len(outcomes) or verdict.error is not None


@pytest.mark.parametrize(
    ("failures", "outage", "dice", "seconds"),
    [
        (1, 0, 0.0, 0.0),
        (1, 0, 1.0, 0.5),
        (2, 0, 1.0, 1.0),
        (3, 1, 1.0, 2.0),
        (9, 29.9, 1.0, 2.0),
        (9, 30.0, 1.0, 30.0),
        (9, 9999, 0.5, 15.0),
        (10**6, 9999, 1.0, 30.0),
    ],
)
def test_pauses_double_up_to_a_bound_that_is_short_while_an_outage_is_young(
    failures: int, outage: float, dice: float, seconds: float
) -> None:
    assert pause(LOST, failures, outage, dice, PAUSES) == pytest.approx(seconds)


@pytest.mark.parametrize("dice", [0.0, 0.5, 0.999])
def test_errors_choose_their_own_pace(dice: float) -> None:
    at_once = Unavailable("401", reason="unauthorized", at_once=True)
    slowly = Unavailable("close", reason="server_close", slowly=True)
    hold = Unavailable("403", reason="forbidden", hold=True)

    assert pause(at_once, 5, 100, dice, PAUSES) == 0
    assert 1 <= pause(slowly, 1, 0, dice, PAUSES) <= 2
    assert 15 <= pause(slowly, 1, 60, dice, PAUSES) <= 30
    assert 45 <= pause(hold, 1, 0, dice, PAUSES) <= 60


@pytest.mark.parametrize(
    ("asked", "found", "share", "wanted"),
    [
        (1000, 1000, 0.01, 1000),
        (250, 250, 0.24, 500),
        (600, 600, 0.01, 1000),
        (250, 250, 0.25, 250),
        (250, 249, 0.01, 250),
    ],
)
def test_only_a_full_and_quick_page_is_doubled_up_to_the_window(
    asked: int, found: int, share: float, wanted: int
) -> None:
    """Or every second page of a slow broker would come too late."""
    assert page_events(asked, 1000, found, Verdict(found, {}, None), share) == wanted


def test_a_first_page_is_small() -> None:
    """It may be for a broker that takes no window in time."""
    assert (first_page_events(2000), first_page_events(7)) == (100, 7)


@pytest.mark.parametrize(
    ("found", "settled", "reason", "wanted"),
    [
        (1000, 0, "timeout", 500),
        (7, 0, "timeout", 3),
        (1, 0, "timeout", 1),
        (1000, 1, "timeout", 1000),
        (1000, 0, "network", 1000),
    ],
)
def test_a_page_of_which_nothing_was_confirmed_in_time_is_halved(
    found: int, settled: int, reason: str, wanted: int
) -> None:
    error = Unavailable("too late", reason=reason)

    assert page_events(1000, 1000, found, Verdict(settled, {}, error), 1.0) == wanted
