"""What a test can make go wrong with the simulator, seen by a client on a real socket."""

import asyncio
import hashlib
import json

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSServerHandshakeError

from bridge.simulator import SimulatorOptions, simulate
from tests.interop.conversation import ALL, HUB, conversation, log_in, reachable
from tests.support import until


async def test_the_ledger_has_what_a_subscriber_gets() -> None:
    """Each change stands in the ledger with its version, its audience, and the digest of the notification's bytes."""
    async with simulate() as simulator, conversation(simulator.url, subscribe=True) as talk:
        for key in ("mPOS Link", "a/b", "+", ""):
            await simulator.change("devices", "created", key, {"name": key, "note": "\U0001f600"})
        quiet = await simulator.change("devices", "updated", "a/b", silent=True)
        await simulator.change("devices", "deleted", "a/b")

        received = await talk.notifications(5)

    told = [change for change in simulator.ledger.since() if change.sent_to]
    assert [hashlib.sha256(notification).hexdigest() for notification in received] == [each.sha256 for each in told]
    infos = [json.loads(notification)["p"]["i"] for notification in received]
    assert [(info["i"], info["v"]) for info in infos] == [(each.id, each.version) for each in told]
    assert (quiet.sent_to, quiet.sha256) == (0, None)
    assert simulator.store.truth() == {"devices": {"mPOS Link": 1, "+": 1, "": 1}}


async def test_only_what_was_subscribed_is_sent() -> None:
    """Resources and actions not asked for stay away, and after Unsubscribe the rest does too."""
    request = {"e": "portos.resources.changed", "r": [{"n": "tickets", "a": ["created"]}]}
    async with simulate() as simulator, conversation(simulator.url) as talk:
        await talk.invoke("subscribe", request)
        counts = [
            (await simulator.change("tickets", "created", "x")).sent_to,
            (await simulator.change("tickets", "updated", "x")).sent_to,
            (await simulator.change("orders", "created", "x")).sent_to,
            await simulator.licence(),
        ]
        await talk.invoke("Unsubscribe", request)
        counts.append((await simulator.change("tickets", "created", "y")).sent_to)

    assert counts == [1, 0, 0, 0, 0]


async def test_a_restart_cuts_everybody_and_comes_back_on_the_same_port() -> None:
    """While it is down nobody listens; afterwards the state is there, the subscriptions are not."""
    async with simulate() as simulator:
        async with conversation(simulator.url, subscribe=True) as talk:
            await simulator.change("tickets", "created", "x")
            await talk.notifications(1)
            await simulator.go_down()
            assert await talk.next() is None
            assert talk.close_code == 1006
        was_reachable = await reachable(simulator.url)
        missed = await simulator.change("tickets", "updated", "x")
        url = simulator.url
        await simulator.come_back()
        async with conversation(url, subscribe=True) as talk:
            await simulator.change("tickets", "updated", "x")
            (notification,) = await talk.notifications(1)

    assert not was_reachable
    assert missed.sent_to == 0
    assert json.loads(notification)["p"]["i"]["v"] == 3


