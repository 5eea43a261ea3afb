"""The memory of all resources: windows and gaps, what is taken back, what has no version, and every bound."""

from collections.abc import Sequence

import msgspec
import pytest

from bridge.message import GAP_CLOSED, GAP_DETECTED, Message
from bridge.portos.memory import Mode, VersionMemory
from bridge.sieve import Jump
from tests.unit.portos.changes import change, told, unversioned


def remembering(mode: Mode = "contiguous", keep_seconds: float = 3600.0, max_ids: int = 1000) -> VersionMemory:
    return VersionMemory(mode, "default", keep_seconds, max_ids)


def passing(memory: VersionMemory, messages: Sequence[Message]) -> list[object]:
    return told(memory.sift(messages).messages)


def test_resources_and_ids_are_apart() -> None:
    """The same id of another resource, no id and an empty one are four of their own."""
    memory = remembering()
    four = [change(5), change(3, resource="orders"), change(2, resource_id=None), change(1, resource_id="")]

    assert passing(memory, four) == [5, 3, 2, 1]
    assert memory.sift(four).exact == 4
    assert len(memory) == 4


def test_a_gap_says_all_that_is_known_of_it() -> None:
    memory = remembering()
    memory.sift([change(3, received_at=1.0)])

    sifted = memory.sift([change(6, received_at=2.0)])

    gap, shown_by = sifted.messages
    assert gap.event == GAP_DETECTED
    assert msgspec.json.decode(gap.body) == {
        "resource": "tickets",
        "id": "1",
        "fromVersion": 3,
        "toVersion": 6,
        "missing": [4, 5],
        "missingEvents": 2,
        "window": None,
        "cause": "version",
    }
    assert gap.received_at == gap.created_at == 2.0
    assert shown_by.flags == (("gapfrom", "3"),)
    assert shown_by.id == change(6).id
    assert sifted.gaps == [Jump("tickets", 2, "version")]
    assert sifted.passed == 1
    assert memory.open_gaps == 1
    assert list(memory.told_gaps()) == [("tickets", 2.0)]


def test_the_end_of_a_gap_names_it() -> None:
    memory = remembering()
    memory.sift([change(3), change(5)])

    sifted = memory.sift([change(4)])

    _, closed = sifted.messages
    assert closed.event == GAP_CLOSED
    assert msgspec.json.decode(closed.body) == {
        "resource": "tickets",
        "id": "1",
        "fromVersion": 3,
        "toVersion": 5,
        "by": "late",
    }
    assert (sifted.passed, sifted.closed, memory.open_gaps) == (1, 1, 0)


def test_the_same_gap_told_twice_has_two_ids() -> None:
    """After a reset the same versions may be jumped over again: whoever drops repeats by id must not lose one."""
    memory = remembering()
    came = [change(1), change(3), change(1, 100.0), change(3, 101.0, received_at=9.0)]

    gaps = [message.id for message in memory.sift(came).messages if message.event == GAP_DETECTED]

    assert len(set(gaps)) == 2


def test_after_a_window_a_jump_is_put_down_to_it() -> None:
    """Until the resource is seen again; what was seen since is told as any other gap."""
    memory = remembering()
    memory.sift([change(1), change(1, resource_id="2")])
    memory.window("w1")
    memory.window("w2")

    first = memory.sift([change(3)])
    second = memory.sift([change(5)])
    other = memory.sift([change(3, resource_id="2")])

    assert [told(sifted.messages)[0] for sifted in (first, second, other)] == [
        ("window", 1, 3, 2),
        ("version", 3, 5, 4),
        ("window", 1, 3, 2),
    ]
    assert msgspec.json.decode(first.messages[0].body)["window"] == "w2"
    assert first.gaps == [Jump("tickets", 1, "window")]


def test_a_jump_is_put_down_to_the_window_that_is_about_its_resource() -> None:
    memory = remembering()
    memory.sift([change(1), change(1, resource="orders")])
    memory.window("w1", ["tickets", "Orders"])
    memory.window("w2", ["tickets"])

    found = memory.sift([change(3), change(3, resource="orders")])
    memory.window("w3")
    later = memory.sift([change(5, resource="orders")])

    gaps = [message for message in (*found.messages, *later.messages) if message.event == GAP_DETECTED]
    assert [msgspec.json.decode(gap.body)["window"] for gap in gaps] == ["w2", "w1", "w3"]


