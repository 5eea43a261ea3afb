"""The judge must be able to fail: for every promise a bridge that breaks it, and one that keeps all."""

import json
from collections.abc import Callable

import pytest

from tests.brokers import Change
from tests.oracle.judge import Judgement, judge
from tests.oracle.record import Identity, Received, identity_of, identity_of_change

LEDGER = [
    Change(number, 1000 + number / 100, "tickets", f"t{number % 3}", 1 + number // 3, "updated", 1)
    for number in range(30)
]


def body(change: Change) -> bytes:
    """Write the notification of a change."""
    info = {"i": change.id, "n": change.resource, "v": change.version}
    return json.dumps({"e": "portos.resources.changed", "p": {"n": change.resource, "a": 2, "i": info}}).encode()


def deliver(changes: list[Change]) -> list[Received]:
    """Do what a faultless bridge does."""
    return [
        Received("one", "portos/resources/tickets", None, body(change), {"id": f"event-{change.sequence}"})
        for change in changes
    ]


def verdict(records: list[Received]) -> Judgement:
    return judge([LEDGER], {"mqtt": records}, sent={identity_of_change(change): body(change) for change in LEDGER})


def test_a_faultless_bridge_passes() -> None:
    """Everything once, in order and untouched is no fault."""
    result = verdict(deliver(LEDGER))

    assert result.faults() == {}
    assert (result.accepted, result.lost_on_the_wire, result.sinks["mqtt"].repeated) == (30, 0, 0)


def _drop(records: list[Received]) -> list[Received]:
    return records[:10] + records[11:]


def _drop_the_last(records: list[Received]) -> list[Received]:
    return records[:-1]


def _reorder(records: list[Received]) -> list[Received]:
    return [*records[:10], records[13], *records[10:13], *records[14:]]


def _alter(records: list[Received]) -> list[Received]:
    spaced = json.dumps(json.loads(records[5].value), separators=(", ", ":")).encode()
    return [*records[:5], Received("one", records[5].topic, None, spaced, records[5].attributes), *records[6:]]


def _invent(records: list[Received]) -> list[Received]:
    return [*records, *deliver([Change(99, 0, "tickets", "t1", 99, "updated", 1)])]


def _rename(records: list[Received]) -> list[Received]:
    return [*records, Received("one", records[-1].topic, None, records[-1].value, {"id": "another"})]


def _share_an_id(records: list[Received]) -> list[Received]:
    return [*records[:-1], Received("one", records[-1].topic, None, records[-1].value, records[0].attributes)]


def _scatter(records: list[Received]) -> list[Received]:
    return [*records[:-1], Received("two", records[-1].topic, None, records[-1].value, records[-1].attributes)]


@pytest.mark.parametrize(
    ("bridge", "fault"),
    [
        (_drop, "missing"),
        (_drop_the_last, "missing"),
        (_reorder, "disordered"),
        (_alter, "altered"),
        (_invent, "invented"),
        (_rename, "renamed"),
        (_share_an_id, "renamed"),
        (_scatter, "scattered"),
    ],
)
def test_a_bridge_that_breaks_one_promise_is_found(
    bridge: Callable[[list[Received]], list[Received]], fault: str
) -> None:
    """Each kind of misdeed is named, and only that kind."""
    result = verdict(bridge(deliver(LEDGER)))

    assert set(result.faults()["mqtt"]) == {fault}


def test_a_repeat_is_counted_and_keeps_the_order() -> None:
    """After a crash older changes come again with their own ids: repeats, no disorder."""
    records = deliver(LEDGER)

    result = verdict(records[:20] + records[10:])

    assert result.faults() == {}
    assert result.sinks["mqtt"].repeated == 10


def test_what_the_broker_hands_out_again_is_no_repeat_of_the_bridge() -> None:
    """The DUP flag of a broker with a persistent session is the broker's doing."""
    last = deliver(LEDGER)[-1]
    again = Received(last.stream, last.topic, None, last.value, last.attributes, redelivered=True)

    result = verdict([*deliver(LEDGER), again])

    assert result.sinks["mqtt"].repeated == 0


def _gap(unsent: range) -> list[Change]:
    """Write the ledger of a hub that had no subscriber for a while."""
    return [
        Change(c.sequence, c.at, c.resource, c.id, c.version, c.action, 0 if c.sequence in unsent else 1)
        for c in LEDGER
    ]


def test_the_tail_of_a_connection_that_ended_is_counted_as_lost_on_the_wire() -> None:
    """What was sent in the last moment before a disconnect, and arrived nowhere, is no fault but a figure."""
    ledger = _gap(range(10, 15))

    result = judge([ledger], {"mqtt": deliver(ledger[:8] + ledger[15:])}, tail_seconds=1)

    assert result.faults() == {}
    assert (result.accepted, result.lost_on_the_wire) == (23, 2)


def test_a_hole_before_the_tail_is_missing() -> None:
    """A loss that is followed by an arrival on the same connection was not the socket's."""
    ledger = _gap(range(10, 15))

    result = judge([ledger], {"mqtt": deliver([*ledger[:7], ledger[8], *ledger[15:]])}, tail_seconds=1)

    assert result.sinks["mqtt"].missing == [identity_of_change(ledger[7])]
    assert result.lost_on_the_wire == 1


def test_a_tail_longer_than_a_socket_holds_is_missing() -> None:
    """What was sent well before the disconnect had to be read."""
    ledger = _gap(range(10, 15))

    result = judge([ledger], {"mqtt": deliver(ledger[:2] + ledger[15:])}, tail_seconds=0.045)

    assert len(result.sinks["mqtt"].missing) == 3
    assert result.lost_on_the_wire == 5


def test_a_new_subscription_ends_the_run_of_a_connection_that_the_hub_takes_for_alive() -> None:
    """A thawed hub goes on sending to a dead connection after the new one is there: those losses are the old one's."""
    arrived = {"mqtt": deliver(LEDGER[:8] + LEDGER[15:])}

    told = judge([LEDGER], arrived, tail_seconds=1, subscribed=[[LEDGER[14].at + 0.002]])
    untold = judge([LEDGER], arrived, tail_seconds=1)

    assert told.faults() == {}
    assert told.lost_on_the_wire == 7
    assert len(untold.sinks["mqtt"].missing) == 7


def test_a_hole_after_a_new_subscription_is_missing() -> None:
    """What follows the subscription by more than the blur of the hub's clock went to the new connection."""
    arrived = {"mqtt": deliver(LEDGER[:15] + LEDGER[18:])}

    result = judge([LEDGER], arrived, tail_seconds=1, subscribed=[[LEDGER[14].at + 0.002]])

    assert len(result.sinks["mqtt"].missing) == 2


def test_the_end_of_the_test_is_no_end_of_a_connection() -> None:
    """The last run of the last life has no tail to lose, the one of a hub that was killed has."""
    killed = judge([LEDGER, []], {"mqtt": deliver(LEDGER[:-2])}, tail_seconds=1)
    alive = judge([LEDGER], {"mqtt": deliver(LEDGER[:-2])}, tail_seconds=1)

    assert killed.faults() == {}
    assert killed.lost_on_the_wire == 2
    assert len(alive.sinks["mqtt"].missing) == 2


def test_what_arrived_in_one_sink_was_accepted_and_must_arrive_in_the_other() -> None:
    """A tail that Kafka has cannot have been lost on the wire, so MQTT owes it."""
    ledger = _gap(range(10, 15))

    result = judge(
        [ledger],
        {"kafka": deliver(ledger[:10] + ledger[15:]), "mqtt": deliver(ledger[:8] + ledger[15:])},
        tail_seconds=1,
    )

    assert list(result.faults()) == ["mqtt"]
    assert result.sinks["mqtt"].missing == sorted(map(identity_of_change, ledger[8:10]))


def test_what_stood_in_the_journal_was_accepted() -> None:
    """A bridge that forgets at its restart what it had committed is found, though no sink ever saw it."""
    ledger = _gap(range(10, 15))

    result = judge([ledger], {"mqtt": deliver(ledger[:8] + ledger[15:])}, journaled=[body(ledger[8])], tail_seconds=1)

    assert result.sinks["mqtt"].missing == [identity_of_change(ledger[8])]
    assert result.lost_on_the_wire == 1


def test_an_identity_is_read_from_the_payload() -> None:
    """The judge believes the notification, not the attributes beside it."""
    assert identity_of(body(LEDGER[4])) == Identity("tickets", "t1", 2, "updated")
    assert identity_of(b"[1]") is None
    assert identity_of(b"[" * 50_000) is None
