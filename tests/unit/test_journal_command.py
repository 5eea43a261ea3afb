"""`portos-bridge journal`: the same on a journal that nobody has open and on a bridge that runs."""

import asyncio
import json
import sqlite3
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from bridge import row_routes as routes_module
from bridge.__main__ import main
from bridge.admin import admin
from bridge.door import Door
from bridge.journal import Journal, Limits, open_journal
from bridge.row_routes import row_routes
from tests.unit.command_line import TOKEN, CommandLine, configure_nothing_but_the_token
from tests.unit.journal.conftest import messages

LIMITS = Limits(60 * 2**20, 2**20, 100, 0.02)
BODY = b'{"name":"Jana \xc5\xa0"}'


@pytest.fixture
def command(command_line: CommandLine) -> CommandLine:
    return partial(command_line, "journal")


def lines(said: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in said.splitlines()]


async def write(journal: Journal) -> None:
    """Leave twelve events in three commits; mqtt has settled all, kafka the first five."""
    for first in (1, 5, 9):
        await journal.append(messages(first, 4, BODY))
    for sink, count in (("kafka", 5), ("mqtt", 12)):
        page = await journal.read(sink, 20)
        journal.ledger.sinks[sink].delivered += count
        await journal.settle(sink, page, count, {})
    journal.ledger.received += 12
    await journal._recorder.all_written()  # and what is settled for both is deleted


def fill(path: Path) -> None:
    async def make() -> None:
        async with open_journal(path, ["kafka", "mqtt"], 64 * 2**20, LIMITS) as journal:
            await write(journal)

    asyncio.run(make())


def spoil(path: Path, statement: str) -> None:
    database = sqlite3.connect(path)
    database.execute(statement)
    database.commit()
    database.close()


def test_a_whole_journal_is_said_to_be_whole(path: Path, command: CommandLine) -> None:
    """What is settled is gone; a commit goes as a whole."""
    fill(path)

    status, said = command("verify")

    assert status == 0
    assert said.splitlines() == [
        f"journal {path}: 8 events are stored and whole, up to number 12",
        "sink kafka: settled up to number 5, 7 events wait for it",
        "sink mqtt: settled up to number 12, 0 events wait for it",
        "nothing is damaged",
    ]


def test_damage_is_found_and_named(path: Path, command: CommandLine) -> None:
    fill(path)
    spoil(path, "UPDATE chunk SET rows = CAST(substr(rows, 1, length(rows) - 3) || x'000000' AS BLOB) WHERE first = 5")

    status, said = command("verify", "--json")

    assert status == 1
    [found] = lines(said)
    assert (found["events"], found["lost"]) == (7, 1)
    assert [(hole["seq"], hole["lastSeq"]) for hole in found["holes"]] == [(8, 8)]  # type: ignore[attr-defined]
    assert "lost: numbers 8 to 8" in command("verify")[1]


def test_a_commit_that_is_gone_is_found(path: Path, command: CommandLine) -> None:
    fill(path)
    spoil(path, "DELETE FROM chunk WHERE first = 9")

    status, said = command("verify")

    assert status == 1
    assert "lost: numbers 9 to 12" in said
    assert "4 events are lost; nothing is to be done" in said


def test_the_table_shows_what_waits_and_for_whom(path: Path, command: CommandLine) -> None:
    fill(path)

    status, said = command("ls", "--sink", "kafka", "--limit", "3")

    table = said.splitlines()
    assert status == 0
    assert [line.split()[0] for line in table[1:4]] == ["6", "7", "8"]
    assert all(line.endswith("kafka") for line in table[1:4])
    assert table[4].startswith("and more: --after 8 ")
    assert "Jana" not in said
    assert command("ls", "--after", "12")[1].startswith("nothing is stored that is like that")


