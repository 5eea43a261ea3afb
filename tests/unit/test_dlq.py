"""`portos-bridge dlq`: the same on a journal that nobody has open and on a bridge that runs."""

import asyncio
import io
import json
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from bridge.admin import admin
from bridge.door import Door
from bridge.errors import Rejected
from bridge.journal import Buried, Journal, Limits, Which, open_journal
from bridge.letter_routes import letter_routes
from bridge.message import DLQ_REDRIVEN
from bridge.metrics import Catalogue
from bridge.row_routes import row_routes
from tests.unit.command_line import TOKEN, CommandLine, configure_nothing_but_the_token
from tests.unit.journal.conftest import messages

LIMITS = Limits(60 * 2**20, 2**20, 100, 0.02)


@pytest.fixture
def dlq(command_line: CommandLine) -> CommandLine:
    return partial(command_line, "dlq")


async def fill(path: Path) -> None:
    """Leave a journal behind with three letters of the sink kafka, the first of them overtaken."""
    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal:
        await bury(journal)


async def bury(journal: Journal) -> None:
    events = messages(1, 9, b'{"name":"Jana"}')  # of seven resources: the eighth event is newer than the first
    await journal.append(events)
    page = await journal.read("kafka", 9)
    why = Buried(Rejected("2 MB is too much", reason="too_large", target="portos.tickets"), 1)
    journal.ledger.received += 9
    journal.ledger.sinks["kafka"].delivered += 6
    journal.ledger.sinks["kafka"].dead_lettered += 3
    await journal.settle("kafka", page, 9, {0: why, 2: why, 3: why})


def test_an_empty_journal_has_nothing_to_do(path: Path, dlq: CommandLine) -> None:
    async def make() -> None:
        async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS):
            pass

    asyncio.run(make())

    assert dlq("list") == (0, "no dead letters: nothing to do\n")
    assert dlq("list", "--sink", "source")[1].startswith("no dead letter is like that")


def test_the_table_names_every_letter_and_says_what_comes_next(path: Path, dlq: CommandLine) -> None:
    asyncio.run(fill(path))

    status, said = dlq("list")

    lines = said.splitlines()
    assert status == 0
    assert lines[0].split()[:3] == ["number", "last", "attempt"]
    assert [line.split()[-1] for line in lines[1:4]] == ["overtaken", "kept", "kept"]
    assert lines[4] == "3 dead letters: 2 kept, 1 overtaken"
    assert "dlq retry --sink" in lines[5]
    assert "Jana" not in said


def test_json_is_a_letter_a_line_and_bodies_only_where_they_are_asked_for(path: Path, dlq: CommandLine) -> None:
    asyncio.run(fill(path))

    plain = [json.loads(line) for line in dlq("list", "--json")[1].splitlines()]
    whole = [json.loads(line) for line in dlq("list", "--json", "--bodies")[1].splitlines()]

    assert [letter["number"] for letter in plain] == [1, 2, 3]
    assert all("body" not in letter for letter in plain)
    assert [letter["body"] for letter in whole] == ['{"name":"Jana"}'] * 3


def test_show_tells_why_and_where_it_was_to_go(path: Path, dlq: CommandLine) -> None:
    asyncio.run(fill(path))

    status, said = dlq("show", "2")

    assert status == 0
    assert "2 MB is too much" in said
    assert "portos.tickets" in said
    assert "Jana" not in said
    assert "Jana" in dlq("show", "2", "--bodies")[1]


def test_a_retry_on_a_stopped_journal_is_carried_out_by_the_next_start(path: Path, dlq: CommandLine) -> None:
    """And told in the stream, once, without saying that the last session ended otherwise than it did."""
    asyncio.run(fill(path))

    status, said = dlq("retry", "--sink", "kafka")

    assert status == 0
    assert "2 dead letters are sent when the bridge is started again" in said
    assert "1 is skipped: its sink has a newer version" in said
    assert "nothing has changed" in dlq("retry", "--all")[1]
    assert "2 dead letters: 2 to be sent" in dlq("list", "--marked")[1]
    asyncio.run(_told_once(path))


async def _told_once(path: Path) -> None:
    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal:
        page = await journal.read("kafka", 10)
        assert [message.event for message in page.messages] == [DLQ_REDRIVEN]
        assert journal.letters.marked("kafka") == 2
        assert journal.previous.clean is True
        assert journal.imbalances() == {"intake": 0, "kafka": 0}


