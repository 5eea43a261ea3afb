"""Official SignalR clients, written by others, against the simulator: they get what the ledger says, byte for byte."""

import asyncio
import contextlib
import hashlib
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.simulator import Change, Simulator, SimulatorOptions, simulate
from bridge.simulator.notation import encoded
from tests.support import require, unavailable, until

pytestmark = [pytest.mark.peers, pytest.mark.timeout(240)]
Command = Callable[[str], list[str]]
_START_SECONDS = 30


@pytest.fixture
def dotnet() -> Command:
    """Microsoft's .NET client."""
    program = require("peers", "TEST_DOTNET_BRIDGE")
    return lambda url: [program, "--url", url, "--user", "950", "--password", "secret", "--print", "yes"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Microsoft's JavaScript client, installed once in a copy of its folder."""
    source = require("peers", "TEST_NODE_BRIDGE")
    npm = shutil.which("npm")
    if npm is None:
        unavailable("peers", "install Node.js with npm to run this")
    folder = tmp_path_factory.mktemp("node") / "bridge"
    shutil.copytree(source, folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    _run_to_the_end([npm, "install", "--no-audit", "--no-fund", "--silent"], folder)
    script = str(folder / "bridge.mjs")
    return lambda url: ["node", script, "--url", url, "--user", "950", "--password", "secret", "--print", "yes"]


def _run_to_the_end(command: list[str], folder: Path) -> None:
    import subprocess

    subprocess.run(command, cwd=folder, check=True, timeout=180)


@asynccontextmanager
async def _printing(command: list[str]) -> AsyncIterator[list[bytes]]:
    """Run a client and give the lines of its notifications, a list that grows."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, limit=2**24
    )
    lines: list[bytes] = []

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.startswith(b'{"e":'):
                lines.append(line.rstrip(b"\r\n"))  # noqa: PERF401 - others read it while it grows

    reading = asyncio.create_task(read(), name="client output")
    try:
        yield lines
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading


async def _subscribed(simulator: Simulator) -> None:
    def both() -> bool:
        return any(len(connection.topics) == 2 for connection in simulator.hub.connections.values())

    await until(both, _START_SECONDS, "the client has subscribed to both events")


def _told(simulator: Simulator) -> list[Change]:
    return [change for change in simulator.ledger.since() if change.sent_to]


def _digests(lines: list[bytes], *, rewritten: bool) -> list[str]:
    """Digest what a client printed; one that parses and writes anew is taken back to the server's notation."""
    return [hashlib.sha256(encoded(json.loads(line)) if rewritten else line).hexdigest() for line in lines]


async def _all_kinds(simulator: Simulator) -> None:
    """Make changes of every kind: hard names, no body, a big one, many in a row."""
    for key in ("mPOS Link", "Výčap č. 2", "a/b+#", '"\\\u0001\u001e', "\U0001f600"):
        for action in ("created", "updated", "deleted"):
            await simulator.change("devices", action, key, {"name": key})
    await simulator.change("tickets", "deleted", "never there")
    await simulator.change("tickets", "created", "big", size=3_000_000)
    await simulator.burst(5000, ids=500, resources=["tickets", "orders"], size=1000)


async def test_the_dotnet_client_prints_every_notification_of_the_ledger(dotnet: Command) -> None:
    """Every change sent is printed once, in order, with the very bytes."""
    async with simulate() as simulator, _printing(dotnet(simulator.url)) as lines:
        await _subscribed(simulator)
        await _all_kinds(simulator)
        await until(lambda: len(lines) >= len(_told(simulator)), 30, "all is printed")

    assert _digests(lines, rewritten=False) == [change.sha256 for change in _told(simulator)]


async def test_the_node_client_prints_every_notification_of_the_ledger(node: Command) -> None:
    """Every change sent is printed once and in order, with the same content."""
    async with simulate() as simulator, _printing(node(simulator.url)) as lines:
        await _subscribed(simulator)
        await _all_kinds(simulator)
        await until(lambda: len(lines) >= len(_told(simulator)), 30, "all is printed")

    assert _digests(lines, rewritten=True) == [change.sha256 for change in _told(simulator)]


async def test_a_lively_day_reaches_the_dotnet_client_whole(dotnet: Command) -> None:
    """What the shop does while the client is there is printed whole; licences come among it."""
    async with simulate(SimulatorOptions(rate=300)) as simulator, _printing(dotnet(simulator.url)) as lines:
        await _subscribed(simulator)
        assert await simulator.licence() == 1
        await until(lambda: len(lines) > 500, 20, "the shop is open")
        simulator.abort()
        told = await _settled(simulator)
        await until(lambda: len(lines) > len(told), 5, "all is printed")

    licences = [line for line in lines if b'"e":"portos.licence.activated"' in line]
    changes = [line for line in lines if line not in licences]
    assert len(licences) == 1
    assert _digests(changes, rewritten=False) == [change.sha256 for change in told]


async def _settled(simulator: Simulator) -> list[Change]:
    await until(lambda: not simulator.hub.connections, 5, "the connection has ended")
    return _told(simulator)


@pytest.mark.parametrize("client", ["dotnet", "node"])
async def test_an_official_client_comes_back_after_a_restart(client: str, request: pytest.FixtureRequest) -> None:
    """Cut off by a restart, the client logs in, negotiates and subscribes anew, and gets what comes after."""
    command: Command = request.getfixturevalue(client)
    async with simulate() as simulator, _printing(command(simulator.url)) as lines:
        await _subscribed(simulator)
        await simulator.change("tickets", "created", "before")
        await until(lambda: len(lines) == 1, 10, "the first is printed")
        await simulator.restart(1)
        await _subscribed(simulator)
        after = await simulator.change("tickets", "updated", "before")
        await until(lambda: len(lines) == 2, 10, "the second is printed")

    assert _digests(lines[1:], rewritten=True) == [after.sha256]


async def test_the_pings_of_the_dotnet_client_are_understood(dotnet: Command) -> None:
    """The client's first ping arms its time-out, and the connection goes on."""
    async with simulate(SimulatorOptions(keepalive_seconds=1)) as simulator, _printing(dotnet(simulator.url)):
        await _subscribed(simulator)
        (connection,) = simulator.hub.connections.values()
        await until(lambda: connection.last_heard is not None, 20, "the client pings")

        assert connection.is_open


async def test_the_dotnet_client_stays_away_after_an_abort(dotnet: Command) -> None:
    """A Close that does not allow to reconnect is taken by Microsoft's client for what it says."""
    async with simulate() as simulator, _printing(dotnet(simulator.url)):
        await _subscribed(simulator)
        simulator.abort()
        await until(lambda: not simulator.hub.connections, 5, "the connection has ended")
        issued = simulator.sessions.issued
        await asyncio.sleep(3)  # the client's first attempt would come at once, the second after a second

        assert simulator.sessions.issued == issued
