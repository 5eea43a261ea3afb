"""The simulator against what was recorded from ASP.NET Core: played again, it gives the same answers."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from bridge.simulator import Simulator, SimulatorOptions, simulate
from tests.interop.conversation import HUB, Conversation, conversation, log_in
from tests.support import require

pytestmark = pytest.mark.peers
Row = Mapping[str, Any]
_PING = '{"type":6}'


@pytest.fixture
def wire() -> Path:
    """Where the recordings are."""
    return Path(require("peers", "TEST_WIRE"))


def _rows(wire: Path, scenario: str) -> list[Row]:
    return [json.loads(line) for line in (wire / f"{scenario}.jsonl").read_text().splitlines()[1:]]


@dataclass
class _Player:
    """Plays a recording: says what the client said, does what the server was told to do, compares what comes."""

    simulator: Simulator
    talk: Conversation
    said: str = ""

    async def play(self, rows: list[Row]) -> None:
        for row in rows:
            if "out" in row:
                self.said = row["out"]
                await self.talk.say(self.said)
            elif "note" in row and "40,000" in row["note"]:
                await self.talk.say(
                    json.dumps({"type": 1, "target": "Subscribe", "arguments": ["x" * 40_000]}) + "\x1e"
                )
            elif "in" in row:
                for record in row["in"].removesuffix("\x1e").split("\x1e"):
                    if record == _PING:
                        assert await self.talk.next() == _PING
                    else:
                        await self._expect(record)
            elif "closed" in row:
                await self._expect_end(row["closed"])

    async def _expect(self, record: str) -> None:
        await self._cause(record)
        came = await self.talk.next_but_pings()
        assert _timeless(came or f"closed {self.talk.close_code}") == _timeless(record)

    async def _expect_end(self, code: int) -> None:
        if code == 1006:
            await self.simulator.go_down()
        assert await self.talk.next_but_pings() is None
        assert self.talk.close_code == code

    async def _cause(self, record: str) -> None:
        """Do what made the real server say this: a change, a licence, an abort."""
        fields = json.loads(record)
        if fields.get("type") == 1 and fields["arguments"][0]["e"] == "portos.licence.activated":
            await self.simulator.licence()
        elif fields.get("type") == 1:
            notification = fields["arguments"][0]
            payload = notification["p"]
            action = ("created", "updated", "deleted")[payload["a"] - 1]
            expires = None if notification["ea"] is None else 1_893_553_445.678
            await self.simulator.change(payload["n"], action, payload["i"]["i"], expires=expires)
        elif record == '{"type":7}' and self.said != '{"type":7}\x1e':
            self.simulator.abort()


def _timeless(record: str) -> str:
    return re.sub(r'"ca":"[^"]*"', '"ca":"..."', record)


_SCENARIOS = {
    "abort": SimulatorOptions(),
    "client-close": SimulatorOptions(),
    "client-goes-silent": SimulatorOptions(keepalive_seconds=0.2, client_timeout_seconds=1.5),
    "client-silent": SimulatorOptions(keepalive_seconds=0.1, client_timeout_seconds=0.2),
    "errors": SimulatorOptions(),
    "handshake-garbage": SimulatorOptions(),
    "handshake-protocol": SimulatorOptions(),
    "handshake-timeout": SimulatorOptions(handshake_timeout_seconds=0.2),
    "handshake-version": SimulatorOptions(),
    "killed": SimulatorOptions(),
    "normal": SimulatorOptions(keepalive_seconds=0.1),
    "not-json": SimulatorOptions(),
    "shutdown": SimulatorOptions(),
    "skip-negotiation": SimulatorOptions(),
    "token-expires": SimulatorOptions(token_lifetime_seconds=1, close_on_expiry=True, keepalive_seconds=0.2),
    "too-large": SimulatorOptions(),
}


@pytest.mark.parametrize("scenario", [name for name in _SCENARIOS if name not in {"normal", "skip-negotiation"}])
async def test_a_recorded_conversation_goes_the_same_way(wire: Path, scenario: str) -> None:
    """What the client said then gets the same records, and the same end, byte for byte but for the time."""
    rows = _rows(wire, scenario)

    async with (
        simulate(_SCENARIOS[scenario]) as simulator,
        conversation(simulator.url, greet=False) as talk,
    ):
        if scenario == "errors":
            simulator.refuse(1, "Subscription refused.")
        await _Player(simulator, talk).play(rows)


async def test_a_recorded_day_goes_the_same_way(wire: Path) -> None:
    """Notifications of every action, the licence and an expiring one come as recorded, then an orderly end."""
    rows = _rows(wire, "normal")

    async with (
        simulate(_SCENARIOS["normal"]) as simulator,
        conversation(simulator.url, greet=False) as talk,
    ):
        player = _Player(simulator, talk)
        await player.play(rows[:-2])
        await talk.say_goodbye()
        await player.play(rows[-2:])

    assert sum("OnEvent" in row.get("in", "") for row in rows) == 5


async def test_negotiate_answers_as_recorded(wire: Path) -> None:
    """Status, content type and fields, in their order, are the recorded ones; only the transports are fewer."""
    rows = [row for row in _rows(wire, "negotiate") if "http" in row]

    async with simulate() as simulator, ClientSession() as session:
        token = (await log_in(session, simulator.url))["tokenId"]
        for row in rows:
            bearer = "nonsense" if row["authorized"] and row["status"] == 401 else token
            headers = {"Authorization": f"Bearer {bearer}"} if row["authorized"] else {}
            path = row["path"].replace("access_token=...", f"access_token={token}")
            if path.startswith(f"{HUB}?"):
                headers |= {"Connection": "Upgrade", "Upgrade": "websocket"}
            async with session.request(row["http"], simulator.url + path, headers=headers) as answer:
                text = await answer.text()
                assert answer.status == row["status"], path
                if row["contentType"] != "text/plain":
                    assert answer.content_type == row["contentType"], path
                    assert list(json.loads(text)) == list(json.loads(row["body"])), path
                elif row["body"]:
                    assert text == row["body"]


@pytest.mark.parametrize(("token", "status"), [("good", 404), ("nonsense", 401)])
async def test_an_unknown_id_and_a_bad_token_are_refused_at_the_upgrade(token: str, status: int) -> None:
    """The WebSocket is refused before it opens, with the recorded status."""
    async with simulate() as simulator, ClientSession() as session:
        good = (await log_in(session, simulator.url))["tokenId"]
        headers = {"Authorization": f"Bearer {good if token == 'good' else token}"}

        with pytest.raises(WSServerHandshakeError) as refused:
            await session.ws_connect(f"{simulator.url}{HUB}?id=unknown", headers=headers)

    assert refused.value.status == status


async def test_a_connection_without_negotiate_goes_as_recorded(wire: Path) -> None:
    """A WebSocket without an id is a connection like any other."""
    rows = _rows(wire, "skip-negotiation")

    async with simulate() as simulator, ClientSession() as session:
        token = (await log_in(session, simulator.url))["tokenId"]
        headers = {"Authorization": f"Bearer {token}"}
        async with session.ws_connect(f"{simulator.url}{HUB}", headers=headers) as socket:
            talk = Conversation(socket)
            await _Player(simulator, talk).play(rows[:-1])
            await socket.close()
            assert talk.close_code == rows[-1]["closed"]