def test_a_purge_throws_away_what_is_named(path: Path, dlq: CommandLine) -> None:
    asyncio.run(fill(path))

    status, said = dlq("purge", "1", "2", "--yes")

    assert (status, said.splitlines()[-1]) == (0, "2 dead letters are gone for good")
    assert [json.loads(line)["number"] for line in dlq("list", "--json")[1].splitlines()] == [3]
    assert dlq("purge", "--id", "id-1")[1].startswith("no dead letter is like that")


@pytest.mark.parametrize("verb", [("list",), ("show",), ("retry",), ("purge", "--yes")])
def test_a_letter_that_is_not_there_is_told(path: Path, dlq: CommandLine, verb: tuple[str, ...]) -> None:
    """Whatever is done with the others."""
    asyncio.run(fill(path))

    alone = dlq(*verb, "77", "2", "--sink", "source")
    beside = dlq(*verb, "77", "2")

    said = "portos-bridge: no dead letter {} is like that; it may have been sent: `dlq list` shows all\n"
    assert alone == (1, said.format("2, 77"))
    assert beside[0] == 1
    assert beside[1].endswith(said.format("77"))
    assert len(beside[1].splitlines()) > 1


@pytest.mark.parametrize("verb", [("list",), ("show", "2"), ("retry",), ("purge", "--yes")])
def test_a_sink_that_nobody_knows_is_told(path: Path, dlq: CommandLine, verb: tuple[str, ...]) -> None:
    """A misspelt one would look like one without letters."""
    asyncio.run(fill(path))

    status, said = dlq(*verb, "--sink", "kafak")

    assert status == 1
    assert said == "portos-bridge: there is no sink 'kafak' here: there is journal, kafka, source, stdout\n"


async def test_the_sinks_of_a_bridge_elsewhere_are_its_own(
    path: Path, port: int, dlq: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure_nothing_but_the_token(monkeypatch)
    catalogue = Catalogue("default", ["kafka"], ["tickets"], 50)
    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal:
        await bury(journal)
        door = Door(SecretStr(TOKEN))
        routes = [
            *letter_routes(lambda: journal, catalogue, door),
            *row_routes(lambda: journal.inspection, str(path), door),
        ]
        async with admin("127.0.0.1", port, CollectorRegistry(), lambda: (), lambda: (), dict, routes):
            url = f"http://127.0.0.1:{port}"
            known = await asyncio.to_thread(dlq, "list", "--sink", "kafka", "--json", "--url", url)
            unknown = await asyncio.to_thread(dlq, "list", "--sink", "stdout", "--url", url)

    assert (known[0], len(known[1].splitlines())) == (0, 3)
    assert unknown[0] == 1
    assert "there is no sink 'stdout' here: there is journal, kafka, source" in unknown[1]


async def test_a_thousand_letters_can_be_named(path: Path, port: int, dlq: CommandLine) -> None:
    catalogue = Catalogue("default", ["kafka"], ["tickets"], 50)
    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal:
        await bury(journal)
        routes = letter_routes(lambda: journal, catalogue, Door(SecretStr(TOKEN)))
        async with admin("127.0.0.1", port, CollectorRegistry(), lambda: (), lambda: (), dict, routes):
            status, said = await asyncio.to_thread(dlq, "list", "--json", *map(str, range(3, 3000)))

    assert status == 1
    assert "no dead letter 4, 5, 6, " in said
    assert '"number": 3, ' in said


@pytest.mark.parametrize(("answer", "left"), [("yes\n", 0), ("no\n", 3), ("\n", 3), (None, 3)])
def test_a_purge_asks_before_it_throws_anything_away(
    path: Path, dlq: CommandLine, monkeypatch: pytest.MonkeyPatch, answer: str | None, left: int
) -> None:
    """Where there is no terminal, nobody can be asked."""
    asyncio.run(fill(path))
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: answer is not None)
    monkeypatch.setattr("sys.stdin", terminal)

    status, said = dlq("purge", "--all")

    assert status == (1 if left else 0)
    assert said.startswith("to be thrown away, of kafka: 3 dead letters\n")
    assert ("throw them away for good?" in said) is (answer is not None)
    assert ("--yes throws them away" in said) is (answer is None)
    assert len(dlq("list", "--json")[1].splitlines()) == left


