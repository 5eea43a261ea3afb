"""Dead letters over the admin port: seen by all, changed by whoever has the token, told in the log and the stream."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from bridge import letter_routes as routes_module
from bridge.admin import admin
from bridge.door import Door
from bridge.errors import Rejected
from bridge.journal import Buried, Journal, Which
from bridge.letter_routes import expire, letter_routes
from bridge.message import DLQ_REDRIVEN
from bridge.metrics import Catalogue
from tests.support import until
from tests.unit.journal.conftest import messages
from tests.unit.loops import value

EVERY = Which()
TOKEN = "a token of the tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@asynccontextmanager
async def served(
    journal: Journal, catalogue: Catalogue, token: str | None = TOKEN
) -> AsyncIterator[aiohttp.ClientSession]:
    door = Door(None if token is None else SecretStr(token))
    routes = letter_routes(lambda: journal, catalogue, door)
    async with (
        admin("127.0.0.1", 0, CollectorRegistry(), lambda: (), lambda: (), dict, routes) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
    ):
        yield http


async def bury(journal: Journal, *indexes: int, count: int = 4) -> None:
    await journal.append(messages(1, count, b'{"secret":1}'))
    page = await journal.read("kafka", count)
    why = Buried(Rejected("2 MB", reason="too_large", target="portos.tickets"), 1)
    await journal.settle("kafka", page, count, dict.fromkeys(indexes, why))


async def listed(http: aiohttp.ClientSession, query: str = "") -> list[Any]:
    answer = await http.get(f"/dlq{query}", headers=BEARER)
    assert answer.status == 200, await answer.text()
    return [json.loads(line) for line in (await answer.text()).splitlines()]


async def test_letters_are_listed_by_what_they_are_about(journal: Journal, catalogue: Catalogue) -> None:
    await bury(journal, 0, 2)
    async with served(journal, catalogue) as http:
        first, second = await listed(http)

        assert (first["eventId"], first["target"], first["state"]) == ("id-1", "portos.tickets", "kept")
        assert "body" not in first
        for query in ("?id=id-3", "?id=t3", "?numbers=2", "?after=1", "?resource=tickets&after=1&since=1"):
            assert await listed(http, query) == [second], query
        for query in ("?sink=mqtt", "?reason=refused", "?until=1", "?marked=true", "?resource=orders"):
            assert await listed(http, query) == [], query
        assert (await listed(http, "?limit=1")) == [first]


async def test_what_the_hub_sent_is_shown_to_whoever_has_the_token(journal: Journal, catalogue: Catalogue) -> None:
    await bury(journal, 0)
    async with served(journal, catalogue) as http:
        refused = await http.get("/dlq?bodies=true")
        (letter,) = await listed(http, "?bodies=true")

        assert (refused.status, "secret" in await refused.text()) == (401, False)
        assert letter["body"] == '{"secret":1}'
        assert letter["attributes"]["resourceid"] == "t1"


@pytest.mark.parametrize("path", ["/dlq/retry", "/dlq/purge"])
@pytest.mark.parametrize(
    ("token", "headers", "status", "says"),
    [
        (None, BEARER, 403, "or stop the bridge and do it then"),
        ("", BEARER, 403, "set it for the bridge"),
        (TOKEN, {}, 401, "Bearer"),
        (TOKEN, {"Authorization": f"Bearer {TOKEN}x"}, 401, "Bearer"),
        (TOKEN, {"Authorization": f"Basic {TOKEN}"}, 401, "Bearer"),
        (TOKEN, {"Authorization": "Bearer ě"}, 401, "Bearer"),
    ],
)
async def test_nobody_changes_anything_without_the_token(
    journal: Journal,
    catalogue: Catalogue,
    path: str,
    token: str | None,
    headers: dict[str, str],
    status: int,
    says: str,
) -> None:
    await bury(journal, 0)
    async with served(journal, catalogue, token) as http:
        answer = await http.post(path, json={"all": True}, headers=headers)

        assert answer.status == status
        assert says in await answer.text()
        assert [letter.retry_at for letter in await journal.desk.letters(EVERY, 9)] == [None]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "JSON object"),
        (b"[]", "JSON object"),
        (b"{}", "which letters are meant"),
        (b'{"sinks":"kafka"}', "sinks"),
        (b'{"since":"yesterday"}', "seconds"),
        (b'{"numbers":"12"}', "a list"),
        (b'{"numbers":[1.5]}', "whole number"),
        (b'{"numbers":["1"]}', "whole number"),
        (b'{"numbers":[true]}', "whole number"),
        (b'{"numbers":[%d]}' % 2**63, "whole number"),
        (b'{"numbers":[%s1]}' % (b"1," * 10_000), "10000 at most"),
        (b'{"marked":"false"}', "true or false"),
        (b'{"all":"yes"}', "which letters are meant"),
    ],
)
async def test_nothing_is_done_that_was_not_clearly_said(
    journal: Journal, catalogue: Catalogue, body: bytes, says: str
) -> None:
    await bury(journal, 0)
    async with served(journal, catalogue) as http:
        answer = await http.post("/dlq/purge", data=body, headers=BEARER)

        assert (answer.status, says in await answer.text()) == (400, True)
        assert len(await listed(http)) == 1


@pytest.mark.parametrize("query", ["after=x", "after=9223372036854775808", "after=-1", "limit=x", "numbers=1,x"])
async def test_a_question_that_makes_no_sense_is_told_so(journal: Journal, catalogue: Catalogue, query: str) -> None:
    async with served(journal, catalogue) as http:
        answer = await http.get(f"/dlq?{query}")

        assert answer.status == 400


async def test_a_token_that_is_no_text_is_a_wrong_one(journal: Journal, catalogue: Catalogue) -> None:
    async with served(journal, catalogue) as http:
        port = (await http.get("/livez")).url.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /dlq/purge HTTP/1.0\r\nAuthorization: Bearer \xff\r\n\r\n")
        status = await asyncio.wait_for(reader.readline(), 10)
        writer.close()

    assert b" 401 " in status


async def test_a_retry_is_told_in_the_log_and_once_in_the_stream(
    journal: Journal, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await bury(journal, 0, 1)
    async with served(journal, catalogue) as http:
        first = await (await http.post("/dlq/retry", json={"sink": "kafka"}, headers=BEARER)).json()
        second = await (await http.post("/dlq/retry", json={"sink": "kafka"}, headers=BEARER)).json()

    assert first == {"meant": 2, "marked": 2, "waiting": 0, "overtaken": 0, "withoutEvent": 0}
    assert second == {"meant": 2, "marked": 0, "waiting": 2, "overtaken": 0, "withoutEvent": 0}
    page = await journal.read("mqtt", 10)
    told = [message for message in page.messages if message.event == DLQ_REDRIVEN]
    assert [json.loads(message.body) for message in told] == [
        {"sink": "kafka", "count": 2, "filter": {"sink": "kafka"}, "overtaken": 0}
    ]
    assert "dead letters sent again, as asked for ({'sink': 'kafka'}): 2;" in caplog.text
    assert value(catalogue, "events_generated_total", site="default", type="dlq_redriven") == 1
    assert value(catalogue, "events_accepted_total", site="default") == 1
    assert journal.ledger.generated == 1


async def test_a_retry_that_the_stream_has_no_room_for_is_carried_out_and_said_so(
    journal: Journal, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await bury(journal, 0)
    journal.room.capacity_bytes = 1
    async with served(journal, catalogue) as http:
        done = await (await http.post("/dlq/retry", json={"all": True}, headers=BEARER)).json()

    assert done["marked"] == 1
    assert "the stream does not tell of the retry" in caplog.text
    assert (journal.head, journal.ledger.generated) == (4, 0)
    assert value(catalogue, "events_accepted_total", site="default") == 0


async def test_a_page_has_a_limit_whatever_is_asked_for(
    journal: Journal, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes_module, "_MOST", 2)
    await bury(journal, 0, 1, 2)
    async with served(journal, catalogue) as http:
        assert len(await listed(http, "?limit=1000000")) == 2
        assert len(await listed(http, "?limit=-5")) == 1


async def test_purged_letters_are_gone_and_counted_off(journal: Journal, catalogue: Catalogue) -> None:
    await bury(journal, 0, 1, 2)
    async with served(journal, catalogue) as http:
        answer = await http.post("/dlq/purge", json={"numbers": [1, 3]}, headers=BEARER)

        assert await answer.json() == {"purged": 2}
        assert [letter["number"] for letter in await listed(http)] == [2]
    assert journal.letters.numbers("kafka")["events"] == 1


async def test_letters_that_are_too_old_go_by_themselves(journal: Journal, catalogue: Catalogue) -> None:
    await bury(journal, 0, 1)
    await journal.desk.retry(Which(numbers=(2,)), 1.0)
    task = asyncio.create_task(expire(journal, 0.001))
    await until(lambda: journal.letters.numbers("kafka")["expired"], 10, "one is gone")
    task.cancel()

    assert [letter.number for letter in await journal.desk.letters(EVERY, 9)] == [2]
    assert journal.letters.numbers("kafka") == {"events": 1, "bytes": 93 + 512, "marked": 1, "shed": 0, "expired": 1}