def test_what_comes_late_after_a_window_does_not_hide_that_newer_ones_may_be_in_it() -> None:
    memory = remembering()
    memory.sift([change(1), change(3)])
    memory.window("w1")
    memory.sift([change(2)])

    assert passing(memory, [change(5)])[0] == ("window", 3, 5, 4)


def test_a_delete_with_the_last_version_shows_that_there_was_none_between() -> None:
    """So what is jumped over later was not jumped over in the window before it."""
    memory = remembering()
    memory.sift([change(1)])
    memory.window("w1")
    memory.sift([change(1, 2.0, "deleted")])

    assert passing(memory, [change(3)])[0] == ("version", 1, 3, 2)


def test_gaps_end_with_the_mode_that_tells_them() -> None:
    memory, again, back = remembering("contiguous"), remembering("monotonic"), remembering("contiguous")
    memory.sift([change(1), change(3)])

    again.restore([memory.record(2).data])
    back.restore([again.record(2).data])

    assert again.open_gaps == back.open_gaps == 0
    assert back.sift([change(2)]).stale == 1
    assert again.sift([change(2)]).stale == 1
    assert passing(again, [change(4)]) == [4]


def test_monotonic_tells_no_gaps() -> None:
    """Nobody knows whether versions grow by one."""
    memory = remembering("monotonic")

    assert passing(memory, [change(1), change(9), change(5)]) == [1, 9]
    assert memory.open_gaps == 0


def test_off_drops_nothing_but_exact_repeats() -> None:
    """The same id with the same bytes, a short while ago; older versions and other bytes pass, unflagged."""
    memory = remembering("off")
    came = [change(5), change(5), change(4), change(5, body=b"[]"), change(5, 99.0, body=b"{1}")]

    sifted = memory.sift(came)

    assert told(sifted.messages) == [5, 4, 5, 5]
    assert (sifted.exact, sifted.stale, len(memory)) == (1, 0, 0)
    assert passing(memory, [change(5, 99.0, body=b"{1}", received_at=61.0)]) == [5]


@pytest.mark.parametrize("mode", ["monotonic", "contiguous", "off"])
def test_without_a_version_only_the_same_content_within_a_short_time_is_a_repeat(mode: Mode) -> None:
    """A state may come back."""
    memory = remembering(mode)

    assert passing(memory, [unversioned("a"), unversioned("b"), unversioned("a")]) == [None, None]
    assert memory.sift([unversioned("b", 60.0)]).exact == 1
    assert passing(memory, [unversioned("a", 60.1)]) == [None]


def test_what_passes_while_versions_are_not_looked_at_is_no_gap_later() -> None:
    memory, off, again = remembering(), remembering("off"), remembering()
    memory.sift([change(1)])
    off.restore([memory.record(1).data])
    off.sift([change(2)])

    again.restore([off.record(2).data])

    assert passing(again, [change(3)]) == [3]


def test_what_was_not_stored_is_taken_back() -> None:
    """As if it had never come: what was known before is known again, gaps, resets and all."""
    memory, twin = remembering(), remembering()
    before = [change(1), change(3), change(7, resource_id="2"), unversioned("a")]
    refused = [
        *(change(4), change(9), change(2), change(1, 99.0, resource_id="2"), change(8, resource_id="3")),
        *(unversioned("a"), unversioned("b"), change(10), change(9, 9.0, "deleted"), change(5)),
    ]
    for each in (memory, twin):
        each.sift(before)

    memory.sift(refused)
    memory.forget()

    assert memory.open_gaps == twin.open_gaps == 1
    assert len(memory) == len(twin)
    again, once = memory.sift(refused), twin.sift(refused)
    assert told(again.messages) == told(once.messages)
    assert (again.exact, again.stale) == (once.exact, once.stale)
    assert memory.open_gaps == twin.open_gaps


def test_taking_back_is_possible_once() -> None:
    memory = remembering()
    memory.sift([change(1)])
    memory.sift([change(2)])
    memory.forget()
    memory.forget()

    assert memory.sift([change(1)]).exact == 1
    assert passing(memory, [change(2)]) == [2]


