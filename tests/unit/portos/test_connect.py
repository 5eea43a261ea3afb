"""How a connection comes about, and why it does not; row numbers are those of the hub client's checklist."""

import asyncio
import logging
import ssl
import threading
import time
import traceback
from email.utils import formatdate
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from bridge import log
from bridge.errors import ConfigError, Unavailable
from bridge.portos.source import connect, requests
from bridge.portos.web import http_session
from bridge.settings.core import Hub, Subscribe
from bridge.source import SourceActivity
from tests.support import free_port, until
from tests.unit.portos.scripted_hub import (
    HUB,
    FixedTokens,
    Peer,
    ScriptedHub,
    connected,
    frame,
    negotiated,
    scripted_hub,
    settings,
)


async def refused(hub: ScriptedHub, **changes: object) -> Unavailable:
    """Try to connect and give the reason why that failed."""
    with pytest.raises(Unavailable) as caught:
        async with connected(hub, **changes):  # type: ignore[arg-type]
            pytest.fail("connected")
    return caught.value


def answering(response: web.StreamResponse) -> object:
    async def answer(_: web.Request) -> web.StreamResponse:
        return response

    return answer


async def test_every_event_is_subscribed_with_explicit_resources_and_actions(hub: ScriptedHub) -> None:
    """Each event has one Subscribe that names all it wants, since the hub's defaults are not documented."""
    async with connected(hub):
        sent = [record for record in hub.peers[0].received if record.get("target") == "Subscribe"]

    actions = ["created", "updated", "deleted"]
    resources = [{"n": "tickets", "a": actions}, {"n": "orders", "a": actions}]
    assert [record["arguments"] for record in sent] == [
        [{"e": "portos.resources.changed", "r": resources}],
        [{"e": "portos.licence.activated"}],
    ]


def test_without_licence_only_resources_are_subscribed() -> None:
    """Licence activations can be left out."""
    wanted = requests(Subscribe(resources=("tickets",), licence=False))

    assert [request["e"] for request in wanted] == ["portos.resources.changed"]


def test_everything_is_asked_for_by_naming_nothing() -> None:
    """There is no documented name for it; an empty list would be nothing."""
    wanted = requests(Subscribe(resources=("*",)))

    assert wanted == [{"e": "portos.resources.changed"}, {"e": "portos.licence.activated"}]


async def test_leaving_unsubscribes_with_identical_objects(hub: ScriptedHub) -> None:
    """An orderly leave takes back exactly what was subscribed."""
    async with connected(hub):
        pass

    calls = [(r["target"], r["arguments"]) for r in hub.peers[0].received if r.get("type") == 1]
    subscribed = [arguments for target, arguments in calls if target == "Subscribe"]
    unsubscribed = [arguments for target, arguments in calls if target == "Unsubscribe"]
    assert sorted(map(str, subscribed)) == sorted(map(str, unsubscribed))
    assert len(subscribed) == 2


async def test_the_first_refused_token_asks_for_the_next_attempt_at_once(hub: ScriptedHub) -> None:
    """A 401 may be a matter of an old token: the next attempt has a new one and does not wait (row 5)."""
    tokens = FixedTokens()

    async def first_only(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] == "Bearer token-1":
            return web.Response(status=401)
        return web.json_response(negotiated())

    hub.negotiate = first_only
    error = await refused(hub, tokens=tokens)
    async with connected(hub, tokens=tokens):
        pass

    assert (error.reason, error.at_once, error.hold) == ("unauthorized", True, False)
    assert tokens.asked == 2


async def test_a_token_that_is_taken_ends_the_series_of_refusals(hub: ScriptedHub) -> None:
    """The next 401, days later, is a first one again."""
    tokens = FixedTokens()
    tokens.refused()

    async with connected(hub, tokens=tokens):
        pass

    assert tokens.refusals == 0


async def test_tokens_refused_again_and_again_are_held(hub: ScriptedHub) -> None:
    """A hub that takes no token at all gets one attempt a minute, not a storm of logins (row 8)."""
    hub.negotiate = answering(web.Response(status=401))  # type: ignore[assignment]
    tokens = FixedTokens()

    errors = []
    for _ in range(5):
        hub.negotiate = answering(web.Response(status=401))  # type: ignore[assignment]
        errors.append(await refused(hub, tokens=tokens))

    assert [error.at_once for error in errors] == [True, False, False, False, False]
    assert [error.hold for error in errors] == [False, False, False, True, True]


async def test_a_missing_right_is_held(hub: ScriptedHub) -> None:
    """A 403 needs an operator: the attempt is held."""
    hub.negotiate = answering(web.Response(status=403))  # type: ignore[assignment]

    error = await refused(hub)

    assert (error.reason, error.hold) == ("forbidden", True)


