"""`portos-bridge tail` as a process: what the hub says on standard output, what it missed on standard error."""

import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import Hub, start_simulator
from tests.chaos.bridge_process import program
from tests.support import free_port, wait_until

CANARY = "C4nary-1f0a"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """A simulated hub that keeps still until it is told to speak."""
    made = start_simulator("--rate", "0")
    yield made
    made.close()


def _environment(folder: Path, hub: Hub, **settings: str) -> dict[str, str]:
    usual = {
        "SINKS": "kafka,mqtt",
        **hub.login,
        "SUBSCRIBE__RESOURCES": "tickets,customers",
        "SINK__KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "SINK__MQTT__URL": f"mqtt://127.0.0.1:{free_port()}",
        "JOURNAL__PATH": str(folder / "journal" / "journal.db"),
        "SECRETS_DIR": str(folder / "no-secrets"),
        "SETTINGS_DIR": str(folder / "no-settings"),
    }
    return {f"PORTOS_BRIDGE_{name}": value for name, value in (usual | settings).items()}


class Tail:
    """The command while it runs, with its output in files."""

    def __init__(self, folder: Path, hub: Hub, *arguments: str, **settings: str) -> None:
        self._out, self._err = folder / "out", folder / "err"
        environ = _environment(folder, hub, **settings)
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen([program(), "tail", *arguments], env=environ, stdout=out, stderr=err)

    @property
    def lines(self) -> Sequence[str]:
        return self._out.read_text().splitlines()

    @property
    def told(self) -> str:
        return self._err.read_text()

    def wait(self) -> int:
        """Wait for its end and give the exit status."""
        return self._process.wait(20)

    def interrupt(self) -> int:
        """Press Ctrl-C and give the exit status."""
        self._process.send_signal(signal.SIGINT)
        return self.wait()

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)


@pytest.fixture
def tails(tmp_path: Path, hub: Hub) -> Iterator[Any]:
    """Starts the command, subscribed when it is given."""
    made: list[Tail] = []

    def start(*arguments: str, **settings: str) -> Tail:
        before = len(hub.state()["connections"])
        made.append(Tail(tmp_path, hub, *arguments, **settings))
        wait_until(lambda: len(_subscribed(hub)) > before, 20, "the tail is subscribed")
        return made[-1]

    yield start
    for each in made:
        each.close()


def _subscribed(hub: Hub) -> list[Any]:
    return [line for line in hub.state()["connections"] if line["topics"]]


def test_events_are_shown_as_they_would_leave_and_ctrl_c_leaves_in_order(tails: Any, hub: Hub, tmp_path: Path) -> None:
    """Redacted and filtered as for a sink; no journal is made; the hub is unsubscribed and the session ended."""
    tail = tails("--json", EVENT__CONTENT="resource", PRIVACY__REDACT="customers.email", FILTER__EXCLUDE_IDS="test-*")

    hub.change("customers", id="test-1", body={"email": CANARY})
    change = hub.change("customers", id="7", body={"email": CANARY, "name": "A"})
    hub.send(
        b'{"type":1,"target":"OnEvent","arguments":[{"e":"portos.resources.changed","p":"' + CANARY.encode() + b'"}]}'
    )
    hub.licence()
    wait_until(lambda: len(tail.lines) == 2, 10, "two lines")
    status = tail.interrupt()

    first, second = map(json.loads, tail.lines)
    assert (first["resourceid"], first["resourceversion"]) == ("7", str(change.version))
    assert first["data"] == {"email": None, "name": "A", "_v": change.version}
    assert second["type"] == "portos.licence.activated"
    assert "unreadable (json)" in tail.told
    assert CANARY not in "\n".join([*tail.lines, tail.told])
    state = hub.state()
    assert (status, state["connections"], state["tokens"]["sessions"]) == (0, [], 0)
    assert [entry["what"] for entry in state["log"][-3:-1]] == ["unsubscribed", "unsubscribed"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["err", "out"]


def test_only_the_named_resources_are_subscribed(tails: Any, hub: Hub) -> None:
    tail = tails("--resource", "customers")

    topics = {topic for line in _subscribed(hub) for topic in line["topics"]}
    hub.change("tickets", id="1")
    hub.change("customers", id="2", body={"note": "\u009b1m"})
    wait_until(lambda: tail.lines, 10, "a line")

    assert topics == {f"portos.resources.changed/customers/{action}" for action in ("created", "updated", "deleted")}
    (line,) = tail.lines
    assert " customers 2 v" in line
    assert line.isprintable()


def test_what_it_could_not_see_is_told_once(tails: Any, hub: Hub) -> None:
    """It is back by itself after the hub was gone, and says from when to when it was blind."""
    tail = tails()
    hub.change("tickets", id="before")
    wait_until(lambda: tail.lines, 10, "a line")

    hub.kill()
    hub.restart()
    wait_until(lambda: _subscribed(hub), 20, "it is back")
    hub.change("tickets", id="after")
    wait_until(lambda: len(tail.lines) == 2, 10, "another line")

    assert tail.told.count("blind from ") == 1
    assert tail.interrupt() == 0


def test_it_ends_when_nobody_reads_it_any_more(hub: Hub, tmp_path: Path) -> None:
    """As in `portos-bridge tail | head -1`: in order, and without a word."""
    environ = _environment(tmp_path, hub, LOG__LEVEL="warning")
    with subprocess.Popen(
        [program(), "tail"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        wait_until(lambda: _subscribed(hub), 20, "it is subscribed")
        hub.change("tickets", id="first")
        assert " tickets first " in process.stdout.readline()
        process.stdout.close()
        hub.change("tickets", id="second")

        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert hub.state()["connections"] == []


def test_a_resource_that_does_not_leave_is_not_shown_either(hub: Hub, tmp_path: Path) -> None:
    """What the settings do not let out, the tail does not subscribe to."""
    tail = Tail(tmp_path, hub, "--resource", "apikeys")

    assert tail.wait() == 78
    assert "--resource apikeys" in tail.told