def test_a_sink_that_has_never_settled_anything_is_named_as_well(path: Path, command: CommandLine) -> None:
    async def make() -> None:
        async with open_journal(path, ["kafka", "mqtt"], 64 * 2**20, LIMITS) as journal:
            await journal.append(messages(1, 4))
            page = await journal.read("kafka", 4)
            await journal.settle("kafka", page, 2, {})

    asyncio.run(make())

    assert "sink mqtt: settled up to number 0, 4 events wait for it" in command("verify")[1]
    assert [row["seq"] for row in lines(command("ls", "--json", "--sink", "mqtt")[1])] == [1, 2, 3, 4]


def test_the_list_is_narrowed_by_resource_and_id(path: Path, command: CommandLine) -> None:
    fill(path)
    every = lines(command("ls", "--json")[1])

    by_resource = lines(command("ls", "--json", "--id", str(every[0]["resourceId"]))[1])
    by_event = lines(command("ls", "--json", "--id", str(every[3]["id"]))[1])

    assert {row["resourceId"] for row in by_resource} == {every[0]["resourceId"]}
    assert [row["seq"] for row in by_event] == [every[3]["seq"]]
    assert len(lines(command("ls", "--json", "--resource", "tickets")[1])) == len(every) == 8
    assert command("ls", "--json", "--resource", "orders") == (0, "")


@pytest.mark.parametrize("verb", ["ls", "export"])
def test_a_sink_that_nobody_knows_is_told(path: Path, command: CommandLine, verb: str) -> None:
    """One that is configured and has never been fed has nothing; a misspelt one is no sink."""
    fill(path)

    assert command(verb, "--sink", "kafak") == (
        1,
        "portos-bridge: there is no sink 'kafak' here: there is kafka, mqtt, stdout\n",
    )
    assert command(verb, "--sink", "stdout")[0] == 0


def test_one_event_is_shown_whole(path: Path, command: CommandLine) -> None:
    fill(path)

    status, said = command("show", "7", "--bodies")

    assert status == 0
    assert 'body         {"name":"Jana Š"}' in said
    assert "Jana" not in command("show", "7")[1]
    status, said = command("show", "7", "3")
    assert status == 1
    assert "number 3 is not stored" in said


def test_an_export_gives_every_byte_back(path: Path, command: CommandLine) -> None:
    fill(path)
    raw = b"\xff\x00 no text"

    async def add() -> None:
        async with open_journal(path, ["kafka", "mqtt"], 64 * 2**20, LIMITS) as journal:
            await journal.append(messages(13, 1, raw))

    asyncio.run(add())
    exported = lines(command("export", "--bodies")[1])

    assert [row["seq"] for row in exported] == list(range(5, 14))
    assert {str(row["body"]).encode() for row in exported[:-1]} == {BODY}
    assert exported[-1]["bodyBase64"] == "/wAgbm8gdGV4dA=="
    assert all("body" not in row for row in lines(command("export")[1]))