def test_ids_are_bounded_and_the_longest_unseen_goes_first() -> None:
    """Half of the bound is kept for sure; what is seen again is young again."""
    memory = remembering(max_ids=20)
    for number in range(100):
        memory.sift([change(number + 1, resource_id="often"), change(5, resource_id=str(number))])

    assert len(memory) <= 20
    assert memory.sift([change(100, resource_id="often")]).exact == 1
    assert memory.sift([change(5, resource_id=str(number)) for number in range(91, 100)]).exact == 9
    assert passing(memory, [change(5, resource_id="0")]) == [5]


def test_a_name_of_any_length_costs_no_more_than_a_short_one() -> None:
    memory = remembering()
    long, other = "x" * 100_000, "x" * 99_999 + "y"

    memory.sift([change(1, resource_id=long), change(1, resource_id=other, resource=other)])

    assert memory.sift([change(1, resource_id=long), change(1, resource_id=other, resource=other)]).exact == 2
    assert passing(memory, [change(3, resource_id=long)]) == [("version", 1, 3, 2), (3, ("gapfrom", "1"))]
    assert len(memory.record(1).data) < 2000


def test_what_does_not_change_is_forgotten_after_its_time() -> None:
    """At the latest after twice of it: a wrong memory, after a clock was set back, heals by itself."""
    memory = remembering("monotonic", keep_seconds=100.0)
    memory.sift([change(5, resource_id="quiet"), change(1)])
    memory.sift([change(2, received_at=60.0)])
    assert memory.sift([change(4, resource_id="quiet", received_at=99.0)]).stale == 1

    for version in range(3, 8):
        memory.sift([change(version, received_at=version * 50.0)])

    assert passing(memory, [change(4, resource_id="quiet", received_at=351.0)]) == [4]
    assert memory.sift([change(6, received_at=351.0)]).stale == 1


def test_in_contiguous_mode_time_alone_forgets_nothing() -> None:
    """A jump must not be missed because a resource rarely changes."""
    memory = remembering("contiguous", keep_seconds=100.0)
    memory.sift([change(5, resource_id="quiet")])
    for day in range(1, 10):
        memory.sift([change(day, received_at=day * 100_000.0)])

    assert passing(memory, [change(7, resource_id="quiet")])[0] == ("version", 5, 7, 6)


def test_a_clock_that_is_set_back_stops_no_forgetting() -> None:
    memory = remembering("monotonic", keep_seconds=100.0)
    memory.sift([change(5, resource_id="quiet", received_at=1_000_000.0)])
    for version in range(1, 5):
        memory.sift([change(version, received_at=version * 101.0)])

    assert passing(memory, [change(4, resource_id="quiet", received_at=405.0)]) == [4]


def test_a_gap_is_tracked_for_its_time() -> None:
    """What comes later than that is stale; the gap stays told."""
    memory = remembering(keep_seconds=100.0)
    memory.sift([change(1), change(3)])
    assert memory.open_gaps == 1

    memory.sift([change(1, resource_id="2"), change(3, resource_id="2", received_at=101.0)])

    assert memory.open_gaps == 1
    assert memory.sift([change(2, received_at=102.0)]).stale == 1
    assert passing(memory, [change(2, resource_id="2", received_at=102.0)]) == [2, ("late", 1, 3)]


def test_open_gaps_are_bounded_and_the_oldest_is_given_up() -> None:
    memory = remembering(max_ids=50_000)
    memory.sift([change(version, resource_id=str(number)) for number in range(10_001) for version in (1, 3)])

    assert memory.open_gaps == 10_000
    assert memory.sift([change(2, resource_id="0")]).stale == 1
    assert passing(memory, [change(2, resource_id="1")]) == [2, ("late", 1, 3)]


def test_the_gaps_of_one_resource_are_bounded() -> None:
    memory = remembering()
    memory.sift([change(version) for version in range(1, 201, 2)])

    assert memory.open_gaps == 16
    assert memory.sift([change(2)]).stale == 1
    assert passing(memory, [change(198)]) == [198, ("late", 197, 199)]


