"""When a silence is doubtful: a pure rule, and what it remembers of the traffic."""

import pytest

from bridge.portos.doubt import Doubt, Patience, patience

BOUNDS = Patience(first=5, longest=45, closed=900)


@pytest.mark.parametrize(
    ("longest_pause", "fruitless", "seconds"),
    [
        (None, 0, 45),
        (0.0, 0, 5),
        (0.1, 0, 5),
        (2.5, 0, 5),
        (4, 0, 8),
        (10, 0, 20),
        (22.5, 0, 45),
        (40_000, 0, 45),
        (0.1, 1, 10),
        (10, 1, 40),
        (10, 2, 80),
        (None, 4, 720),
        (None, 5, 900),
        (None, 5000, 900),
    ],
)
def test_a_silence_is_doubtful_after_twice_the_longest_pause_of_the_last_minute(
    longest_pause: float | None, fruitless: int, seconds: float
) -> None:
    """Never before `first`, always after `longest`; doubts that find nothing grow rare, up to `closed`."""
    assert patience(longest_pause, fruitless, BOUNDS) == seconds


def test_the_longest_patience_is_not_cut_by_a_shorter_one_for_closed_shops() -> None:
    assert patience(None, 3, Patience(5, 45, 10)) == 45


def heard(doubt: Doubt, times: list[float], until: float) -> list[float]:
    """Ask once a second while events are heard at those times; give the moments at which it doubts."""
    doubts, now = [], 0.0
    doubt.opened(0.0)
    while now < until:
        now += 1.0
        past = [at for at in times if at <= now]
        if doubt.ask(now, past[-1] if past else None):
            doubts.append(now)
    return doubts


@pytest.mark.parametrize(
    ("name", "times", "silence"),
    [
        ("two hundred a second", [number / 200 for number in range(4000)], 5),
        ("one every ten seconds", [10.0 * number for number in range(1, 30)], 18),
        ("bursts twenty seconds apart", [20.0 * n + k / 100 for n in range(1, 20) for k in range(50)], 36),
        ("nothing ever", [0.0], 45),
        ("long pauses long ago explain nothing", [1.0, 30.0, *[30.0 + n for n in range(1, 500)]], 5),
        ("the night explains nothing in the morning", [1.0, 2.0, 30_000.0, 30_001.0], 45),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_traffic_of_the_last_minute_decides(name: str, times: list[float], silence: float) -> None:
    """After traffic ends it is doubted after twice its longest pause, less what asking once a second does not see."""
    doubts = heard(Doubt(BOUNDS), times, times[-1] + 100)

    after = [at - times[-1] for at in doubts if at > times[-1]]
    assert after[0] == pytest.approx(silence, abs=2.0), name


def test_steady_traffic_is_never_doubted() -> None:
    for seconds in (0.5, 3.0, 10.0, 20.0):
        times = [seconds * number for number in range(1, int(600 / seconds))]
        assert [at for at in heard(Doubt(BOUNDS), times, times[-1]) if at > 3 * seconds] == [], seconds


@pytest.mark.parametrize(
    ("times", "explained"),
    [
        ([0.1 * n for n in range(1, 100)], 1.0),
        ([5.0 * n for n in range(1, 20)], 8.0),
        ([1.0], 45.0),
        ([1.0, 9.0, *[9.0 + 0.1 * n for n in range(1, 400)]], 1.0),  # one long pause among many
    ],
)
def test_pings_prove_nothing_in_a_silence_that_the_traffic_does_not_explain(
    times: list[float], explained: float
) -> None:
    """Sooner than a second connection is opened: a window that begins earlier costs little."""
    doubt = Doubt(BOUNDS)
    heard(doubt, times, times[-1])

    assert not doubt.unexplained(times[-1] + explained - 0.5)
    assert doubt.unexplained(times[-1] + explained + 2.5)


def test_an_event_ends_the_doubt_and_the_growth() -> None:
    doubt = Doubt(BOUNDS)
    assert heard(doubt, [1.0, 1.5, 2.0], 6.0) == []
    assert doubt.ask(8.0, 2.0)
    doubt.found_nothing(8.0)
    assert not doubt.ask(17.0, 2.0)
    assert doubt.ask(18.0, 2.0)
    doubt.found_nothing(18.0)

    assert not doubt.ask(19.0, 18.5)
    assert doubt.seconds == pytest.approx(32.0)  # twice the sixteen seconds of quiet that it has seen


def test_time_in_which_the_bridge_did_not_listen_is_no_silence() -> None:
    doubt = Doubt(BOUNDS)
    heard(doubt, [1.0, 1.5, 2.0], 3.0)

    doubt.interrupted(60.0)

    assert not doubt.ask(64.0, 2.0)
    assert doubt.ask(65.0, 2.0)


def test_the_time_between_two_connections_is_no_pause_of_the_traffic() -> None:
    """The next one may be opened long after the last event; that explains no silence of it."""
    doubt = Doubt(BOUNDS)
    heard(doubt, [1.0, 1.5, 2.0], 3.0)

    doubt.opened(30.0)
    doubt.ask(30.25, None)
    doubt.ask(30.5, 30.4)

    assert doubt.seconds == 5


def test_one_second_connection_a_minute_unless_the_last_one_was_needed() -> None:
    doubt = Doubt(BOUNDS)
    assert doubt.may_act(0.0)

    doubt.acted(0.0)
    assert not doubt.may_act(59.0)
    assert doubt.may_act(60.0)

    doubt.acted(60.0)
    doubt.was_right()
    assert doubt.may_act(61.0)


def test_what_is_remembered_is_bounded() -> None:
    doubt = Doubt(BOUNDS)
    heard(doubt, [float(number) for number in range(1, 3000)], 3000)

    assert len(doubt._pauses) <= 7