@pytest.mark.parametrize("verb", ["retry", "purge"])
def test_all_letters_are_meant_only_where_that_is_said(
    path: Path, dlq: CommandLine, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(fill(path))

    with pytest.raises(SystemExit):
        dlq(verb)

    assert "or --all" in capsys.readouterr().err
    assert "2 kept" in dlq("list")[1]


def test_a_journal_that_is_not_there_is_not_made(path: Path, dlq: CommandLine) -> None:
    status, said = dlq("list")

    assert (status, path.exists()) == (74, False)
    assert "PORTOS_BRIDGE_JOURNAL__PATH" in said


async def test_a_bridge_that_runs_is_asked_by_itself(path: Path, port: int, dlq: CommandLine) -> None:
    catalogue = Catalogue("default", ["kafka"], ["tickets"], 50)
    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal:
        await bury(journal)
        routes = letter_routes(lambda: journal, catalogue, Door(SecretStr(TOKEN)))
        async with admin("127.0.0.1", port, CollectorRegistry(), lambda: (), lambda: (), dict, routes):
            _, table = await asyncio.to_thread(dlq, "list")
            _, retried = await asyncio.to_thread(dlq, "retry", "2", "3")
            url = f"http://127.0.0.1:{port}"
            _, elsewhere = await asyncio.to_thread(dlq, "list", "--marked", "--json", "--bodies", "--url", url)
            _, purged = await asyncio.to_thread(dlq, "purge", "--yes", "--id", "id-1")
        letters = await journal.desk.letters(Which(), 9)

    assert "3 dead letters: 2 kept, 1 overtaken" in table
    assert "2 dead letters are sent now" in retried
    assert [json.loads(line)["body"] for line in elsewhere.splitlines()] == ['{"name":"Jana"}'] * 2
    assert "1 dead letter is gone for good\n" in purged
    assert [letter.number for letter in letters] == [2, 3]


async def test_a_token_may_be_of_any_letters(
    path: Path, port: int, dlq: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTOS_BRIDGE_ADMIN__TOKEN", "klíč ďábelského sklepa")
    catalogue = Catalogue("default", ["kafka"], ["tickets"], 50)
    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal:
        await bury(journal)
        routes = letter_routes(lambda: journal, catalogue, Door(SecretStr("klíč ďábelského sklepa")))
        async with admin("127.0.0.1", port, CollectorRegistry(), lambda: (), lambda: (), dict, routes):
            status, said = await asyncio.to_thread(dlq, "purge", "--yes", "2")

    assert status == 0
    assert "1 dead letter is gone for good\n" in said


async def test_a_bridge_elsewhere_needs_no_configuration_here(
    path: Path, port: int, dlq: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure_nothing_but_the_token(monkeypatch)
    catalogue = Catalogue("default", ["kafka"], ["tickets"], 50)
    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS) as journal:
        await bury(journal)
        routes = letter_routes(lambda: journal, catalogue, Door(SecretStr(TOKEN)))
        async with admin("127.0.0.1", port, CollectorRegistry(), lambda: (), lambda: (), dict, routes):
            retried = await asyncio.to_thread(dlq, "retry", "2", "--url", f"http://127.0.0.1:{port}")

    assert retried[0] == 0
    assert "1 dead letter is sent now" in retried[1]


async def test_a_bridge_that_does_not_answer_is_named_with_what_to_do(path: Path, dlq: CommandLine) -> None:
    async with open_journal(path, ["kafka"], 64 * 2**20, LIMITS):
        status, said = await asyncio.to_thread(dlq, "list")

    assert status == 75
    assert "--url" in said


@pytest.mark.parametrize("text", ["yesterday", "5", "2026-13-01"])
def test_a_moment_that_is_none_is_refused(dlq: CommandLine, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        dlq("list", "--since", text)

    assert "neither 30m" in capsys.readouterr().err


@pytest.mark.parametrize(("since", "found"), [("1h", 3), ("2020-01-01", 3), ("2099-01-01T00:00Z", 0)])
def test_letters_are_chosen_by_when_they_were_tried(path: Path, dlq: CommandLine, since: str, found: int) -> None:
    asyncio.run(fill(path))

    assert len(dlq("list", "--json", "--since", since)[1].splitlines()) == found