async def test_going_down_cuts_idle_http_connections_too() -> None:
    """A client that keeps an HTTP connection open sees it end, as when a process dies."""
    async with simulate() as simulator:
        reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
        writer.write(b"GET /license HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b'"isExpired":false}')

        await simulator.go_down()

        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()


async def test_a_hundred_restarts_leave_nothing_behind() -> None:
    """Going down and coming back costs no task and no connection."""
    async with simulate() as simulator:
        before = len(asyncio.all_tasks())
        for _ in range(100):
            await simulator.restart()
        async with conversation(simulator.url, subscribe=True):
            await simulator.restart()
            await until(lambda: not simulator.hub.connections, 2, "the connection is forgotten")
        await until(lambda: len(asyncio.all_tasks()) <= before, 2, "no task is left")


async def test_a_close_can_allow_to_reconnect() -> None:
    """The Close record says that the client may come back, and why it has to go."""
    async with simulate() as simulator, conversation(simulator.url, subscribe=True) as talk:
        simulator.close_connections("Server is going away.")

        assert await talk.next() == '{"type":7,"error":"Server is going away.","allowReconnect":true}'
        assert await talk.next() is None
        assert talk.close_code == 1000


async def test_what_is_unsent_goes_out_before_a_close() -> None:
    """An abort ends the connection behind the notifications, never among them."""
    async with simulate() as simulator, conversation(simulator.url, subscribe=True) as talk:
        await simulator.burst(300)
        simulator.abort()

        assert len(await talk.notifications(300)) == 300
        assert await talk.next() == '{"type":7}'


async def test_nothing_follows_a_close() -> None:
    """A change made after the Close is sent to nobody, and the ledger says so."""
    async with simulate() as simulator, conversation(simulator.url, subscribe=True) as talk:
        simulator.abort()
        change = await simulator.change()

        assert change.sent_to == 0
        assert [await talk.next(), await talk.next()] == ['{"type":7}', None]


async def test_a_silent_hub_keeps_its_connections_and_says_nothing() -> None:
    """During the silence neither calls, notifications, pings nor requests get through; afterwards all do."""
    async with (
        simulate(SimulatorOptions(keepalive_seconds=0.1)) as simulator,
        conversation(simulator.url, subscribe=True) as talk,
        ClientSession() as session,
    ):
        simulator.fall_silent()
        await until(lambda: talk.is_quiet(0.3), 10, "all that was on its way has come")
        login = asyncio.create_task(log_in(session, simulator.url))
        await talk.say(
            json.dumps({"type": 1, "target": "Unsubscribe", "arguments": [ALL], "invocationId": "9"}) + "\x1e"
        )
        change = await simulator.change("tickets", "created", "x")
        quiet = await talk.is_quiet(0.5)
        answered = login.done()
        unsubscribed = (await simulator.change("tickets", "deleted", "x")).sent_to == 0
        simulator.speak()
        notification, _ = await talk.notifications(2)
        answer = await talk.next_but_pings()
        await login

    assert quiet
    assert not answered
    assert not unsubscribed
    assert hashlib.sha256(notification).hexdigest() == change.sha256
    assert json.loads(answer or "")["invocationId"] == "9"


async def test_the_next_subscribes_are_refused() -> None:
    """As many as asked for fail with the text given; the one after succeeds."""
    async with simulate() as simulator, conversation(simulator.url) as talk:
        simulator.refuse(2, "Nie teraz.")

        answers = [await talk.invoke("Subscribe", ALL, identity=str(number)) for number in range(3)]

    text = "An unexpected error occurred invoking 'Subscribe' on the server. HubException: Nie teraz."
    assert [answer.get("error") for answer in answers] == [text, text, None]


async def test_forgotten_subscriptions_send_nothing_more() -> None:
    """The connection lives on and gets its pings, but no notification."""
    async with (
        simulate(SimulatorOptions(keepalive_seconds=0.1)) as simulator,
        conversation(simulator.url, subscribe=True) as talk,
    ):
        simulator.hub.forget_subscriptions()

        assert (await simulator.change()).sent_to == 0
        assert await talk.next() == '{"type":6}'


async def test_an_expired_token_closes_only_where_the_server_is_told_to() -> None:
    """At the defaults a connection outlives its token; with close_on_expiry it ends, and may come back."""
    async with (
        simulate(SimulatorOptions(keepalive_seconds=0.1)) as simulator,
        conversation(simulator.url, subscribe=True) as talk,
    ):
        simulator.expire_tokens()
        pings = [await talk.next() for _ in range(3)]
        await simulator.change()
        notifications = await talk.notifications(1)
        simulator.hub.close_on_expiry = True
        last = await talk.next_but_pings()

    assert pings == ['{"type":6}'] * 3
    assert len(notifications) == 1
    assert last == '{"type":7,"allowReconnect":true}'


@pytest.mark.parametrize("status", [401, 403, 503])
async def test_negotiate_can_answer_with_any_status(status: int) -> None:
    """The next negotiates get the status, the one after gets through."""
    async with simulate() as simulator, ClientSession() as session:
        headers = {"Authorization": f"Bearer {(await log_in(session, simulator.url))['tokenId']}"}
        simulator.answer(status, times=2)

        statuses = []
        for _ in range(3):
            async with session.post(f"{simulator.url}{HUB}/negotiate", headers=headers) as answer:
                statuses.append(answer.status)

    assert statuses == [status, status, 200]


async def test_a_client_that_does_not_read_holds_changes_up_and_is_dropped() -> None:
    """Memory stays bounded by waiting, and after the send time-out the shop goes on without that client."""
    options = SimulatorOptions(send_timeout_seconds=1, send_buffer_bytes=65_536)
    made_while_behind: list[int] = []
    async with simulate(options) as simulator, conversation(simulator.url, subscribe=True):
        connection = next(iter(simulator.hub.connections.values()))

        def is_dropped() -> bool:
            if connection.is_full:
                made_while_behind.append(simulator.ledger.last_seq)
            return not connection.is_open

        burst = asyncio.create_task(simulator.burst(20_000, size=1000))
        await until(is_dropped, 20, "the client is dropped")
        await burst

    held = made_while_behind[-1]
    assert made_while_behind[-5:] == [held] * 5
    assert connection.sent < 20_000
    assert simulator.ledger.last_seq == 20_000


async def test_a_burst_comes_whole_and_in_order_with_many_records_in_a_message() -> None:
    """As fast as it goes, nothing is lost or turned round, and messages hold many records as the real server's do."""
    async with simulate() as simulator, conversation(simulator.url, subscribe=True) as talk:
        before = talk.messages
        burst = asyncio.create_task(simulator.burst(5000, ids=100, resources=["tickets", "orders"]))
        received = await talk.notifications(5000)
        await burst

    assert [hashlib.sha256(each).hexdigest() for each in received] == [each.sha256 for each in simulator.ledger.since()]
    assert talk.messages - before < 2500


async def test_a_slow_burst_keeps_its_rate() -> None:
    """A rate is kept on the average, not per change."""
    async with simulate() as simulator:
        burst = await simulator.burst(100, rate=200)

    assert burst.done
    assert burst.sent == 100
    assert 0.49 < burst.seconds < 1.5


async def test_raw_records_and_bytes_reach_every_connection() -> None:
    """A test can have the hub say anything at all."""
    async with simulate() as simulator, conversation(simulator.url) as first, conversation(simulator.url) as second:
        simulator.raw("onEvent", [{"e": "x"}, None])
        simulator.send_bytes(b'{"type":1\x1e{"type":99}\x1e')

        for talk in (first, second):
            assert await talk.next() == '{"type":1,"target":"onEvent","arguments":[{"e":"x"},null]}'
            assert [await talk.next(), await talk.next()] == ['{"type":1', '{"type":99}']


async def test_an_id_serves_one_connection() -> None:
    """A second WebSocket with the same id is refused."""
    async with simulate() as simulator, ClientSession() as session:
        headers = {"Authorization": f"Bearer {(await log_in(session, simulator.url))['tokenId']}"}
        async with session.post(f"{simulator.url}{HUB}/negotiate", headers=headers) as answer:
            identity = (await answer.json())["connectionId"]
        async with session.ws_connect(f"{simulator.url}{HUB}?id={identity}", headers=headers) as socket:
            with pytest.raises(WSServerHandshakeError) as refused:
                await session.ws_connect(f"{simulator.url}{HUB}?id={identity}", headers=headers)
            assert isinstance(socket, ClientWebSocketResponse)

    assert refused.value.status == 409


async def test_a_list_is_paged_in_the_order_of_the_keys() -> None:
    """Each page has its own part of the list, and a count alone has no items."""
    async with simulate() as simulator, ClientSession() as session:
        headers = {"Authorization": f"Bearer {(await log_in(session, simulator.url))['tokenId']}"}
        for name in ("c", "a", "b"):
            await simulator.change("stocks", "created", name, {"name": name})
        pages = []
        for query in ("$skip=0&$take=2", "$skip=2&$take=2", "$count=true"):
            async with session.get(f"{simulator.url}/api/stocks?{query}", headers=headers) as answer:
                pages.append(await answer.json())

    assert [[item["name"] for item in page["items"]] for page in pages[:2]] == [["a", "b"], ["c"]]
    assert pages[2] == {"count": 3, "totalCount": 3}


async def test_the_lively_shop_makes_its_changes_at_its_rate() -> None:
    """With a rate the shop is open: what it changes reaches subscribers, and the lists show what it has."""
    async with (
        simulate(SimulatorOptions(rate=200, seed=5)) as simulator,
        conversation(simulator.url, subscribe=True) as talk,
        ClientSession() as session,
    ):
        received = [json.loads(each) for each in await talk.notifications(50)]
        headers = {"Authorization": f"Bearer {(await log_in(session, simulator.url))['tokenId']}"}
        async with session.get(f"{simulator.url}/api/stocks?$take=2", headers=headers) as answer:
            stocks = await answer.json()

    assert {each["p"]["n"] for each in received} >= {"tickets", "orders"}
    assert (len(stocks["items"]), stocks["count"], stocks["totalCount"]) == (2, 2, 3)
    assert all(each["p"]["i"]["v"] == each["p"]["r"][0]["_v"] for each in received if each["p"]["a"] != 3)
