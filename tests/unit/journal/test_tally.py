"""What is given up is told as far back as anything that it had to tell."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from bridge.blind import TRIMMED, Window, resync_required, trimmed
from bridge.journal.tally import GivenUp, Tally
from bridge.message import DLQ_REDRIVEN, LICENCE_ACTIVATED, RESOURCES_CHANGED, Message
from bridge.portos.gaps import body_shed


def change(at: float, resource: str | None = "tickets", created_at: float | None = None) -> Message:
    event = LICENCE_ACTIVATED if resource is None else RESOURCES_CHANGED
    return Message("id", event, resource, "t1", 1, "updated", created_at, None, at, b"{}")


def told(since: float | None, until: float, *resources: str) -> Message:
    return resync_required(Window(since, until, "network"), resources, "default")


def counted(rows: Sequence[Message | None], since: float | None = None, **places: int) -> GivenUp:
    tally = Tally(places or {"kafka": 10}, since)
    for seq, row in enumerate(rows, min(places.values(), default=10) + 1):
        tally.add(seq, row)
    return tally.given_up("0123", 99.0)


@pytest.mark.parametrize(
    ("rows", "since", "window"),
    [
        ([change(20), change(30)], 15.0, (15.0, 30.0)),
        ([change(20), change(30)], None, (20.0, 30.0)),
        ([change(20, created_at=18.5)], None, (18.5, 20.0)),
        ([change(20, created_at=21.0)], None, (20.0, 20.0)),
        ([change(20), None], 15.0, (15.0, 99.0)),
        ([change(20), None, change(40)], 15.0, (15.0, 40.0)),
        ([None, change(20)], None, (None, 20.0)),
        ([None, change(20)], 15.0, (15.0, 20.0)),
        ([change(20), told(12.0, 25.0, "tickets"), change(30)], 15.0, (12.0, 30.0)),
        ([told(12.0, 25.0, "tickets"), change(30)], None, (12.0, 30.0)),
        ([change(20), told(None, 25.0, "tickets")], 15.0, (None, 25.0)),
        ([told(None, 25.0, "tickets"), told(12.0, 35.0, "tickets"), change(40)], None, (None, 40.0)),
    ],
)
def test_the_window_holds_all_that_the_events_told(
    rows: Sequence[Message | None], since: float | None, window: tuple[float | None, float]
) -> None:
    """From the row before them, or the first of them, to the last; None is all time."""
    given_up = counted(rows, since)

    assert (given_up.since, given_up.until) == window


@pytest.mark.parametrize(
    ("rows", "resources"),
    [
        ([change(20, "tickets"), change(21, "orders"), change(22, "tickets")], ["orders", "tickets"]),
        ([change(20, "tickets"), told(12.0, 25.0, "orders", "customers")], ["customers", "orders", "tickets"]),
        ([body_shed(change(20, "orders"), "default")], ["orders"]),
        ([change(20, None)], []),
        ([change(20), None], None),
    ],
)
def test_the_resources_are_those_that_it_is_about(
    rows: Sequence[Message | None], resources: Sequence[str] | None
) -> None:
    assert counted(rows).resources == resources


def test_an_event_of_our_own_that_cannot_be_understood_may_be_about_anything() -> None:
    unknown = msgspec.structs.replace(told(1.0, 2.0, "tickets"), body=b"{")

    assert counted([change(20), unknown]).resources is None


def test_each_sink_gives_up_what_it_has_not_settled() -> None:
    """What only tells of something else is no event that is given up."""
    redriven = msgspec.structs.replace(told(1.0, 2.0), event=DLQ_REDRIVEN, body=b'{"sink":null,"count":1}')
    rows = [change(20), told(12.0, 25.0, "tickets"), redriven, None, change(40)]

    given_up = counted(rows, kafka=10, mqtt=13, stdout=15)

    assert (given_up.first, given_up.last, given_up.events) == (11, 15, 4)
    assert given_up.sinks == {"kafka": 4, "mqtt": 2, "stdout": 0}


def test_what_was_given_up_before_is_told_with_it() -> None:
    before = trimmed(Window(5.0, 20.0, TRIMMED), 7, ("0123", 4, 11), ["orders"], "default")

    given_up = counted([before, change(30)], kafka=10)

    assert (given_up.first, given_up.last, given_up.events, given_up.since) == (4, 12, 8, 5.0)
    assert given_up.sinks == {"kafka": 1}
    assert given_up.resources == ["orders", "tickets"]


def test_notices_alone_are_nothing_to_give_up() -> None:
    tally = Tally({"kafka": 10}, None)
    rows: list[Any] = [trimmed(Window(5.0, 20.0, TRIMMED), 7, ("0123", 4, 11), ["orders"], "default"), told(1.0, 2.0)]
    for seq, row in enumerate(rows, 11):
        tally.add(seq, row)

    assert tally.events == 0
