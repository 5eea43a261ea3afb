"""What is kept of dead letters, and which of them a newer version has overtaken."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from bridge.errors import Rejected
from bridge.journal import Buried, Edits, Journal, Letter, Page, Refusal, Which, letter_box, letter_table
from bridge.journal.change import Change
from bridge.journal.letter import DeadLetter
from bridge.journal.letter_box import LetterBox
from bridge.journal.room import Room
from bridge.journal.store import Store
from bridge.labels import SOURCE
from bridge.message import VERSION_RESET, Message
from tests.unit.journal.conftest import Opening, message
from tests.unit.journal.test_log import rows

REFUSED = Buried(Rejected("2 MB", reason="too_large", target="portos.tickets"), 1)
OVERTAKEN = "SELECT seq, overtaken_by FROM dead_letter ORDER BY seq"


def change(resource_id: str, version: int | None, *, reset: bool = False) -> Message:
    flags = ((VERSION_RESET, "true"),) if reset else ()
    return msgspec.structs.replace(
        message(1), id=f"{resource_id}-{version}", resource_id=resource_id, version=version, flags=flags
    )


async def deliver(journal: Journal, messages: Sequence[Message], *refused: int, sink: str = "kafka") -> None:
    """Store messages and have a sink settle them, some of them refused."""
    await journal.append(messages)
    page = await journal.read(sink, len(messages))
    await journal.settle(sink, page, len(messages), dict.fromkeys(refused, REFUSED))


@pytest.mark.parametrize(
    ("name", "later", "expected"),
    [
        ("a newer version", change("a", 5), 5),
        ("a delete with the same version", change("a", 4), 4),
        ("an older one, stale", change("a", 3), None),
        ("versions that begin anew", change("a", 1, reset=True), 1),
        ("another resource", change("b", 9), None),
        ("one without a version", change("a", None), None),
    ],
)
async def test_what_overtakes_a_letter(
    opening: Opening, path: Path, name: str, later: Message, expected: int | None
) -> None:
    async with opening("kafka") as journal:
        await deliver(journal, [change("a", 4)], 0)

        await deliver(journal, [later])

    assert rows(path, OVERTAKEN) == [(1, expected)], name


async def test_a_letter_without_a_version_is_never_overtaken(opening: Opening, path: Path) -> None:
    async with opening("kafka") as journal:
        await deliver(journal, [change("a", None)], 0)
        await deliver(journal, [change("a", 5)])

    assert rows(path, OVERTAKEN) == [(1, None)]


async def test_what_was_delivered_in_the_same_page_overtakes_as_well(opening: Opening, path: Path) -> None:
    """But not what was delivered before, nor what was refused itself."""
    async with opening("kafka") as journal:
        await deliver(
            journal, [change("a", 1), change("a", 2), change("a", 3), change("b", 1), change("b", 2)], 1, 3, 4
        )

    assert rows(path, OVERTAKEN) == [(2, 3), (4, None), (5, None)]


async def test_what_was_delivered_before_a_letter_does_not_overtake_it(opening: Opening, path: Path) -> None:
    """Whatever its version is: versions have begun anew then."""
    async with opening("kafka") as journal:
        await deliver(journal, [change("a", 1), change("a", 5), change("a", 2)], 0, 2)

    assert rows(path, OVERTAKEN) == [(1, 5), (3, None)]


async def test_what_another_sink_was_given_overtakes_nothing(opening: Opening, path: Path) -> None:
    async with opening("kafka", "mqtt") as journal:
        await deliver(journal, [change("a", 1)], 0)
        await journal.append([change("a", 2)])
        page = await journal.read("mqtt", 2)
        await journal.settle("mqtt", page, 2, {})

    assert rows(path, OVERTAKEN) == [(1, None)]


@pytest.mark.parametrize(
    ("name", "refused", "later", "expected"),
    [
        ("a stale one in between", [4], [3, 5], [5]),
        ("an older letter behind it", [5, 3], [4, 6], [6, 4]),
        ("two newer ones, of two letters", [2, 9], [3, 4], [3, None]),
    ],
)
async def test_a_letter_is_overtaken_whatever_came_before(
    opening: Opening, path: Path, name: str, refused: list[int], later: list[int], expected: list[int]
) -> None:
    async with opening("kafka") as journal:
        await deliver(journal, [change("a", version) for version in refused], *range(len(refused)))
        for version in later:
            await deliver(journal, [change("a", version)])

    assert [by for _, by in rows(path, OVERTAKEN)] == expected, name


async def test_an_id_that_two_resources_share_is_known_until_both_are_overtaken(opening: Opening, path: Path) -> None:
    other = msgspec.structs.replace(change("a", 1), resource="orders")
    async with opening("kafka") as journal:
        await deliver(journal, [change("a", 1), other], 0, 1)

        await deliver(journal, [change("a", 2)])
        await deliver(journal, [msgspec.structs.replace(other, version=3)])

    assert rows(path, OVERTAKEN) == [(1, 2), (2, 3)]


async def test_letters_of_an_earlier_session_are_overtaken_too(opening: Opening, path: Path) -> None:
    async with opening("kafka") as journal:
        await deliver(journal, [change("a", 1), change("a", 2)], 0, 1)

    async with opening("kafka") as journal:
        await deliver(journal, [change("a", 3)])

    assert rows(path, OVERTAKEN) == [(1, 3), (2, 3)]


async def test_a_letter_says_what_it_is_about(opening: Opening, path: Path) -> None:
    async with opening("kafka") as journal:
        await journal.append([change("a", 4)])
        page = await journal.read("kafka", 1)
        await journal.settle("kafka", page, 1, {0: replace(REFUSED, attempts=3, since=70.0)})

    query = (
        "SELECT sink, stage, reason, error, attempts, first_at, target, resource, resource_id, version FROM dead_letter"
    )
    assert rows(path, query) == [("kafka", "sink", "too_large", "2 MB", 3, 70.0, "portos.tickets", "tickets", "a", 4)]


async def test_letters_of_too_many_resources_to_know_are_overtaken_all_the_same(
    opening: Opening, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk knows them, also after a start; once all are gone, events cost nothing again."""
    for module in (letter_box, letter_table):
        monkeypatch.setattr(module, "MOST_KEYS", 3)
    async with opening("kafka") as journal:
        await deliver(journal, [change(name, 4) for name in "abcde"], 0, 1, 2, 3, 4)
        assert not journal.letters._pile("kafka").keys
        await deliver(journal, [change("b", 5), change("x", 9), change("c", 3)])
    assert rows(path, OVERTAKEN) == [(1, None), (2, 5), (3, None), (4, None), (5, None)]

    async with opening("kafka") as journal:
        await deliver(journal, [change("e", 5)])
        (of_e,) = await journal.desk.letters(Which(id="e"), 10)
        assert of_e.overtaken_by == 5
        await journal.desk.purge(Which())
        await deliver(journal, [change("e", 6)], 0)
        assert journal.letters._pile("kafka").keys == {("tickets", "e"): (6, 10)}


