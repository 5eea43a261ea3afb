"""Repeats are counted where they were made."""

import json

from tests.oracle.record import Received
from tests.oracle.repeats import repeats_by_life


def record(version: int, stream: str = "mqtt", *, redelivered: bool = False) -> Received:
    info = {"i": "t1", "n": "tickets", "v": version}
    body = json.dumps({"p": {"n": "tickets", "a": 2, "i": info}}).encode()
    return Received(stream, "portos/resources/tickets", None, body, redelivered=redelivered)


def test_a_repeat_belongs_to_the_life_that_sent_it() -> None:
    """The first life sent 1 2 3, the second 3 4, the third 2 3 4 5."""
    records = [record(version) for version in (1, 2, 3, 3, 4, 2, 3, 4, 5)]

    assert repeats_by_life(records, [{"mqtt": 3}, {"mqtt": 5}]) == [0, 1, 3]


def test_each_stream_has_places_of_its_own() -> None:
    """A partition tells by its own records how far a life came, and one that was empty then belongs to the next."""
    records = [record(1, "a/0"), record(2, "b/0"), record(1, "a/0"), record(2, "b/0")]

    assert repeats_by_life(records, [{"a/0": 2}]) == [1, 1]


def test_what_the_broker_hands_out_again_is_no_repeat() -> None:
    assert repeats_by_life([record(1), record(1, redelivered=True)], []) == [0]