async def test_one_token_is_asked_for_per_attempt(hub: ScriptedHub) -> None:
    """An attempt asks for exactly one token and uses it for negotiate and upgrade (row 7)."""
    tokens = FixedTokens()

    async with connected(hub, tokens=tokens):
        pass

    assert tokens.asked == 1
    assert hub.bearers == ["Bearer token-1", "Bearer token-1"]


async def never(peer: Peer) -> None:
    await asyncio.sleep(60)


async def error_in_handshake(peer: Peer) -> None:
    await peer.next()
    await peer.send({"error": "Requested protocol 'json' is not available."})
    await peer.next()


def replying(content: bytes) -> object:
    async def script(peer: Peer) -> None:
        await peer.next()
        await peer.text(content)
        await peer.next()

    return script


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (never, "timeout"),
        (error_in_handshake, "protocol"),
        (replying(b"{}"), "protocol"),
        (replying(b"<html>Bad gateway</html>\x1e"), "protocol"),
        (replying(b"[]\x1e"), "protocol"),
        (replying(b"\xff\x1e"), "protocol"),
    ],
    ids=["never answered", "error", "no end", "html", "array", "not UTF-8"],
)
async def test_a_bad_handshake_ends_the_attempt(hub: ScriptedHub, script: object, reason: str) -> None:
    """Whatever is no handshake answer ends the attempt in time, and it never counts as connected (row 10)."""
    hub.script = script  # type: ignore[assignment]
    started = time.monotonic()

    error = await refused(hub)

    assert error.reason == reason
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "unauthorized"),
        (403, "forbidden"),
        (404, "protocol"),
        (409, "protocol"),
        (503, "refused"),
        (429, "refused"),
    ],
)
async def test_a_refused_upgrade_tells_its_status_and_nothing_secret(
    hub: ScriptedHub, status: int, reason: str
) -> None:
    """The upgrade is judged by its status, even with `101` in a header, and the error shows no secret (row 11)."""
    hub.upgrade = answering(web.Response(status=status, headers={"X-Trace": "101"}))  # type: ignore[assignment]

    error = await refused(hub)

    text = "".join(traceback.format_exception(error))
    assert error.reason == reason
    assert "secret-id" not in text
    assert "token-1" not in text


@pytest.mark.parametrize("where", ["negotiate", "upgrade"])
async def test_a_hanging_hub_ends_the_attempt_at_the_deadline(hub: ScriptedHub, where: str) -> None:
    """Negotiate and upgrade share one deadline, and no connection is left over (row 12)."""

    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    setattr(hub, where, hang)
    started = time.monotonic()

    error = await refused(hub)

    assert error.reason == "timeout"
    assert time.monotonic() - started < 1.5
    assert hub.open == 0


async def test_nobody_listening_is_refused() -> None:
    """A closed port is told as refused, with the address."""
    nobody = ScriptedHub(free_port())

    error = await refused(nobody)

    assert error.reason == "refused"


@pytest.mark.parametrize(
    ("members", "word"),
    [
        ({"error": "No more room."}, "No more room."),
        ({"availableTransports": [{"transport": "LongPolling", "transferFormats": ["Text"]}]}, "LongPolling"),
        ({"connectionToken": None}, "connection id"),
        ({"availableTransports": 5}, "SignalR"),
    ],
    ids=["error", "no WebSockets", "no id", "wrong type"],
)
async def test_a_useless_negotiation_says_why(hub: ScriptedHub, members: dict[str, object], word: str) -> None:
    """An answer without a usable connection ends the attempt with the hub's reason or ours."""
    hub.negotiate = answering(web.json_response(negotiated(**members)))  # type: ignore[assignment]

    error = await refused(hub)

    assert word in str(error)


async def test_version_0_of_negotiate_is_understood(hub: ScriptedHub) -> None:
    """An older server has no connection token: its connection id opens the WebSocket."""
    ids: list[str] = []
    hub.negotiate = answering(web.json_response(negotiated(negotiateVersion=0, connectionToken=None)))  # type: ignore[assignment]

    async def upgrade(request: web.Request) -> web.StreamResponse:
        ids.append(request.query["id"])
        return web.Response(status=404)

    hub.upgrade = upgrade
    await refused(hub)

    assert ids == ["public"]


async def test_a_refused_subscribe_ends_the_attempt(hub: ScriptedHub) -> None:
    """Ready means subscribed: an error in the completion ends the attempt with the hub's words (row 13)."""

    async def refuse(peer: Peer) -> None:
        await peer.accept(subscriptions=0)
        await peer.complete(await peer.next(), error="Unknown event.")
        await peer.next()

    hub.script = refuse

    error = await refused(hub)

    assert error.reason == "refused"
    assert "Unknown event." in str(error)


