"""What a live connection gives and how it ends; row numbers are those of the hub client's checklist."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable

import pytest

from bridge.errors import Unavailable
from bridge.message import rfc3339
from bridge.portos import proof, session
from bridge.source import Batch, SourceActivity
from tests.support import until
from tests.unit.portos.scripted_hub import END, Peer, ScriptedHub, collect, connected, frame, notification


def after_subscribing(act: Callable[[Peer], Awaitable[None]]) -> Callable[[Peer], Awaitable[None]]:
    """Make a script that is polite until the subscriptions are confirmed."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        await act(peer)

    return script


async def ended(hub: ScriptedHub, **changes: object) -> Unavailable:
    """Connect and wait for the end of the connection."""
    async with connected(hub, **changes) as source:  # type: ignore[arg-type]
        with pytest.raises(Unavailable) as caught:
            await collect(source)
    return caught.value


async def test_a_silent_peer_is_dead_after_the_silence(hub: ScriptedHub) -> None:
    """A frozen hub is noticed in time, and the socket is dropped without waiting for it (row 1)."""
    hub.script = after_subscribing(lambda _: asyncio.sleep(60))
    started = time.monotonic()

    error = await ended(hub, silence_seconds=0.4)

    assert error.reason == "silence"
    assert time.monotonic() - started < 1.5


async def test_control_frames_are_no_sign_of_life(hub: ScriptedHub) -> None:
    """A hub that hangs while its WebSocket layer pings and pongs is dead all the same (row 2)."""

    async def ping_only(peer: Peer) -> None:
        while True:
            peer.raw(frame(b"12345678", opcode=9) + frame(b"", opcode=10))
            await asyncio.sleep(0.05)

    hub.script = after_subscribing(ping_only)

    error = await ended(hub, silence_seconds=0.4)

    assert error.reason == "silence"


async def test_an_idle_connection_stays_up_on_pings(hub: ScriptedHub) -> None:
    """A hub that only pings is alive, and hears our pings meanwhile (row 3)."""

    async def ping(peer: Peer) -> None:
        for _ in range(12):
            await peer.send({"type": 6})
            await asyncio.sleep(0.1)
        await peer.send(notification(1))
        await peer.serve()

    hub.script = after_subscribing(ping)
    activity = SourceActivity()
    async with connected(hub, activity=activity, silence_seconds=0.6) as source:
        messages, _ = await collect(source, 1)

    assert len(messages) == 1
    assert activity.frames["ping"] == 12
    assert len(hub.peers) == 1


async def test_the_hub_is_pinged_at_the_interval_whatever_else_travels(hub: ScriptedHub) -> None:
    """Pings go out on time while notifications come in, since the server's timer knows only what we send."""
    pings: list[float] = []

    async def talk(peer: Peer) -> None:
        async def chatter() -> None:
            while True:
                await peer.send(notification(1))
                await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as group:
            group.create_task(chatter())
            while True:
                message = await peer.socket.receive()
                if message.data is None:
                    raise ConnectionError
                pings.append(time.monotonic())

    hub.script = after_subscribing(talk)
    async with connected(hub):
        await until(lambda: len(pings) >= 4, 3, "four pings")

    assert pings[3] - pings[0] < 1


@pytest.mark.parametrize(
    ("members", "slowly"),
    [
        ({"allowReconnect": True}, False),
        ({"allowReconnect": False}, True),
        ({}, True),
        ({"error": None, "allowReconnect": None}, True),
        ({"error": "Connection closed with an error.", "allowReconnect": True}, False),
    ],
    ids=["may come back", "may not", "not said", "null", "error"],
)
async def test_a_close_record_ends_the_connection(hub: ScriptedHub, members: dict[str, object], slowly: bool) -> None:  # noqa: FBT001
    """Close is told with its error; without leave to come back the next attempt takes its time (row 9)."""

    async def close(peer: Peer) -> None:
        await peer.send(notification(1), {"type": 7, **members})
        await peer.next()

    hub.script = after_subscribing(close)

    error = await ended(hub)

    assert (error.reason, error.slowly) == ("server_close", slowly)
    assert str(members.get("error") or "closed") in str(error)


