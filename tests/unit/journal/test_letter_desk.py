"""Dead letters read and changed by several at once: each counts once, and no page is larger than it may be."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.journal import Edits, Journal, Refusal, Which
from bridge.journal import letter_desk as desk_module
from bridge.journal.change import Change
from bridge.journal.letter import DeadLetter, Overtaking
from bridge.journal.letter_table import letters
from bridge.journal.store import Store
from tests.unit.journal.conftest import Opening
from tests.unit.journal.test_letter_box import change, deliver

ALL = Which()
LETTER = DeadLetter("kafka", "sink", "too_large", "2 MB", 1, 5.0, 6.0, b"x", 1)


async def bury(journal: Journal, count: int) -> None:
    await deliver(journal, [change(f"r{number}", 1) for number in range(count)], *range(count))


def kept(path: Path, made: Sequence[DeadLetter]) -> Store:
    store = Store(path, 2**26)
    store.write(Change(dead_letters=list(made)))
    return store


async def test_two_who_ask_at_once_are_told_of_each_letter_once(opening: Opening) -> None:
    async with opening("kafka") as journal:
        await bury(journal, 5)

        done = await asyncio.gather(*(journal.desk.retry(ALL, 1.0) for _ in range(3)))
        purged = await asyncio.gather(*(journal.desk.purge(ALL) for _ in range(3)))

        assert sorted(one.marked for one in done) == [0, 0, 5]
        assert sorted(purged) == [0, 0, 5]
        assert journal.letters.numbers("kafka")["events"] == 0


async def test_what_takes_long_lets_others_in_between(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sink whose letters were answered does not wait until a purge of many has come to its end."""
    monkeypatch.setattr(desk_module, "_PAGE_LETTERS", 1)
    async with opening("kafka") as journal:
        await bury(journal, 50)
        last = (await journal.desk.letters(ALL, 50))[-1]
        purge = asyncio.create_task(journal.desk.purge(ALL))

        await journal.desk.sent([last], Edits(gone=[last.number]))

        assert not purge.done()
        await purge


def test_a_page_with_bodies_holds_few_large_letters_and_always_one(path: Path) -> None:
    store = kept(path, [replace(LETTER, data=b"x" * 1000)] * 5)

    found = [letters(store._db, ALL, 10, bodies=True, max_bytes=most) for most in (1, 2_500, 10_000)]
    without = letters(store._db, ALL, 10, max_bytes=1)
    store.close()

    assert [len(page) for page in found] == [1, 2, 5]
    assert len(without) == 5


def test_what_is_copied_is_what_a_sink_refused_and_again_what_it_refused_again(path: Path) -> None:
    store = kept(path, [LETTER, replace(LETTER, stage="journal"), replace(LETTER, sink="mqtt"), LETTER])
    store.write(Change(edits=Edits(copied=[1, 4])))

    store.write(Change(edits=Edits(refused=[Refusal(4, "too_large", "3 MB", 9.0)])))
    found = store.letters(Which(sink="kafka"), 9, queue="copy")
    store.close()

    assert [one.number for one in found] == [4]


def test_of_what_is_overtaken_nothing_is_remembered(path: Path) -> None:
    about = replace(LETTER, resource="tickets", resource_id="a", version=1)
    store = kept(path, [about, replace(about, resource_id="b")])
    store.write(Change(edits=Edits(overtaken=[Overtaking("kafka", "tickets", "a", 2, 9)])))

    known = store.load().letter_keys
    store.close()

    assert known == [("kafka", "tickets", "b", 1, 1)]


def test_any_number_of_letters_goes_at_once(path: Path) -> None:
    """A window of a sink may hold more than SQLite takes values in a statement."""
    store = kept(path, [LETTER] * 3)

    store.write(Change(edits=Edits(gone=[*range(3, 300_000), 1])))
    left = store.letters(ALL, 9)
    store.close()

    assert [one.number for one in left] == [2]


async def test_who_looks_at_a_journal_reads_of_its_letters_how_many_there_are(opening: Opening) -> None:
    """What each is about takes a second for some hundred thousand, in which no event is stored."""
    async with opening("kafka") as journal:
        await bury(journal, 3)

        state = await journal.inspection.state()

    assert state.dead_letters["kafka"].events == 3
    assert state.letter_keys == []
