"""What is written down of the memory is all that it knows, and not much more."""

import random

import pytest

from bridge.journal import Recorded
from bridge.portos.memory import VersionMemory
from tests.unit.portos.changes import change, told, unversioned


def contents(memory: VersionMemory) -> list[dict[tuple[str, str | None], tuple[object, ...]]]:
    """What the young and the old generation hold."""
    known = memory._known
    return [
        {
            (resource, resource_id): (seen.version, seen.at, seen.actions, getattr(seen, "gaps", None))
            for resource, ids in generation.items()
            for resource_id, seen in ids.items()
        }
        for generation in (known.young, known.old)
    ]


def kept(records: list[Recorded]) -> list[Recorded]:
    return [record for record in records if record.upto >= records[-1].keep_from]


def restored(records: list[Recorded], max_ids: int = 100_000) -> VersionMemory:
    memory = VersionMemory("contiguous", "default", 1e9, max_ids)
    memory.restore([record.data for record in records])
    return memory


@pytest.mark.parametrize("max_ids", [100_000, 900, 600])
def test_a_restart_finds_all_that_was_known(max_ids: int) -> None:
    """Also what has not changed for long, in which generation it is, and nothing of what was forgotten."""
    dice = random.Random(max_ids)  # noqa: S311 - a schedule
    memory = VersionMemory("contiguous", "default", 1e9, max_ids)
    records: list[Recorded] = []
    versions = dict.fromkeys(range(700), 0)
    for upto in range(1, 120):
        for _ in range(dice.choice((1, 5, 80, 200))):
            which = min(int(dice.expovariate(1 / 100)), 699)
            versions[which] += dice.choice((1, 1, 1, 1, 2))
            resource = f"r{which % 3}"
            memory.sift([change(versions[which], resource_id=str(which), resource=resource, received_at=float(upto))])
        records = kept([*records, memory.record(upto)])

        if upto % 10 == 0:
            again = restored(records, max_ids)
            assert contents(again) == contents(memory)
            assert again.open_gaps == memory.open_gaps

    assert len(memory) > 300


def test_what_is_forgotten_is_not_written_though_its_turn_comes() -> None:
    """Two generations pass within one round, with resources that nobody had heard of when it began."""
    memory = VersionMemory("contiguous", "default", 1e9, max_ids=200)
    records = []
    for upto, counts in enumerate(((90,), (100, 100, 10), (5,)), 1):
        for count in counts:
            first = len(memory) + 1000 * upto
            for number in range(first, first + count):
                memory.sift([change(1, resource_id=str(number), resource=f"r{number // 50}")])
        records = kept([*records, memory.record(upto)])

    assert contents(restored(records, 200)) == contents(memory)


def test_restarts_do_not_lengthen_a_life() -> None:
    """What is not seen for its time is forgotten, however often the bridge is restarted meanwhile."""
    records: list[Recorded] = []
    for upto in range(1, 12):
        memory = VersionMemory("monotonic", "default", 100.0)
        memory.restore([record.data for record in records])
        quiet = [change(5, resource_id="quiet")] if upto == 1 else []
        memory.sift([*quiet, change(upto, received_at=upto * 30.0)])
        records = kept([*records, memory.record(upto)])

    assert memory.sift([change(4, resource_id="quiet", received_at=331.0)]).stale == 0


def test_what_is_written_is_bounded_by_what_is_known() -> None:
    """However often it changes: a thousand resources, a million changes, and a restart reads a few thousand lines."""
    memory = VersionMemory("monotonic", "default", 1e9)
    records: list[Recorded] = []
    memory.sift([change(1, resource_id=f"quiet {number}") for number in range(1000)])
    for upto in range(1, 1001):
        memory.sift([change(upto, resource_id=f"busy {upto % 7}")])
        records = kept([*records, memory.record(upto)])

    assert len(restored(records)) == 1007
    assert sum(len(record.data) for record in records) < 4 * 1007 * 60
    assert len(records) < 50


def test_no_record_is_much_larger_than_what_changed() -> None:
    """A full memory is never written at once: that would hold up whoever waits for the disk."""
    memory = VersionMemory("monotonic", "default", 1e9)
    for number in range(20_000):
        memory.sift([change(1, resource_id=f"{number:024x}")])
        if number % 1000 == 999:
            memory.record(number)

    memory.sift([change(2, resource_id=f"{number:024x}") for number in range(1000)])

    assert len(memory.record(20_000).data) < 100_000


def test_repeats_without_a_version_are_known_after_a_restart() -> None:
    """For as long as they would have been without it."""
    memory = VersionMemory("monotonic", "default", 1e9)
    records = []
    for upto, at in enumerate((0.0, 20.0, 40.0, 59.0), 1):
        memory.sift([unversioned(f"content {upto}", at - 0.1), change(upto, received_at=at)])
        records = kept([*records, memory.record(upto)])

    again = restored(records)

    assert again.sift([unversioned(f"content {upto}", 59.8) for upto in range(1, 5)]).exact == 4
    assert again.sift([unversioned("content 1", 60.0), unversioned("content 2", 80.0)]).exact == 0


def test_records_of_repeats_that_are_no_more_looked_for_go() -> None:
    memory = VersionMemory("monotonic", "default", 1e9)
    records = []
    for upto in range(1, 1000):
        memory.sift([unversioned(str(upto), float(upto))])
        records = kept([*records, memory.record(upto)])

    assert len(records) < 200


def test_the_latest_repeats_survive_where_not_all_do() -> None:
    """They are bounded in number; the order in which they came survives a restart."""
    memory = VersionMemory("monotonic", "default", 1e9)
    memory.sift([unversioned(str(number)) for number in range(30_000)])

    again = restored([memory.record(1)])
    again.sift([unversioned("one more")])

    assert again.sift([unversioned("10001")]).exact == 1
    assert again.sift([unversioned("10000")]).exact == 0


@pytest.mark.parametrize("lost", [None, b"", b"\xc0", b"\x96\x02\x00\xc0\x90\x90\x90"])
def test_a_lost_record_takes_with_it_what_came_before(lost: bytes | None) -> None:
    """Else a resource that it holds would be remembered at an older version, and the next change shows a false gap."""
    memory = VersionMemory("contiguous", "default", 1e9)
    records = []
    for version in (1, 2, 3):
        quiet = [change(1, resource_id=f"quiet {number}") for number in range(300 if version == 1 else 0)]
        memory.sift([*quiet, change(min(version, 2), resource_id="often")])
        records.append(memory.record(version))

    again = VersionMemory("contiguous", "default", 1e9)
    again.restore([records[0].data, lost, records[2].data])

    assert told(again.sift([change(3, resource_id="often")]).messages) == [3]