@pytest.mark.parametrize("way", ["FIN", "RST", "close frame", "close record"])
async def test_what_arrived_before_the_end_is_still_given(hub: ScriptedHub, way: str) -> None:
    """However a connection ends, what was received on it comes out first."""

    async def leave(peer: Peer) -> None:
        await peer.send(*[notification(number) for number in range(500)])
        await asyncio.sleep(0.05)
        match way:
            case "RST":
                peer.abort()
            case "close frame":
                peer.raw(frame(b"\x03\xe9", opcode=8))
            case "close record":
                await peer.send({"type": 7})

    hub.script = after_subscribing(leave)
    got = 0
    async with connected(hub) as source:
        await asyncio.sleep(0.2)
        batches = source.batches()
        while got < 500:
            got += len((await anext(batches)).messages)
        with pytest.raises(Unavailable) as caught:
            await anext(batches)

    assert got == 500
    assert caught.value.reason == ("server_close" if way.startswith("close") else "network")


async def test_five_thousand_records_in_one_message_come_in_order(hub: ScriptedHub) -> None:
    """Records that coalesced are all delivered, in their order, in batches of at most a thousand (row 15)."""

    async def burst(peer: Peer) -> None:
        await peer.send(*[notification(number) for number in range(5000)])
        await peer.serve()

    hub.script = after_subscribing(burst)
    versions: list[int | None] = []
    sizes: list[int] = []
    async with connected(hub, answer_seconds=5) as source:
        async for batch in source.batches():
            versions += [message.version for message in batch.messages]
            sizes.append(len(batch.messages))
            if len(versions) == 5000:
                break

    assert versions == list(range(5000))
    assert max(sizes) == 1000


async def test_a_message_of_megabytes_arrives_whole(hub: ScriptedHub) -> None:
    """A record far above the usual size is a message like any other (row 16)."""

    async def large(peer: Peer) -> None:
        await peer.send(notification(1, size=5_000_000))
        await peer.serve()

    hub.script = after_subscribing(large)
    async with connected(hub) as source:
        messages, _ = await collect(source, 1)

    assert len(messages[0].body) > 5_000_000


async def test_a_message_above_the_limit_names_size_and_limit(hub: ScriptedHub) -> None:
    """Too large a message ends the connection with the variable that would let it pass (row 17)."""

    async def large(peer: Peer) -> None:
        await peer.send(notification(1, size=100_000))
        await peer.serve()

    hub.script = after_subscribing(large)

    error = await ended(hub, max_message_bytes=65_536)

    assert error.reason == "oversize"
    assert "PORTOS_BRIDGE_HUB__MAX_MESSAGE_BYTES=65536" in str(error)
    assert "100" in str(error).replace("65536", "")


async def test_control_frames_between_fragments_do_no_harm(hub: ScriptedHub) -> None:
    """A message in fragments with a pong and a ping between them is delivered, and the ping is answered (row 18)."""
    pong: list[bytes] = []

    async def fragments(peer: Peer) -> None:
        content = json.dumps(notification(7)).encode() + END
        peer.raw(frame(content[:50], last=False))
        peer.raw(frame(b"", opcode=10) + frame(b"8 bytes!", opcode=9))
        peer.raw(frame(content[50:], opcode=0))
        while not pong:
            message = await peer.socket.receive()
            if message.type.name == "PONG":
                pong.append(bytes(message.data))
        await peer.serve()

    hub.script = after_subscribing(fragments)
    async with connected(hub) as source:
        messages, _ = await collect(source, 1)
        await until(lambda: pong, 2, "the pong")

    assert messages[0].version == 7
    assert pong == [b"8 bytes!"]


async def test_a_broken_frame_is_a_protocol_error(hub: ScriptedHub) -> None:
    """What is no WebSocket frame ends the connection, and says so."""

    async def broken(peer: Peer) -> None:
        peer.raw(b"\xf3\x05hello")
        await peer.next()

    hub.script = after_subscribing(broken)

    error = await ended(hub)

    assert error.reason == "protocol"