async def test_an_empty_error_is_an_error(hub: ScriptedHub) -> None:
    """A completion with an empty error text is a failure too."""

    async def refuse(peer: Peer) -> None:
        await peer.accept(subscriptions=0)
        await peer.complete(await peer.next(), error="")
        await peer.next()

    hub.script = refuse

    error = await refused(hub)

    assert error.reason == "refused"
    assert "refused Subscribe" in str(error)


async def test_a_subscribe_without_completion_ends_at_its_deadline(hub: ScriptedHub) -> None:
    """A hub that never completes a Subscribe is left after the answer's deadline (row 13)."""

    async def ignore(peer: Peer) -> None:
        await peer.accept(subscriptions=1)
        while True:
            await peer.next()

    hub.script = ignore

    error = await refused(hub)

    assert error.reason == "timeout"
    assert "portos.licence.activated" in str(error)


@pytest.mark.parametrize("way", ["abort", "close record"])
async def test_a_connection_lost_while_subscribing_fails_what_is_pending(hub: ScriptedHub, way: str) -> None:
    """A pending Subscribe fails with the connection, long before its own deadline (row 14)."""
    lost_at = 0.0

    async def lose(peer: Peer) -> None:
        nonlocal lost_at
        await peer.accept(subscriptions=0)
        await peer.next()
        lost_at = time.monotonic()
        if way == "abort":
            peer.abort()
        else:
            await peer.send({"type": 7, "error": "Going down.", "allowReconnect": True})
            await peer.next()

    hub.script = lose

    error = await refused(hub, answer_seconds=5)

    assert error.reason == "refused"
    assert time.monotonic() - lost_at < 0.3