def letter(size: int, sink: str = "kafka") -> DeadLetter:
    return DeadLetter(sink, "sink", "too_large", "", 1, 1.0, 1.0, b"x" * size, 1)


def test_a_letter_without_its_event_is_none_to_copy(path: Path) -> None:
    """Or whoever copies would meet all of them each time it looks for the next."""
    store = Store(path, 2**24)

    store.write(Change(dead_letters=[letter(0), letter(5)]))
    found = store.letters(Which(), 9, queue="copy")
    store.close()

    assert [one.size for one in found] == [5]
    assert rows(path, "SELECT copied FROM dead_letter") == [(1,), (0,)]


def kept_as(one: DeadLetter, number: int = 1) -> Letter:
    return Letter(number, one, len(one.data), None, None)


def test_beyond_the_cap_letters_lose_their_event_and_then_are_only_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    box = LetterBox({}, (), Room(32_768))

    for _ in range(20):
        box.add(letter(1_000))

    kept, _ = box.take()
    assert [len(one.data) for one in kept] == [1_000] * 5 + [0] * 4
    assert box.numbers("kafka") == {"events": 9, "bytes": 5_000 + 9 * 512, "marked": 0, "shed": 15, "expired": 0}
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_small_letters_are_seen_to_be_near_the_cap_before_they_lose_their_events() -> None:
    """What is told counts what the cap counts: PortosBridgeDeadLettersNearFull comes at four fifths of it."""
    box = LetterBox({}, (), Room(32_768 * 4))

    while not box.numbers("kafka")["shed"]:
        told = box.numbers("kafka")["bytes"]
        box.add(letter(100))

    assert box.most_bytes * 0.8 < told <= box.most_bytes