async def test_bad_records_cost_their_neighbours_nothing(hub: ScriptedHub) -> None:
    """Each bad record is set aside once with its reason, its neighbours come through, the connection stays (row 19)."""
    good = json.dumps(notification(1)).encode()
    deep = b'{"type":1,"target":"OnEvent","arguments":[' + b"[" * 50_000 + b"]" * 50_000 + b"]}"
    bad = [good[:80], b"null", b"[]", good.replace(b"tickets", b"tick\xffts"), deep, b'{"type":"1"}']

    async def mixed(peer: Peer) -> None:
        for record in bad:
            await peer.send(good, record, good)
        await peer.send({"type": 42, "what": {}}, good)
        await peer.text(good + END + b'{"type":6')
        await peer.serve()

    hub.script = after_subscribing(mixed)
    activity = SourceActivity()
    async with connected(hub, activity=activity) as source:
        messages, unreadable = await collect(source, 21)

    assert len(messages) == 14
    assert [item.reason for item in unreadable] == ["json", "shape", "shape", "encoding", "json", "shape", "json"]
    assert [item.body for item in unreadable[:3]] == bad[:3]
    assert len(hub.peers) == 1


async def test_an_invocation_that_wants_a_result_gets_an_error(hub: ScriptedHub) -> None:
    """A server that waits for a result is told that there is none, instead of waiting for ever."""

    async def ask(peer: Peer) -> None:
        other = {"type": 1, "target": "Confirm", "arguments": [], "invocationId": "s-2"}
        await peer.send({**notification(1), "invocationId": "s-1"}, other)
        await peer.next()
        await peer.next()
        await peer.serve()

    hub.script = after_subscribing(ask)
    activity = SourceActivity()
    async with connected(hub, activity=activity) as source:
        messages, _ = await collect(source, 1)
        await until(lambda: str(hub.peers[0].received).count("'error'") == 2, 2, "the answers")

    answers = [record for record in hub.peers[0].received if record.get("type") == 3]
    assert [(answer["type"], answer["invocationId"]) for answer in answers] == [(3, "s-1"), (3, "s-2")]
    assert all(answer["error"] for answer in answers)
    assert len(messages) == 1
    assert activity.frames["other"] == 1


async def test_the_activity_counts_what_the_hub_sent(hub: ScriptedHub) -> None:
    """Records are counted by type, bytes as they came, and the moments of the last are kept."""

    async def talk(peer: Peer) -> None:
        await peer.send(notification(1), {"type": 6}, {"type": 8, "sequenceId": 1}, {"type": 9, "sequenceId": 1})
        await peer.send(notification(2))
        await peer.serve()

    hub.script = after_subscribing(talk)
    activity = SourceActivity()
    before = time.time()
    async with connected(hub, activity=activity) as source:
        await collect(source, 2)

    counted = {kind: activity.frames[kind] for kind in ("invocation", "ping", "ack", "sequence")}
    assert counted == {"invocation": 2, "ping": 1, "ack": 1, "sequence": 1}
    assert activity.frames["completion"] >= 2
    assert activity.received_bytes > 600
    assert activity.last_frame_at is not None
    assert activity.last_event_at is not None
    assert before <= activity.last_event_at <= activity.last_frame_at


async def flood(peer: Peer) -> None:
    """Send 4,000 notifications of 1 KB as fast as the socket takes them, and stay."""
    await pour(peer)
    await peer.serve()


async def pour(peer: Peer) -> None:
    for number in range(4000):
        await peer.send(notification(number, size=1000))
        if number % 50 == 0 and peer.request.transport is not None:
            while peer.request.transport.get_write_buffer_size() > 65_536:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.005)


async def test_a_slow_consumer_gets_everything_in_order(hub: ScriptedHub) -> None:
    """A consumer that stands still makes the hub wait: bounded memory, then all, and no false dead peer (row 23)."""
    hub.script = after_subscribing(flood)
    activity = SourceActivity()
    queue = {"queue_max_bytes": 500_000, "queue_max_events": 10_000}
    async with connected(hub, activity=activity, queue=queue, silence_seconds=0.5) as source:
        await until(lambda: activity.received_bytes > 500_000, 5, "the memory is full")
        await asyncio.sleep(1)  # twice the silence
        held = activity.received_bytes
        messages, _ = await collect(source, 4000)

    assert held < 700_000
    assert [message.version for message in messages] == list(range(4000))
    assert activity.dropped == 0


