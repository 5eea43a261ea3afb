"""The judge of told windows must be able to fail: a bridge that tells all passes, and each kind of lie is found."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.brokers import Change
from tests.oracle.coverage import Coverage, judge_coverage
from tests.oracle.life import Life, Subscription, most_connections, subscriptions
from tests.oracle.record import Received
from tests.oracle.window import CAUSES, read_window, windows

START = 1_700_000_000.0
STEP = 0.005
FIRST_LOSS = range(190, 400)  # the first ten were sent and never read, the others had nobody to be sent to
SECOND_LOSS = range(700, 900)
SUBSCRIBED = (START - 1, START + 400 * STEP - 0.003, START + 900 * STEP - 0.003)
RESOURCES = ("tickets", "orders")


def text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _change(number: int) -> Change:
    unheard = (number in FIRST_LOSS and number >= FIRST_LOSS.start + 10) or number in SECOND_LOSS
    return Change(
        number, START + number * STEP, RESOURCES[number % 2], f"t{number % 6}", number // 6, "updated", int(not unheard)
    )


LEDGER = [_change(number) for number in range(1000)]
LIFE = Life(
    LEDGER,
    [
        Subscription("a", SUBSCRIBED[0], START + 200 * STEP - 0.002),
        Subscription("b", SUBSCRIBED[1], START + 700 * STEP - 0.002),
        Subscription("c", SUBSCRIBED[2]),
    ],
)


def change_record(change: Change, sink: str) -> Received:
    """Write what a consumer of a faultless bridge sees of a change."""
    info = {"i": change.id, "n": change.resource, "v": change.version}
    payload = {"n": change.resource, "a": 2, "i": info}
    value = json.dumps({"e": "portos.resources.changed", "ca": text(change.at - 0.0005), "p": payload}).encode()
    stream = "mqtt" if sink == "mqtt" else change.resource
    attributes = {"id": f"event-{change.sequence}", "recordedtime": text(change.at + 0.001)}
    return Received(stream, f"portos/resources/{change.resource}", None, value, attributes, at=change.at)


def window_record(sink: str, since: float | None, until: float, cause: str, **further: object) -> Received:
    """Write what a consumer sees of a told window."""
    identity = str(further.pop("id", f"window-{cause}-{until}"))
    window = {"id": identity, "from": None if since is None else text(since), "to": text(until)}
    value = json.dumps({"window": window, "cause": cause, "resources": RESOURCES, **further}).encode()
    topic = "portos/bridge/resync" if sink == "mqtt" else "portos.bridge.gaps"
    attributes = {
        "id": identity,
        "specversion": "1.0",
        "type": "portos.bridge.resync.required",
        "recordedtime": text(until),
    }
    return Received("mqtt" if sink == "mqtt" else topic, topic, None, value, attributes, at=until)


def honest(sink: str) -> list[Received]:
    """Tell all there is to tell, where it belongs."""
    heard = [change_record(c, sink) for c in LEDGER if c.sequence not in {*FIRST_LOSS, *SECOND_LOSS}]
    first = window_record(sink, START + 189 * STEP, SUBSCRIBED[1] + 0.002, "network")
    second = window_record(sink, START + 699 * STEP, SUBSCRIBED[2] + 0.002, "closed")
    cut, again = FIRST_LOSS.start, FIRST_LOSS.start + SECOND_LOSS.start - FIRST_LOSS.stop
    start = window_record(sink, None, SUBSCRIBED[0] + 0.002, "first_start")
    return [start, *heard[:cut], first, *heard[cut:again], second, *heard[again:]]


FIRST, SECOND = 1 + FIRST_LOSS.start, 2 + FIRST_LOSS.start + SECOND_LOSS.start - FIRST_LOSS.stop
"""Where the windows of the two losses stand."""


def verdict(kafka: Sequence[Received], mqtt: Sequence[Received], life: Life = LIFE, **further: object) -> Coverage:
    return judge_coverage([life], {"kafka": kafka, "mqtt": mqtt}, **further)  # type: ignore[arg-type]


def test_a_bridge_that_tells_all_passes() -> None:
    """Two losses, told on both sinks from the last change heard to the subscription, are no fault."""
    result = verdict(honest("kafka"), honest("mqtt"))

    assert result.faults() == {}
    assert (result.changes, result.to_nobody, result.unread, len(result.told)) == (1000, 400, 10, 3)
    assert result.excess < 0.01


Lie = Callable[[list[Received], str], list[Received]]


def moved(records: list[Received], at: int, since: float, until: float) -> list[Received]:
    """Change the times of a told window by so many seconds."""
    told = read_window(records[at])
    sink = "mqtt" if records[at].stream == "mqtt" else "kafka"
    assert told.since is not None
    changed = window_record(sink, told.since + since, told.until + until, told.cause)
    changed.attributes["recordedtime"] = records[at].attributes["recordedtime"]
    return [*records[:at], changed, *records[at + 1 :]]


def _untold(records: list[Received], _: str) -> list[Received]:
    return [*records[:FIRST], *records[FIRST + 1 :]]


def _a_change_lost(records: list[Received], _: str) -> list[Received]:
    return [*records[:50], *records[51:]]


def _begins_when_noticed(records: list[Received], _: str) -> list[Received]:
    return moved(records, FIRST, 0.3, 0)


def _ends_too_early(records: list[Received], _: str) -> list[Received]:
    return moved(records, FIRST, 0, -0.1)


def _ends_too_late(records: list[Received], _: str) -> list[Received]:
    return moved(records, FIRST, 0, 1.1)


def _begins_too_early(records: list[Received], _: str) -> list[Received]:
    return moved(records, SECOND, -1.1, 0)


def _both_a_little_too_long(records: list[Received], _: str) -> list[Received]:
    return moved(records, SECOND, -0.6, 0.45)


def _after_the_first_event(records: list[Received], sink: str) -> list[Received]:
    late = records[FIRST + 1 : FIRST + 6]
    told = replace(records[FIRST], attributes=records[FIRST].attributes | {"recordedtime": text(SUBSCRIBED[1] + 0.05)})
    return [*records[:FIRST], *late, told, *records[FIRST + 6 :]]


def _before_the_last_event(records: list[Received], sink: str) -> list[Received]:
    early = records[FIRST - 5 : FIRST]
    told = replace(records[FIRST], attributes=records[FIRST].attributes | {"recordedtime": text(START + 180 * STEP)})
    return [*records[: FIRST - 5], told, *early, *records[FIRST + 1 :]]


def _again_at_once(records: list[Received], _: str) -> list[Received]:
    return [*records[:FIRST], records[FIRST], *records[FIRST:]]


def _again_by_another_name(records: list[Received], sink: str) -> list[Received]:
    told = read_window(records[FIRST])
    other = window_record(sink, told.since, told.until, "silence")
    return [*records[:FIRST], other, *records[FIRST:]]


def _without_type(records: list[Received], _: str) -> list[Received]:
    attributes = {name: value for name, value in records[FIRST].attributes.items() if name != "type"}
    return [*records[:FIRST], replace(records[FIRST], attributes=attributes), *records[FIRST + 1 :]]


@pytest.mark.parametrize(
    ("lie", "found"),
    [
        (_untold, {"uncovered kafka", "uncovered mqtt", "untold"}),
        (_a_change_lost, {"uncovered kafka", "uncovered mqtt"}),
        (_begins_when_noticed, {"uncovered kafka", "uncovered mqtt"}),
        (_ends_too_early, {"uncovered kafka", "uncovered mqtt", "untold", "too long"}),
        (_ends_too_late, {"too long"}),
        (_begins_too_early, {"too long"}),
        (_both_a_little_too_long, {"too long"}),
        (_after_the_first_event, {"disordered kafka", "disordered mqtt", "too long"}),
        (_before_the_last_event, {"disordered kafka", "disordered mqtt"}),
        (_again_at_once, {"twice kafka", "twice mqtt"}),
        (_again_by_another_name, {"twice kafka", "twice mqtt"}),
        (_without_type, {"unreadable kafka", "unreadable mqtt", "uncovered kafka", "uncovered mqtt", "untold"}),
    ],
)
def test_a_lie_on_both_sinks_is_found(lie: Lie, found: set[str]) -> None:
    """Each kind of misdeed is named, and only that kind."""
    result = verdict(lie(honest("kafka"), "kafka"), lie(honest("mqtt"), "mqtt"))

    assert set(result.faults()) == found


@pytest.mark.parametrize("sink", ["kafka", "mqtt"])
@pytest.mark.parametrize("lie", [_untold, _begins_when_noticed, _after_the_first_event, _again_at_once])
def test_a_lie_on_one_sink_is_found(lie: Lie, sink: str) -> None:
    """What one sink is told the other must be told too, and each is judged by itself."""
    sinks = {name: lie(honest(name), name) if name == sink else honest(name) for name in ("kafka", "mqtt")}

    result = verdict(**sinks)

    one_sided = {"one-sided"} if lie in {_untold, _begins_when_noticed} else set()
    kinds = {name.split()[0] for name in result.faults() if name.endswith(sink)}
    assert one_sided <= set(result.faults())
    assert kinds
    assert not [name for name in result.faults() if name.endswith({"kafka": "mqtt", "mqtt": "kafka"}[sink])]


def test_a_window_may_come_again_after_a_kill_and_only_then() -> None:
    """What was not settled when the bridge was killed is delivered again; once for each kill."""
    kafka, mqtt = _again_at_once(honest("kafka"), "kafka"), _again_at_once(honest("mqtt"), "mqtt")

    assert verdict(kafka, mqtt, kills=[SUBSCRIBED[1] + 0.1]).faults() == {}
    assert set(verdict(kafka, mqtt, kills=[SUBSCRIBED[1] - 1]).faults()) == {"twice kafka", "twice mqtt"}


def test_what_stood_in_the_journal_was_not_missed() -> None:
    """A change that a killed bridge had accepted needs no window, though no consumer has seen it yet."""
    lost = LEDGER[50]
    kafka, mqtt = _a_change_lost(honest("kafka"), "kafka"), _a_change_lost(honest("mqtt"), "mqtt")
    body = change_record(lost, "mqtt").value

    (missed,) = verdict(kafka, mqtt).uncovered["mqtt"]
    assert missed.change == LEDGER[49]
    assert missed.outside_seconds == pytest.approx((FIRST_LOSS.start - 1 - 49) * STEP, abs=0.001)
    assert verdict(kafka, mqtt, journaled=[change_record(LEDGER[49], "mqtt").value]).faults() == {}
    assert verdict(kafka, mqtt, journaled=[body]).faults() != {}


def test_a_change_that_was_on_its_way_when_the_hub_froze_may_bear_the_time_of_the_thaw() -> None:
    """The hub stamps a change behind its sending: frozen in between, it is covered by the window of the freeze."""
    late = replace(LEDGER[300], at=START + 400 * STEP + 0.02, sent_to=1)
    life = replace(LIFE, ledger=[*LEDGER[:300], *LEDGER[301:400], late, *LEDGER[400:]])
    freeze = (START + 300 * STEP, START + 398 * STEP)

    assert verdict(honest("kafka"), honest("mqtt"), life, stalls=[freeze]).faults() == {}
    assert set(verdict(honest("kafka"), honest("mqtt"), life).faults()) == {"uncovered kafka", "uncovered mqtt"}
    before = (freeze[0], late.at - 1)
    assert set(verdict(honest("kafka"), honest("mqtt"), life, stalls=[before]).faults()) == {
        "uncovered kafka",
        "uncovered mqtt",
    }


def test_a_change_that_arrived_is_dated_by_its_notification() -> None:
    """The stamp of the ledger may be seconds behind the sending: it must not make a true window too long."""
    late = replace(LEDGER[FIRST_LOSS.start - 1], at=START + 396 * STEP)
    life = replace(LIFE, ledger=[*LEDGER[: late.sequence], *LEDGER[late.sequence + 1 : 396], late, *LEDGER[396:]])

    assert verdict(honest("kafka"), honest("mqtt"), life).faults() == {}


def test_a_subscription_made_beside_another_needs_no_window() -> None:
    """Make before break: nothing was missed, so nothing is to be told; a break that lost nothing is still one."""
    beside = Subscription("d", START + 500 * STEP)
    gone = Subscription("b", SUBSCRIBED[1], START + 499 * STEP)

    taken_over = replace(LIFE, subscriptions=[*LIFE.subscriptions, beside])
    broken = replace(LIFE, subscriptions=[LIFE.subscriptions[0], gone, beside, LIFE.subscriptions[2]])

    assert verdict(honest("kafka"), honest("mqtt"), taken_over).untold == []
    assert verdict(honest("kafka"), honest("mqtt"), broken).untold == [beside.since]


def test_a_window_without_a_subscription_at_its_end_is_too_long() -> None:
    """A bridge that tells windows at its pleasure covers everything and says nothing."""
    invented = window_record("mqtt", START + 500 * STEP, START + 520 * STEP, "other")
    mqtt, kafka = honest("mqtt"), honest("kafka")
    at = FIRST + 120

    result = verdict(
        [*kafka, window_record("kafka", START + 500 * STEP, START + 520 * STEP, "other")],
        [*mqtt[:at], invented, *mqtt[at:]],
        longest_excess=0.05,
    )

    assert "too long" in result.faults()


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"cause": "boredom"}, "closed set"),
        ({"cause": "timeout"}, "closed set"),
        ({"resources": []}, "of the resources"),
        ({"resources": "tickets"}, "of the resources"),
        ({"since": None}, "begins with None"),
        ({"cause": "first_start"}, "begins with '"),
        ({"until": START - 10}, "ends before it begins"),
    ],
)
def test_a_window_that_breaks_the_format_is_unreadable(broken: dict[str, object], why: str) -> None:
    """Cause, times and attributes are those that were promised, to the letter."""
    told: dict[str, object] = {"since": START, "until": START + 1, "cause": "closed", **broken}
    record = window_record("mqtt", **told)  # type: ignore[arg-type]

    with pytest.raises(ValueError, match=why):
        read_window(record)
    assert windows([record]) == []


@pytest.mark.parametrize(("name", "value"), [("id", "another"), ("specversion", "0.3"), ("recordedtime", "today")])
def test_a_window_whose_attributes_say_something_else_is_unreadable(name: str, value: str) -> None:
    """What stands beside the data identifies and dates the same window."""
    record = window_record("mqtt", START, START + 1, "closed")

    assert windows([record]) != []
    assert windows([replace(record, attributes=record.attributes | {name: value})]) == []


def test_a_moment_with_more_or_less_than_milliseconds_is_unreadable() -> None:
    """RFC 3339 in UTC with milliseconds is one form, not a family of forms."""
    record = window_record("mqtt", START, START + 1, "closed")
    longer = replace(record, value=record.value.replace(b"Z", b"000Z"))

    assert windows([record]) != []
    assert windows([longer]) == []
    assert "closed" in CAUSES


def test_subscriptions_are_read_from_the_hubs_log() -> None:
    """A connection holds its subscription from the request to the unsubscription or its end, whichever is first."""
    changes = {"e": "portos.resources.changed"}
    log = [
        {"at": "2025-03-04T09:15:27.1234567+00:00", "what": "connected", "id": "a"},
        {"at": "2025-03-04T09:15:28+00:00", "what": "subscribed", "id": "a", "request": changes},
        {"at": "2025-03-04T09:15:28.5+00:00", "what": "subscribed", "id": "a", "request": {"e": "x"}},
        {"at": "2025-03-04T09:15:29+00:00", "what": "subscribed", "id": "b", "request": changes},
        {"at": "2025-03-04T09:15:30+00:00", "what": "unsubscribed", "id": "a", "request": changes},
        {"at": "2025-03-04T09:15:31+00:00", "what": "disconnected", "id": "a"},
    ]

    first, second = subscriptions(log)

    assert (first.until or 0) - first.since == 2
    assert (second.connection, second.until) == ("b", None)
    assert most_connections(log) == 1
    assert most_connections([*log, {"at": "2025-03-04T09:15:30.5+00:00", "what": "connected", "id": "b"}]) == 2
