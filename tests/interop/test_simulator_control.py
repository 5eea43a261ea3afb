"""The control port of the simulator: the same calls and names as the stand-in on the real ASP.NET Core."""

import asyncio
import json
import signal
import sys
from typing import Any

import pytest
from aiohttp import ClientSession

from bridge.simulator import Simulator, simulate
from tests.interop.conversation import conversation, log_in, reachable
from tests.support import free_port, until


class Control:
    """Calls of the control port; each gives the JSON answered, or None."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def get(self, path: str) -> Any:
        async with ClientSession() as session, session.get(self._url + path) as answer:
            assert answer.status == 200
            return await answer.json()

    async def post(self, path: str, expected_status: int = 200, **fields: object) -> Any:
        async with ClientSession() as session, session.post(self._url + path, json=fields) as answer:
            assert answer.status == expected_status
            text = await answer.text()
            return json.loads(text) if text and expected_status == 200 else None


def _control(simulator: Simulator) -> Control:
    return Control(simulator.control_url)


async def test_a_change_is_answered_and_found_in_ledger_and_truth() -> None:
    """The answer to a change is its line in the ledger, and the truth has its version."""
    async with simulate() as simulator:
        control = _control(simulator)
        first = await control.post("/change", resource="stocks", action="created", id="S 01", body={"name": "S 01"})
        second = await control.post("/change", resource="stocks", id="S 01", skipVersions=2, silent=True)

        assert {name: first[name] for name in ("seq", "resource", "id", "version", "action", "sentTo")} == {
            "seq": 1,
            "resource": "stocks",
            "id": "S 01",
            "version": 1,
            "action": "created",
            "sentTo": 0,
        }
        assert await control.get("/ledger") == [first, second]
        assert await control.get("/ledger?since=1") == [second]
        assert await control.get("/truth") == {"stocks": {"S 01": 4}}


async def test_an_expiring_change_says_until_when() -> None:
    """The time given is the time sent."""
    async with simulate() as simulator, conversation(simulator.url, subscribe=True) as talk:
        await _control(simulator).post("/change", id="x", expires="2030-01-02T03:04:05.678Z")
        (notification,) = await talk.notifications(1)

    assert json.loads(notification)["ea"] == "2030-01-02T03:04:05.678Z"


async def test_the_state_tells_who_is_there_and_what_happened() -> None:
    """Connections with their topics, token counters and a log of comings and goings."""
    async with simulate() as simulator:
        async with conversation(simulator.url, subscribe=True):
            await simulator.change()
            state = await _control(simulator).get("/state")
        await until(lambda: not simulator.hub.connections, 5, "the connection has ended")
        later = await _control(simulator).get("/state")

    (connection,) = state["connections"]
    assert (connection["user"], connection["device"], connection["sent"]) == ("950", "bridge", 1)
    assert connection["topics"] == ["portos.resources.changed/*/*"]
    assert state["tokens"] == {"issued": 1, "refreshed": 0, "refused": 0, "sessions": 1}
    assert [entry["what"] for entry in later["log"]] == ["connected", "subscribed", "disconnected"]
    assert later["connections"] == []


async def test_a_burst_runs_beside_and_tells_how_far_it_is() -> None:
    """A burst is answered with its number at once, and asked for until it is done."""
    async with simulate() as simulator:
        control = _control(simulator)
        started = await control.post("/burst", count=500, ids=10, resources=["tickets", "orders"])

        async def done() -> bool:
            return (await control.get(f"/burst/{started['burst']}"))["done"] is True

        await until(done, 5, "the burst is done")
        burst = await control.get(f"/burst/{started['burst']}")
        truth = await control.get("/truth")

    assert (burst["sent"], burst["count"], burst["error"]) == (500, 500, None)
    assert {name: len(table) for name, table in truth.items()} == {"tickets": 10, "orders": 10}


async def test_faults_are_set_by_their_calls() -> None:
    """Each switch of the control port turns the one of the simulator."""
    async with simulate() as simulator:
        control = _control(simulator)
        await control.post("/refuse", times=3, message="nie")
        await control.post("/lifetime", seconds=7)
        await control.post("/reject", on=True)

        assert (simulator.hub.refusals, simulator.hub.refusal) == (3, "nie")
        assert simulator.sessions.lifetime_seconds == 7
        assert simulator.sessions.reject_all


@pytest.mark.parametrize("call", ["/expire", "/revoke"])
async def test_tokens_are_ended_by_call(call: str) -> None:
    """Expired and revoked tokens open nothing more."""
    async with simulate() as simulator, ClientSession() as session:
        headers = {"Authorization": f"Bearer {(await log_in(session, simulator.url))['tokenId']}"}

        await _control(simulator).post(call)

        async with session.get(f"{simulator.url}/api/auth", headers=headers) as answer:
            assert answer.status == 401
            assert (await answer.json(content_type="application/problem+json"))["errorCode"] == 1


@pytest.mark.parametrize(
    ("fields", "record"), [({}, '{"type":7}'), ({"allowReconnect": True}, '{"type":7,"allowReconnect":true}')]
)
async def test_connections_are_ended_by_call(fields: dict[str, bool], record: str) -> None:
    """A disconnect is an abort unless it allows to reconnect."""
    async with simulate() as simulator, conversation(simulator.url) as talk:
        await _control(simulator).post("/disconnect", **fields)

        assert await talk.next() == record


async def test_a_restart_by_call_leaves_the_control_port_up() -> None:
    """The API goes and comes back; the controls stay."""
    async with simulate() as simulator:
        control = _control(simulator)
        await control.post("/restart", seconds=0.5)

        async def down() -> bool:
            return not await reachable(simulator.url)

        await until(down, 2, "the API is gone")
        await control.get("/state")
        await until(lambda: reachable(simulator.url), 3, "the API is back")


async def test_raw_licence_forget_and_bytes_reach_the_client() -> None:
    """What the hub says and forgets can be called for."""
    async with simulate() as simulator, conversation(simulator.url) as talk:
        control = _control(simulator)
        await talk.invoke("Subscribe", {"e": "portos.licence.activated"})
        sent = [(await control.post("/licence"))["sentTo"]]
        await control.post("/raw", target="Other", arguments=[1, "x"])
        await control.post("/bytes", text="nonsense\x1e")
        await control.post("/forget")
        sent.append((await control.post("/licence"))["sentTo"])

        assert b"portos.licence.activated" in (await talk.notifications(1))[0]
        assert await talk.next() == '{"type":1,"target":"Other","arguments":[1,"x"]}'
        assert await talk.next() == "nonsense"
        assert sent == [1, 0]


async def test_silence_by_call_ends_by_itself() -> None:
    """The hub that was told to be silent for a while answers afterwards."""
    async with simulate() as simulator, ClientSession() as session:
        await _control(simulator).post("/silence", seconds=0.3)
        await until(lambda: not simulator.hub.speaking.is_set(), 2, "the hub is silent")

        await log_in(session, simulator.url)

        assert simulator.hub.speaking.is_set()


@pytest.mark.parametrize(
    ("call", "fields"),
    [("/lifetime", {}), ("/change", {"action": "exploded"}), ("/answer", {"status": "x"}), ("/raw", {})],
)
async def test_a_call_that_makes_no_sense_is_refused(call: str, fields: dict[str, str]) -> None:
    """A wrong call is answered with 400 and changes nothing."""
    async with simulate() as simulator:
        await _control(simulator).post(call, expected_status=400, **fields)

        assert simulator.store.truth() == {}
        assert list(simulator.ledger.since()) == []


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, "/shutdown"])
async def test_the_command_says_where_it_is_and_ends_in_order(end: signal.Signals | str) -> None:
    """One line names the addresses; a signal or a shutdown ends the process with status 0."""
    port, control_port = free_port(), free_port()
    code = "import sys; from bridge.simulator.command import main; sys.exit(main(sys.argv[1:]))"
    words = ["--port", str(port), "--control-port", str(control_port), "--rate", "50"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        line = (await process.stdout.readline()).decode()
        async with conversation(f"http://127.0.0.1:{port}", subscribe=True) as talk:
            await talk.notifications(5)
            if isinstance(end, signal.Signals):
                process.send_signal(end)
            else:
                await Control(f"http://127.0.0.1:{control_port}").post(end)
            _, errors = await process.communicate()

    assert line == f"portos-simulator ready on http://127.0.0.1:{port}, control on http://127.0.0.1:{control_port}\n"
    assert process.returncode == 0
    assert errors == b""


async def test_the_command_says_when_its_port_is_taken() -> None:
    """A taken port ends the command with status 1 and a line that names it."""
    async with simulate() as simulator:
        code = "import sys; from bridge.simulator.command import main; sys.exit(main(sys.argv[1:]))"
        words = ["--port", str(simulator.port), "--control-port", "0"]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, *words, stderr=asyncio.subprocess.PIPE
        )
        _, errors = await process.communicate()

    assert process.returncode == 1
    assert str(simulator.port).encode() in errors
    assert b"Traceback" not in errors