def test_a_file_that_was_moved_aside_needs_no_configuration(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(path)
    moved = path.rename(path.with_name("journal.db.corrupt-1"))
    monkeypatch.delenv("PORTOS_BRIDGE_HUB__URL", raising=False)

    assert main(["journal", "verify", "--file", str(moved)]) == 0
    assert "8 events are stored and whole" in capsys.readouterr().out


def test_a_journal_that_is_not_there_is_not_made(path: Path, command: CommandLine) -> None:
    status, said = command("verify")

    assert (status, path.exists()) == (74, False)
    assert "PORTOS_BRIDGE_JOURNAL__PATH" in said


async def test_a_bridge_that_runs_is_asked(path: Path, port: int, command: CommandLine) -> None:
    """It goes on storing meanwhile, and what comes after the beginning is not waited for."""
    async with open_journal(path, ["kafka", "mqtt"], 64 * 2**20, LIMITS) as journal:
        await write(journal)
        await journal._recorder.all_written()
        routes = row_routes(lambda: journal.inspection, str(path), Door(SecretStr(TOKEN)))
        async with admin("127.0.0.1", port, CollectorRegistry(), list, list, dict, routes):
            verified = await asyncio.to_thread(command, "verify")
            exported = await asyncio.to_thread(command, "export", "--bodies", "--sink", "kafka")
            shown = await asyncio.to_thread(command, "show", "12", "--url", f"http://127.0.0.1:{port}")

    assert verified[0] == 0
    assert "7 events wait for it" in verified[1]
    assert [row["seq"] for row in lines(exported[1])] == list(range(6, 13))
    assert shown[0] == 0


async def test_behind_the_last_number_there_is_nothing(path: Path) -> None:
    """However large the number is that somebody asks for."""
    async with open_journal(path, ["kafka", "mqtt"], 64 * 2**20, LIMITS) as journal:
        await write(journal)

        pages = [await journal.inspection.page(after, 10) for after in (11, 12, 2**70)]

    assert [len(chunks) for _, chunks in pages] == [1, 0, 0]


async def test_a_page_of_rows_has_a_limit_whatever_is_asked_for(
    path: Path, port: int, command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes_module, "_MOST", 1)
    async with open_journal(path, ["kafka", "mqtt"], 64 * 2**20, LIMITS) as journal:
        await write(journal)
        routes = row_routes(lambda: journal.inspection, str(path), Door(SecretStr(TOKEN)))
        async with (
            admin("127.0.0.1", port, CollectorRegistry(), list, list, dict, routes),
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
        ):
            page = await (await http.get("/journal/rows?limit=1000000")).text()
            exported = await asyncio.to_thread(command, "export")

    assert len(page.splitlines()) == 4, "a commit goes as a whole"
    assert len(lines(exported[1])) == len({row["seq"] for row in lines(exported[1])}) == 8


async def test_bodies_of_a_bridge_that_runs_need_its_token(
    path: Path, port: int, command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTOS_BRIDGE_ADMIN__TOKEN", "another token of the tests")
    async with open_journal(path, ["kafka", "mqtt"], 64 * 2**20, LIMITS) as journal:
        await write(journal)
        routes = row_routes(lambda: journal.inspection, str(path), Door(SecretStr(TOKEN)))
        async with admin("127.0.0.1", port, CollectorRegistry(), list, list, dict, routes):
            status, said = await asyncio.to_thread(command, "export", "--bodies")
            without = await asyncio.to_thread(command, "export")

    assert (status, without[0]) == (78, 0)
    assert f"PORTOS_BRIDGE_ADMIN__TOKEN: is not the one that the bridge at http://127.0.0.1:{port} has" in said
    assert "Jana" not in said


async def test_a_token_that_is_not_set_here_is_said_to_be_so(
    path: Path, port: int, command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PORTOS_BRIDGE_ADMIN__TOKEN")
    async with open_journal(path, ["kafka", "mqtt"], 64 * 2**20, LIMITS) as journal:
        await write(journal)
        routes = row_routes(lambda: journal.inspection, str(path), Door(SecretStr(TOKEN)))
        async with admin("127.0.0.1", port, CollectorRegistry(), list, list, dict, routes):
            status, said = await asyncio.to_thread(command, "export", "--bodies")

    assert status == 78
    assert "PORTOS_BRIDGE_ADMIN__TOKEN: is not set here: give it the value that the bridge at " in said


async def test_a_bridge_elsewhere_needs_no_configuration_here(
    path: Path, port: int, command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure_nothing_but_the_token(monkeypatch)
    async with open_journal(path, ["kafka", "mqtt"], 64 * 2**20, LIMITS) as journal:
        await write(journal)
        await journal._recorder.all_written()
        routes = row_routes(lambda: journal.inspection, str(path), Door(SecretStr(TOKEN)))
        async with admin("127.0.0.1", port, CollectorRegistry(), list, list, dict, routes):
            url = f"http://127.0.0.1:{port}"
            exported = await asyncio.to_thread(command, "export", "--bodies", "--sink", "kafka", "--url", url)

    assert exported[0] == 0
    assert [row["seq"] for row in lines(exported[1])] == list(range(6, 13))
