"""A journal full of events that sinks refuse: letters give way to the sinks' places, and nobody waits for ever."""

import asyncio
from pathlib import Path

import pytest

from bridge.errors import Rejected
from bridge.journal import Buried, Journal, recorder
from bridge.journal.change import Change
from bridge.journal.letter import DeadLetter, Edits, Overtaking
from tests.support import until
from tests.unit.journal.conftest import Opening, messages
from tests.unit.journal.test_full_disk import pages
from tests.unit.journal.test_log import read_all, rows

REFUSED = Buried(Rejected("no", reason="invalid"), 1)
MIB = 2**20


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "_AGAIN_SECONDS", 0.02)


async def fill(journal: Journal, body: bytes) -> int:
    """Store events until no more are taken, and return how many."""
    stored = 0
    while await journal.append(messages(stored + 1, 50, body)):
        stored += 50
    return stored


async def refuse_all(journal: Journal, sink: str, stored: int) -> None:
    """Bury every event, a window at a time."""
    while journal.cursor(sink) < stored:
        page = await journal.read(sink, 50)
        await journal.settle(sink, page, len(page.messages), dict.fromkeys(range(len(page.messages)), REFUSED))


@pytest.mark.parametrize("size", [20, 2_000], ids=["the letters alone are too much", "their events are too much"])
async def test_a_sink_that_refuses_all_waits_for_the_other_and_not_the_other_way_round(
    opening: Opening, path: Path, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The journal is full for both: the refused find room once the other sink has settled what they were made of."""
    async with opening("kafka", "mqtt", max_bytes=MIB) as journal:
        stored = await fill(journal, b"x" * size)
        refusing = asyncio.ensure_future(refuse_all(journal, "kafka", stored))
        await until(lambda: refusing.done() or bool(journal.room.lacking), 20, "all is refused, or nothing has room")

        delivered = await asyncio.wait_for(read_all(journal, "mqtt", stored), 30)
        await asyncio.wait_for(refusing, 30)
        kept = journal.letters.numbers("kafka")

        assert [m.version for m in delivered] == list(range(1, stored + 1))
        assert journal.events == 0
    assert rows(path, "SELECT count(*) FROM dead_letter WHERE sink = 'kafka'") == [(kept["events"],)]
    quarter = MIB * 15 // 16 // 4
    assert quarter * 0.9 < kept["bytes"] < quarter * 1.2
    assert kept["shed"] > 0
    assert rows(path, "PRAGMA page_count") <= [(MIB // 4096,)]
    assert "dlq purge" in caplog.text


async def test_a_sink_whose_letters_find_no_room_does_not_hold_the_others(
    opening: Opening, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Far more is settled by the other than the send gate would let it; what it frees takes the letters."""
    async with opening("kafka", "mqtt", cursor_every_events=10) as journal:
        journal.room.growth = "make the volume larger"
        await journal.append(messages(1, 500, b"x" * 200))
        page = await journal.read("kafka", 100)
        await journal._writer.call(pages())
        refusing = asyncio.ensure_future(journal.settle("kafka", page, 100, dict.fromkeys(range(100), REFUSED)))
        await until(lambda: bool(journal.room.lacking), 5, "the letters find no room")

        assert len(await asyncio.wait_for(read_all(journal, "mqtt", 450, 50), 10)) == 450
        assert not refusing.done()
        assert journal.room.lacking == "it is full of events and dead letters"
        assert "`dlq purge`, or make the volume larger" in caplog.text
        assert (journal._readers["kafka"].durable, journal._readers["mqtt"].durable >= 350) == (0, True)

        await journal._writer.call(pages(10_000))
        await asyncio.wait_for(refusing, 5)
        await until(lambda: not journal.room.lacking, 5, "room")

    assert rows(path, "SELECT count(*) FROM dead_letter") == [(100,)]
    assert rows(path, "SELECT sink, seq FROM cursor ORDER BY sink") == [("kafka", 100), ("mqtt", 450)]


def letter(sink: str, seq: int) -> DeadLetter:
    return DeadLetter(sink, "sink", "invalid", "", 1, 1.0, 1.0, b"", seq)


def test_what_needs_no_room_is_taken_out_of_a_change() -> None:
    """Never the place of a sink whose letters stay behind, nor what has to be noted of these."""
    ours, other = (Overtaking(sink, "tickets", "t1", 2, 9) for sink in ("kafka", "mqtt"))
    change = Change(
        cursors={"kafka": 9, "mqtt": 7},
        dead_letters=[letter("kafka", 9)],
        edits=Edits(overtaken=[ours, other], gone=[3]),
        settled=5,
    )

    frugal = change.frugal()

    assert frugal == Change(cursors={"mqtt": 7}, edits=Edits(overtaken=[other], gone=[3]))
    assert change == Change(
        cursors={"kafka": 9}, dead_letters=[letter("kafka", 9)], edits=Edits(overtaken=[ours]), settled=5
    )


def test_no_place_is_taken_past_a_damaged_row_that_is_not_kept() -> None:
    change = Change(cursors={"kafka": 9, "mqtt": 7}, dead_letters=[letter("journal", 4)])

    assert change.frugal() == Change()
    assert change.cursors == {"kafka": 9, "mqtt": 7}