def test_a_gap_in_too_many_pieces_is_given_up() -> None:
    memory = remembering()
    memory.sift([change(0), change(1000)])

    late = [memory.sift([change(version)]) for version in range(2, 60, 2)]

    assert [sifted.passed for sifted in late].count(1) == 16
    assert memory.open_gaps == 0


def test_a_jump_of_any_size_is_told_in_a_bounded_event() -> None:
    memory = remembering()

    messages = memory.sift([change(-(2**62)), change(2**62)]).messages

    data = msgspec.json.decode(messages[1].body)
    assert len(data["missing"]) == 1000
    assert data["missing"][0] == -(2**62) + 1
    assert data["missingEvents"] == 2**63 - 1


def test_the_gaps_of_forgotten_resources_are_forgotten() -> None:
    memory = remembering(max_ids=20)
    memory.sift([change(1), change(3)])
    for number in range(30):
        memory.sift([change(1, resource_id=str(number + 10))])

    assert memory.open_gaps == 0


def test_what_nobody_records_is_bounded() -> None:
    """A command that only watches has no journal."""
    memory = remembering(max_ids=10)
    for version in range(1, 200):
        memory.sift([change(version, resource_id=str(version % 3))])

    assert len(memory._changed) <= 20


BODY = b'{"p":"' + b"x" * 600 + b'"}'


def test_what_has_no_room_for_its_body_is_told_as_a_gap_in_its_place() -> None:
    memory = remembering()
    sifted = memory.sift(
        [change(3, body=BODY), change(3, resource_id="2", action="deleted", received_at=5.0, body=BODY)]
    )

    memory.shed(sifted)

    first, second = sifted.messages
    assert (first.event, second.event) == (GAP_DETECTED, GAP_DETECTED)
    assert msgspec.json.decode(second.body) == {
        "resource": "tickets",
        "id": "2",
        "fromVersion": None,
        "toVersion": 3,
        "missing": [3],
        "missingEvents": 1,
        "window": None,
        "cause": "shed",
        "action": "deleted",
    }
    assert second.resource is second.resource_id is second.version is None, "it is no change of the resource itself"
    assert (second.created_at, second.received_at) == (3.0, 5.0)
    assert first.id != second.id
    assert first.id != change(3).id
    assert sifted.gaps == [Jump("tickets", 1, "shed")] * 2
    assert (sifted.passed, sifted.shed) == (0, 2)


def test_what_is_shed_counts_as_seen() -> None:
    """A repeat of it is a repeat, and what follows it is no jump."""
    memory = remembering()
    memory.shed(memory.sift([change(1), change(2, body=BODY)]))

    again = memory.sift([change(2, body=BODY), change(3)])

    assert (told(again.messages), again.exact) == ([3], 1)


def test_what_is_shed_is_remembered_by_who_reads_it_back() -> None:
    """After a kill the memory is made of what is stored, which is the event in the change's place."""
    before, after = remembering(), remembering()
    stored = before.sift([change(1, body=BODY), change(2, body=BODY), unversioned("a", body=BODY)])
    before.shed(stored)

    after.learn(stored.messages)

    again = after.sift([change(1), change(2), change(3)])
    assert (told(again.messages), again.exact + again.stale) == ([3], 2)


def test_a_licence_and_the_bridges_own_events_are_never_shed() -> None:
    memory = remembering()
    licence = msgspec.structs.replace(unversioned("a", body=BODY), resource=None, resource_id=None)
    memory.sift([change(1)])
    sifted = memory.sift([licence, change(3, body=BODY)])

    memory.shed(sifted)

    assert [message.body == BODY for message in sifted.messages] == [True, False, False]
    assert [gap.cause for gap in sifted.gaps] == ["version", "shed"]
    assert sifted.passed == 1


def test_a_change_that_is_no_larger_than_what_would_tell_of_it_stays() -> None:
    memory = remembering()
    sifted = memory.sift([change(1, body=b"{}")])

    memory.shed(sifted)

    assert (told(sifted.messages), sifted.shed) == ([1], 0)


def test_what_a_version_said_is_said_of_the_change_without_its_body_as_well() -> None:
    memory = remembering()
    memory.sift([change(5, 10.0)])
    sifted = memory.sift([change(1, 20.0, body=BODY)])

    memory.shed(sifted)

    assert sifted.messages[0].flags == (("versionreset", "true"),)