async def test_after_the_longest_pause_events_are_dropped_and_a_new_connection_is_asked_for(
    hub: ScriptedHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The hub is never left unread for longer than the longest pause: what finds no room is counted and said once.

    The first record that comes when there is room again ends the connection, so that a window tells what was dropped.
    """
    monkeypatch.setattr(session, "_LONGEST_PAUSE_SECONDS", 0.2)
    caplog.set_level(logging.WARNING)

    async def flood_and_go_on(peer: Peer) -> None:
        await pour(peer)
        await there_is_room.wait()
        await peer.send(notification(4000))
        await peer.serve()

    hub.script, there_is_room = after_subscribing(flood_and_go_on), asyncio.Event()
    activity = SourceActivity()
    versions: list[int | None] = []
    proofs: list[float | None] = []
    async with connected(hub, activity=activity, queue={"queue_max_events": 1000}) as source:

        async def take_all() -> None:
            async for batch in source.batches():
                versions.extend(message.version for message in batch.messages)
                proofs.append(batch.proved_at)
                if batch.messages:
                    there_is_room.set()

        await until(lambda: activity.dropped == 3000, 10, "all is read")
        read_at = time.time()
        with pytest.raises(Unavailable) as caught:
            await take_all()

    assert (caught.value.reason, caught.value.at_once) == ("shed", True)
    assert versions == list(range(1000))
    assert activity.dropped == 3001
    assert all(proof is not None and proof < read_at for proof in proofs)
    assert len([record for record in caplog.records if "dropped" in record.message]) == 1


async def test_what_was_dropped_is_not_kept_quiet_until_the_next_event(
    hub: ScriptedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ping that finds room again ends the connection too: the next event may be that of the next morning."""
    monkeypatch.setattr(session, "_LONGEST_PAUSE_SECONDS", 0.1)

    async def flood_and_ping(peer: Peer) -> None:
        await pour(peer)
        await there_is_room.wait()
        await peer.send({"type": 6})
        await peer.serve()

    hub.script, there_is_room = after_subscribing(flood_and_ping), asyncio.Event()
    activity = SourceActivity()
    async with connected(hub, activity=activity, queue={"queue_max_events": 1000}) as source:
        await until(lambda: activity.dropped == 3000, 10, "all is read")

        async def take_all() -> None:
            async for batch in source.batches():
                if batch.messages:
                    there_is_room.set()

        async with asyncio.timeout(5):
            with pytest.raises(Unavailable) as caught:
                await take_all()

    assert caught.value.reason == "shed"


async def test_a_connection_that_has_dropped_something_is_not_left_in_order(
    hub: ScriptedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answered Unsubscribe says that all came; a window has to tell that not all of it was kept."""
    monkeypatch.setattr(session, "_LONGEST_PAUSE_SECONDS", 0.1)
    hub.script = after_subscribing(flood)
    leaving, activity = asyncio.Event(), SourceActivity()
    async with connected(hub, activity=activity, queue={"queue_max_events": 1000}, leaving=leaving) as source:
        await until(lambda: activity.dropped == 3000, 10, "all is read")
        leaving.set()
        with pytest.raises(Unavailable) as caught:
            await collect(source)

    assert caught.value.reason == "shed"
    assert isinstance(source, session.Session)
    assert not source.left_in_order


async def test_what_is_heard_proves_that_nothing_is_missing_before_it(hub: ScriptedHub) -> None:
    """Pings prove it too; what is heard and not yet stored proves nothing."""

    async def ping_and_notify(peer: Peer) -> None:
        await told.wait()
        await asyncio.sleep(1.1)  # a ping proves nothing of the last second
        await peer.send({"type": 6})
        await stored.wait()
        await peer.send(notification(0, ca=rfc3339(time.time() + 1)))
        await peer.serve()

    hub.script, told, stored = after_subscribing(ping_and_notify), asyncio.Event(), asyncio.Event()
    before = time.time()
    async with connected(hub) as source:
        batches = source.batches()
        first = await anext(batches)
        told.set()
        assert first.proved_at is not None
        while (ping := await anext(batches)).proved_at is None or ping.proved_at <= first.proved_at:
            pass
        stored.set()
        event = await anext(batches)

    assert event.proved_at is not None
    assert (len(first.messages), len(ping.messages), len(event.messages)) == (0, 0, 1)
    assert before < first.proved_at < ping.proved_at < event.proved_at


async def test_what_is_heard_before_the_last_subscription_is_answered_proves_nothing(hub: ScriptedHub) -> None:
    """The window of an outage ends with that answer, and not with the socket."""
    answered_at = 0.0

    async def slow(peer: Peer) -> None:
        nonlocal answered_at
        await peer.accept(1)
        last = await peer.next()
        await asyncio.sleep(0.2)
        answered_at = time.time()
        await peer.complete(last)
        await peer.serve()

    hub.script = slow
    async with connected(hub) as source:
        first = await anext(aiter(source.batches()))

    assert first.proved_at is not None
    assert first.proved_at >= answered_at


async def fill_and_go_on(peer: Peer) -> None:
    """Send as many events as fit, later one more and a ping."""
    await peer.send(*[notification(number, ca=rfc3339(time.time())) for number in range(5)])
    await asyncio.sleep(0.3)
    await peer.send(notification(5, ca=rfc3339(time.time())))
    await peer.send({"type": 6})
    await peer.serve()


async def test_nothing_is_proved_while_events_are_dropped(hub: ScriptedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by them nor by the pings between them: a kill has the window begin before the first that was dropped."""
    monkeypatch.setattr(session, "_LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(proof, "_LONGEST_WAY_SECONDS", 0)

    hub.script = after_subscribing(fill_and_go_on)
    activity = SourceActivity()
    async with connected(hub, activity=activity, queue={"queue_max_events": 5}) as source:
        await until(lambda: activity.dropped == 1 and activity.frames.get("ping") == 1, 5, "dropped, and pinged")
        assert isinstance(source, session.Session)
        assert activity.last_event_at is not None
        assert source.proof.heard_until < activity.last_event_at + 0.1  # the subscription may be known a little later
        assert not source.listening


async def test_leaving_proves_nothing_of_what_was_dropped(hub: ScriptedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer to it says that the hub has sent everything, and not that it was kept."""
    monkeypatch.setattr(session, "_LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(proof, "_LONGEST_WAY_SECONDS", 0)

    hub.script = after_subscribing(fill_and_go_on)
    activity, leaving = SourceActivity(), asyncio.Event()
    queue = {"queue_max_events": 5}
    async with connected(hub, activity=activity, queue=queue, leaving=leaving, close_seconds=5) as source:
        assert isinstance(source, session.Session)
        await until(lambda: activity.dropped == 1, 5, "dropped")
        dropped_at = time.time()
        await asyncio.sleep(0.3)
        leaving.set()
        await until(lambda: source.ended is not None, 5, "left")

    assert source.proof.heard_until < dropped_at


async def test_what_is_heard_while_leaving_proves_nothing(hub: ScriptedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub takes back one subscription after the other: an event of one that is left says nothing of the others."""
    monkeypatch.setattr(proof, "_LONGEST_WAY_SECONDS", 0)

    async def answer_late(peer: Peer) -> None:
        asked = await peer.next()
        await asyncio.sleep(0.3)
        await peer.send(notification(0, ca=rfc3339(time.time())))
        await peer.send({"type": 6})
        await peer.complete(asked)
        await peer.serve()

    hub.script, leaving = after_subscribing(answer_late), asyncio.Event()
    async with connected(hub, leaving=leaving, close_seconds=5) as source:
        assert isinstance(source, session.Session)
        subscribed_at, left_at = source.proof.subscribed_at, time.time()
        leaving.set()
        batches: list[Batch] = []

        async def take_all() -> None:
            async for batch in source.batches():
                batches.append(batch)  # noqa: PERF401 - the end is raised

        with pytest.raises(Unavailable):
            await take_all()

    assert sum(len(batch.messages) for batch in batches) == 1
    assert batches[-1].proved_at is not None
    assert max(subscribed_at, left_at) <= batches[-1].proved_at < left_at + 0.2


async def test_a_close_proves_nothing(hub: ScriptedHub) -> None:
    """A hub may have taken the subscription away before it says so: what it had to tell in between went to nobody."""

    async def close(peer: Peer) -> None:
        await peer.send(notification(0, ca=rfc3339(time.time())))
        await asyncio.sleep(0.3)
        await peer.send({"type": 7})
        await peer.serve()

    hub.script, activity = after_subscribing(close), SourceActivity()
    async with connected(hub, activity=activity) as source:
        await until(lambda: "close" in activity.frames, 5, "the Close is heard")
        batches = source.batches()
        _, batch = await anext(batches), await anext(batches)

    assert len(batch.messages) == 1
    assert batch.proved_at == pytest.approx(activity.last_event_at, abs=0.1)


async def test_a_batch_behind_which_more_is_waiting_proves_what_its_last_event_says(hub: ScriptedHub) -> None:
    """Of events that all came late at one moment a stored one proves nothing about those that are not stored yet."""

    async def late(peer: Peer) -> None:
        await asyncio.sleep(1.6)  # all of it was made after the subscription
        now = time.time()
        for number in range(1500):
            await peer.send(notification(number, ca=rfc3339(now - 1.5 + number / 1000)))
        await peer.serve()

    hub.script, activity = after_subscribing(late), SourceActivity()
    async with connected(hub, activity=activity) as source:
        await until(lambda: activity.frames.get("invocation") == 1500, 10, "all is heard")
        async for batch in source.batches():
            if batch.messages:
                break

    last = batch.messages[-1]
    assert len(batch.messages) < 1500
    assert batch.proved_at is not None
    assert last.created_at is not None
    assert batch.proved_at == pytest.approx(last.created_at, abs=0.6)


async def test_an_orderly_stop_gives_all_that_was_received(hub: ScriptedHub) -> None:
    """What waits when the stop comes, and what the hub sends until it has taken back the subscription, is not lost."""

    async def go_on_until_unsubscribed(peer: Peer) -> None:
        await peer.send(*[notification(number) for number in range(5)])
        unsubscribe = await peer.next()
        await peer.send(notification(5))
        await peer.complete(unsubscribe)
        await peer.serve()

    hub.script = after_subscribing(go_on_until_unsubscribed)
    leaving, activity = asyncio.Event(), SourceActivity()
    received: list[int | None] = []
    async with connected(hub, leaving=leaving, activity=activity) as source:
        await until(lambda: activity.frames.get("invocation") == 5, 5, "five events wait")
        leaving.set()

        async def take_all() -> None:
            async for batch in source.batches():
                received.extend(message.version for message in batch.messages)

        with pytest.raises(Unavailable) as caught:
            await take_all()

    assert received == list(range(6))
    assert caught.value.reason == "planned"
    assert [record.get("target") for record in hub.peers[0].received if record.get("type") == 1][-2:] == [
        "Unsubscribe"
    ] * 2


async def test_a_connection_that_had_ended_before_it_was_to_be_left_is_not_left_in_order(hub: ScriptedHub) -> None:
    """Nobody has answered that all came: a window has to tell that."""

    async def close(peer: Peer) -> None:
        await peer.send({"type": 7})
        await peer.serve()

    hub.script = after_subscribing(close)
    leaving = asyncio.Event()
    async with connected(hub) as source:
        assert isinstance(source, session.Session)
        await until(lambda: source.ended, 5, "ended")
        leaving.set()
        await source.leave_when(leaving)

        assert not source.left_in_order


async def test_what_comes_while_a_connection_is_left_for_good_is_not_kept(hub: ScriptedHub) -> None:
    """Nobody fetches it any more: it is in no total, and in no memory."""

    async def tell_once_more(peer: Peer) -> None:
        unsubscribe = await peer.next()
        await peer.send(notification(0))
        await peer.complete(unsubscribe)
        await peer.serve()

    hub.script = after_subscribing(tell_once_more)
    activity = SourceActivity()
    async with connected(hub, activity=activity, close_seconds=5):
        pass

    assert activity.frames.get("invocation") == 1
    assert (activity.received, activity.waiting) == (0, 0)


async def test_leaving_a_paused_connection_does_not_wait_for_the_pause(hub: ScriptedHub) -> None:
    """A stop under back-pressure ends within the closing time (row 21)."""
    hub.script = after_subscribing(flood)
    activity = SourceActivity()
    async with connected(hub, activity=activity, queue={"queue_max_events": 100}):
        await until(lambda: activity.frames.get("invocation", 0) >= 100, 5, "the memory is full")
        started = time.monotonic()

    assert time.monotonic() - started < 0.6


async def test_the_time_of_a_pause_is_no_silence(hub: ScriptedHub) -> None:
    """While the bridge does not read, the hub is not suspected; after it the silence is counted anew."""

    async def fill_and_wait(peer: Peer) -> None:
        await peer.send(*[notification(number) for number in range(10)])
        await asyncio.sleep(1.5)
        await peer.send(notification(10))
        await peer.serve()

    hub.script = after_subscribing(fill_and_wait)
    async with connected(hub, queue={"queue_max_events": 10}, silence_seconds=0.8) as source:
        await asyncio.sleep(1.1)
        messages, _ = await collect(source, 11)

    assert len(messages) == 11