async def test_no_token_appears_outside_the_authorization_header(
    hub: ScriptedHub, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a record, a URL nor a log at its most talkative shows the token or the connection's id (row 20)."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("SignalRCoreClient").setLevel(logging.WARNING)
    queries: list[str] = []
    serve = hub._talk

    async def upgrade(request: web.Request) -> web.StreamResponse:
        queries.append(request.query_string)
        return await serve(request)

    hub.upgrade = upgrade
    async with connected(hub):
        pass

    assert "token-1" not in str(hub.peers[0].received)
    assert "token-1" not in str(queries)
    assert "token-1" not in caplog.text
    assert "secret-id" not in caplog.text


@pytest.mark.parametrize("state", ["idle", "frozen"])
async def test_leaving_never_waits_for_the_peer(hub: ScriptedHub, state: str) -> None:
    """An idle connection is left at once, a frozen one within the closing time (row 21)."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        if state == "frozen":
            await asyncio.sleep(60)
        await peer.serve()

    hub.script = script
    async with connected(hub):
        started = time.monotonic()

    assert time.monotonic() - started < (0.1 if state == "idle" else 0.5)


async def test_a_hundred_connections_leave_nothing_behind(hub: ScriptedHub) -> None:
    """Connecting again and again adds no thread, no task and no socket (row 22)."""
    parts, tokens, activity = settings(hub), FixedTokens(), SourceActivity()
    async with http_session(parts) as http:
        for attempt in range(101):
            async with connect(
                parts, Subscribe(resources=("tickets",)), "default", tokens, activity, http, asyncio.Event()
            ):
                pass
            if attempt == 0:
                threads, tasks = threading.active_count(), len(asyncio.all_tasks())

    await until(lambda: len(asyncio.all_tasks()) <= tasks + 1, 2, "the tasks have ended")
    assert threading.active_count() <= threads
    assert hub.open <= 1


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_private_authority_is_trusted_if_it_is_named(tmp_path: Path, trusted: bool) -> None:  # noqa: FBT001
    """`CA_FILE` makes a private authority good; without it the connection is refused for TLS (row 24)."""
    ours, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    (ours if trusted else other).cert_pem.write_to_path(str(ca_file))

    async with scripted_hub(context=context) as hub:
        url = f"https://127.0.0.1:{hub.port}"
        if trusted:
            async with connected(hub, url=url, ca_file=ca_file, connect_seconds=5):
                pass
        else:
            error = await refused(hub, url=url, ca_file=ca_file, connect_seconds=5)
            assert error.reason == "tls"


async def test_an_unreadable_authority_is_a_configuration_error(tmp_path: Path) -> None:
    """A `CA_FILE` that is none names the variable."""
    wrong = tmp_path / "ca.pem"
    wrong.write_text("nothing")

    with pytest.raises(ConfigError, match="PORTOS_BRIDGE_HUB__CA_FILE"):
        async with http_session(Hub(url="https://localhost:1", ca_file=wrong)):
            pytest.fail("opened")


async def test_a_redirect_with_a_token_is_followed_with_that_token(hub: ScriptedHub) -> None:
    """Another server is spoken to with the token that the answer brought, never with ours (row 25)."""
    async with scripted_hub() as other:
        target = f"{other.url}/client{HUB}?hub=main"
        hub.negotiate = answering(web.json_response({"url": target, "accessToken": "their-token"}))  # type: ignore[assignment]

        async with connected(hub):
            pass

    assert other.requests[0] == ("POST", f"/client{HUB}/negotiate")
    assert set(other.bearers) == {"Bearer their-token"}
    assert "their-token" not in log.redacted("a library says their-token")


@pytest.mark.parametrize(
    ("target", "members"),
    [
        ("http://127.0.0.1:{other}/hub", {}),
        ("http://localhost:{other}/hub", {"accessToken": "theirs"}),
        ("http://169.254.169.254/latest", {"accessToken": "theirs"}),
        ("/hub", {"accessToken": "theirs"}),
        ("ftp://127.0.0.1/hub", {"accessToken": "theirs"}),
    ],
    ids=["no token", "another host without TLS", "metadata service", "relative", "ftp"],
)
async def test_a_redirect_elsewhere_is_not_followed(hub: ScriptedHub, target: str, members: dict[str, str]) -> None:
    """Our token goes to no other origin, and no request goes to another host in the clear (row 25)."""
    async with scripted_hub() as other:
        url = target.format(other=other.port)
        hub.negotiate = answering(web.json_response({"url": url, **members}))  # type: ignore[assignment]

        error = await refused(hub)

        assert error.reason == "protocol"
        assert other.requests == []


async def test_redirects_in_a_circle_end(hub: ScriptedHub) -> None:
    """At most three redirects are followed (row 25)."""

    async def around(_: web.Request) -> web.StreamResponse:
        return web.json_response({"url": hub.url + HUB})

    hub.negotiate = around

    error = await refused(hub)

    assert error.reason == "protocol"
    assert len(hub.requests) == 4


@pytest.mark.parametrize("way", ["FIN", "RST"])
async def test_a_hub_that_was_away_is_found_again(way: str) -> None:
    """A server that comes back on the same port is connected by the next attempt (row 4)."""
    port = free_port()
    async with scripted_hub(port) as hub, connected(hub) as source:

        async def consume() -> None:
            async for _ in source.batches():
                pass

        if way == "RST":
            hub.peers[0].abort()
        else:
            hub.peers[0].raw(frame(b"\x03\xe9", opcode=8))
        with pytest.raises(Unavailable):
            await consume()
    assert (await refused(ScriptedHub(port))).reason == "refused"

    async with scripted_hub(port) as back, connected(back):
        assert back.open == 1


async def test_a_request_sent_before_the_handshake_is_answered_is_only_the_handshake(hub: ScriptedHub) -> None:
    """Until the handshake is answered nothing else is sent, not even a ping."""

    async def slow(peer: Peer) -> None:
        handshake = await peer.next()
        await asyncio.sleep(0.3)
        assert peer.received == [handshake]
        await peer.send({})
        for _ in range(2):
            await peer.complete(await peer.next())
        await peer.serve()

    hub.script = slow
    async with connected(hub):
        assert hub.peers[0].received[0] == {"protocol": "json", "version": 1}


@pytest.mark.parametrize(("ahead", "differ"), [(0.0, 0), (-90.0, 1), (90.0, 1)])
async def test_the_hubs_clock_is_known_from_the_answer_to_negotiate(
    hub: ScriptedHub, ahead: float, differ: int
) -> None:
    """A `Date` header tells a second: what is less than two is no difference."""

    async def dated(_: web.Request) -> web.StreamResponse:
        return web.json_response(negotiated(), headers={"Date": formatdate(time.time() + ahead, usegmt=True)})

    hub.negotiate = dated
    activity = SourceActivity()

    async with connected(hub, activity=activity):
        assert activity.clock_offset_seconds == pytest.approx(ahead, abs=1.5)
        assert (activity.clocks_differ_by != 0) == differ


@pytest.mark.parametrize("known", [None, 90.0])
async def test_a_hub_without_a_date_that_can_be_read_is_connected(hub: ScriptedHub, known: float | None) -> None:
    """And what is known of its clock is not forgotten."""

    async def undated(_: web.Request) -> web.StreamResponse:
        return web.json_response(negotiated(), headers={"Date": "yesterday"})

    hub.negotiate = undated
    activity = SourceActivity(clock_offset_seconds=known)

    async with connected(hub, activity=activity):
        assert activity.clock_offset_seconds == known
