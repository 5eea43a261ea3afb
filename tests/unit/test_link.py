"""The state of one peer's connections: how long the series of failures is, and what an operator is told."""

import logging
import time
from dataclasses import dataclass, field

import pytest

from bridge import link as module
from bridge.errors import Unavailable
from bridge.link import Gauges, Link, Times
from bridge.policy import Pauses
from tests.support import wait_until

LOST = Unavailable("broken pipe", reason="network")
HELD = Unavailable("no such topic", reason="missing_topic", hold=True)


@dataclass
class Counts:
    """What a link has counted."""

    attempts: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    connected: bool = False
    held: bool = False

    def set_connected(self, up: bool) -> None:  # noqa: FBT001 - the signature of a gauge
        self.connected = up

    def set_held(self, held: bool) -> None:  # noqa: FBT001 - the signature of a gauge
        self.held = held


def link(counts: Counts, stable_seconds: float = 3600) -> Link:
    gauges = Gauges(counts.attempts.append, counts.losses.append, counts.set_connected, counts.set_held)
    return Link("sink kafka", Times(1, 1, stable_seconds, Pauses(0.5, 30, 60)), gauges)


def test_failures_in_a_row_are_counted_over_short_connections() -> None:
    """A peer that takes every connection and drops it at once is still failing: the pauses grow."""
    state = link(Counts())

    state.ended(LOST)
    state.began()
    state.ended(LOST)
    state.ended(LOST)

    assert state.failures == 3
    assert state.outage_seconds > 0


def test_what_fails_beside_a_connection_is_kept_and_ends_nothing() -> None:
    state = link(Counts())
    state.began()

    state.noted(HELD)

    assert (state.last_error, state.last_reason) == ("no such topic", "missing_topic")
    assert (state.connected, state.held, state.failures) == (True, False, 0)
    assert state.setback == "no such topic"
    state.settled()
    assert (state.setback, state.last_error) == ("", "no such topic")


def test_a_connection_that_lasted_ends_the_series() -> None:
    """The next outage begins anew, with short pauses."""
    state = link(Counts(), stable_seconds=0)
    state.ended(LOST)
    state.ended(LOST)
    wait_until(lambda: state.outage_seconds > 0.1, 5, "the outage has a length that can be told apart")
    before = state.outage_seconds

    state.began()
    state.ended(LOST)

    assert state.failures == 1
    assert state.outage_seconds < before


def test_an_outage_is_no_older_than_the_connection_that_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one soon after the first begins with short pauses as well; only what does not stand goes on failing."""
    now = 0.0
    monkeypatch.setattr("bridge.link.time.monotonic", lambda: now)
    state = link(Counts(), stable_seconds=30)
    state.ended(LOST)
    now = 40.0
    state.began()
    now = 45.0
    state.ended(LOST)
    assert (state.failures, state.outage_seconds) == (2, 45.0)

    state.began()
    now = 60.0
    state.ended(LOST)

    assert (state.failures, state.outage_seconds) == (3, 0.0)


def test_a_connection_that_makes_room_for_another_has_not_failed() -> None:
    """As for a changed password: it is counted as a loss by its reason, and begins no outage."""
    counts = Counts()
    state = link(counts)

    state.began()
    state.ended(Unavailable("a new password", reason="planned", at_once=True))

    assert (state.failures, state.outage_seconds, counts.losses) == (0, 0.0, ["planned"])
    state.ended(LOST)
    assert state.failures == 1


def test_an_attempt_and_a_loss_are_counted_apart() -> None:
    counts = Counts()
    state = link(counts)

    state.ended(LOST)
    state.began()
    state.ended(HELD)

    assert counts.attempts == ["network", "ok"]
    assert counts.losses == ["missing_topic"]


def test_a_hold_lasts_until_the_connection_has_done_what_it_is_for() -> None:
    """Being connected is no sign that the missing topic is there now."""
    counts = Counts()
    state = link(counts)

    state.began()
    state.ended(HELD)
    state.began()
    assert (counts.connected, counts.held) == (True, True)

    state.proved()
    assert (counts.connected, counts.held) == (True, False)


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (HELD, logging.ERROR),
        (LOST, logging.WARNING),
        (Unavailable("a new password", reason="planned", at_once=True), logging.INFO),
    ],
)
def test_how_loud_a_loss_is(error: Unavailable, level: int, caplog: pytest.LogCaptureFixture) -> None:
    """Loud where somebody must act, quiet where it was meant to be."""
    caplog.set_level(logging.INFO)

    link(Counts()).log_failure(error, 0.0)

    assert [record.levelno for record in caplog.records] == [level]


CLOSED = Unavailable("closed", reason="server_close", hold_after=1)


def test_a_second_connection_in_a_row_that_is_closed_soon_is_held() -> None:
    """Two clients of one name close each other's connections: after two of them somebody has to act."""
    state = link(Counts())
    held = []
    for _ in range(3):
        state.began()
        held.append(state.ended(CLOSED).hold)

    assert held == [False, True, True]
    assert state.held
    assert "2. connection in a row" in str(_closed_again(link(Counts())))


def _closed_again(state: Link) -> Unavailable:
    state.began()
    state.ended(CLOSED)
    state.began()
    return state.ended(CLOSED)


def test_a_connection_that_is_lost_as_it_begins_counts_as_closed_soon() -> None:
    """The other client may be quicker than the first answer."""
    state = link(Counts())
    state.ended(CLOSED)

    assert state.ended(CLOSED).hold


@pytest.mark.parametrize("between", ["refused", "broken"])
def test_a_peer_that_restarts_is_not_taken_for_a_second_client(between: str) -> None:
    """What closes connections and cannot be reached in between is being restarted."""
    state = link(Counts())
    state.began()
    state.ended(CLOSED)
    if between == "broken":
        state.began()
    state.ended(Unavailable(between, reason="network"))
    state.began()

    assert not state.ended(CLOSED).hold


def test_connections_that_lasted_are_no_suspicion(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker may close idle connections without a word, as long as that is not at once."""
    monkeypatch.setattr(module, "_SOON_SECONDS", 0.0)

    assert not _closed_again(link(Counts())).hold


def test_a_link_says_why_it_was_lost_and_when_it_is_tried_again() -> None:
    state = link(Counts())
    before = (state.last_reason, state.next_attempt_at)
    error = state.ended(Unavailable("no route", reason="network"))
    state.log_failure(error, 40.0)
    planned = state.next_attempt_at
    state.began()

    assert before == ("", None)
    assert state.last_reason == "network"
    assert planned is not None
    assert 39.0 < planned - time.time() <= 40.0
    assert state.next_attempt_at is None