def test_letters_that_are_gone_make_room_for_others() -> None:
    box = LetterBox({}, (), Room(8_192 * 4))
    given = [letter(1_000) for _ in range(6)]
    for one in given:
        box.add(one)
    for one in given[:2]:
        box.remove(kept_as(one))

    box.add(letter(2_400))

    assert box.numbers("kafka") == {"events": 5, "bytes": 5_400 + 5 * 512, "marked": 0, "shed": 1, "expired": 0}


def test_what_found_no_room_is_taken_off_the_count() -> None:
    box = LetterBox({}, (), Room(8_192 * 4))
    letters = [letter(1_000, SOURCE) for _ in range(5)]
    for one in letters:
        box.add(one)

    box.withdraw(letters)
    box.add(letter(7_000))

    assert box.numbers(SOURCE) == {"events": 0, "bytes": 0, "marked": 0, "shed": 0, "expired": 0}
    assert box.numbers("kafka")["bytes"] == 7_000 + 512


def test_a_sink_without_letters_notes_nothing_more() -> None:
    box = LetterBox({}, (), Room(8_192 * 4))
    refused = replace(letter(10), resource="tickets", resource_id="a", version=1)
    box.settle("kafka", Page([change("a", 1)], [1]), 1, {0: refused})
    box.remove(kept_as(refused))
    box.take()

    box.settle("kafka", Page([change("a", 2)], [2]), 1, {})

    assert not box


async def test_letters_are_counted_by_their_reasons_also_after_a_start(opening: Opening) -> None:
    """Whatever word a sink of others uses, the words are of a closed set."""
    odd = Buried(Rejected("no", reason="a word of theirs"), 1)
    async with opening("kafka") as journal:
        await journal.append([change(name, 1) for name in "abcd"])
        page = await journal.read("kafka", 4)
        await journal.settle("kafka", page, 4, {0: REFUSED, 1: odd, 2: REFUSED})
        before = journal.letters.reasons("kafka")

    async with opening("kafka") as journal:
        after = journal.letters.reasons("kafka")
        await journal.desk.purge(Which(reason="a word of theirs"))
        left = journal.letters.reasons("kafka")

    assert before == after == {"too_large": 2, "other": 1}
    assert left == {"too_large": 2}


async def test_a_letter_that_is_refused_again_counts_for_the_new_reason(opening: Opening) -> None:
    async with opening("kafka") as journal:
        await deliver(journal, [change("a", 1), change("b", 1)], 0, 1)
        await journal.desk.retry(Which(), 1.0)
        due = await journal.desk.due("kafka", 2)

        await journal.desk.sent(due, Edits(refused=[Refusal(due[0].number, "refused", "not now", 2.0)]))

        assert journal.letters.reasons("kafka") == {"refused": 1, "too_large": 1}
        assert journal.letters.numbers("kafka")["events"] == 2
