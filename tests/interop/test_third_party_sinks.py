"""Sinks of others, installed next to the bridge by `make example-sinks`: that of docs/writing-a-sink.md, and examples/.

The bridge knows them by their entry points alone, and treats their settings as its own sinks'.
"""

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

import pytest

from bridge.contract import LocalBroker
from tests.brokers import start_simulator
from tests.brokers.process import Program
from tests.support import free_port, unavailable, wait_until

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".venv-examples"
WALK = VENV / "walk" / "sink-redis"
SINKS = [WALK, *sorted(ROOT.glob("examples/sink-*"))]
SINK = "PORTOS_BRIDGE_SINK__REDIS__"
URL = "redis://127.0.0.1:6379"
PASSWORD = "C4nary-redis-9d20"

each_sink = pytest.mark.parametrize("folder", SINKS, ids=lambda folder: folder.name)


@pytest.fixture(autouse=True)
def installed() -> None:
    if not (VENV / "installed").exists():
        unavailable("examples", "run `make example-sinks`")


def environment(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of a bridge with a third party's sink, and nothing of this machine's bridges."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTOS_BRIDGE_")}
    least = {
        "HUB__URL": "http://127.0.0.1:1",
        "AUTH__USERNAME": "950",
        "AUTH__PASSWORD": "secret",
        "AUTH__DEVICE_NAME": "BRIDGE1",
        "SUBSCRIBE__RESOURCES": "tickets",
        "JOURNAL__PATH": str(folder / "journal.db"),
        "SINKS": "redis",
        "SINK__REDIS__URL": URL,
    }
    return kept | {f"PORTOS_BRIDGE_{name}": value for name, value in (least | settings).items()}


def said(folder: Path, *words: str, **settings: str) -> tuple[int, str]:
    """Run the bridge that the sinks are installed next to, with further settings; give its status and what it says."""
    command = [str(VENV / "bin" / "portos-bridge"), *words]
    env = environment(folder, settings)
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
@each_sink
def test_a_sink_passes_its_tests_on_its_broker(folder: Path, tmp_path: Path) -> None:
    """Nothing of the contract suite is left out, but where the broker is not installed."""
    report = tmp_path / "report.xml"
    command = [str(VENV / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]

    done = subprocess.run([*command, "tests"], cwd=folder, capture_output=True, text=True, timeout=280, check=False)

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    suite = ET.parse(report).getroot().find("testsuite")  # noqa: S314 - written by the run above
    assert suite is not None
    assert int(suite.get("tests", "0")) >= 14
    if skipped := sorted({element.get("message", "") for element in suite.iter("skipped")}):
        unavailable("examples", "; ".join(skipped))


@pytest.mark.slow
@each_sink
def test_a_sink_is_written_against_types(folder: Path) -> None:
    """What a third party imports is typed, and enough for the strictest check of what it exports."""
    strict = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", os.devnull]
    command = [*strict, "--python-executable", str(VENV / "bin" / "python"), *map(str, sorted(folder.glob("src/*")))]

    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=110, check=False)

    assert done.returncode == 0, done.stdout


@each_sink
def test_config_env_lists_the_variables_of_every_installed_sink(folder: Path, tmp_path: Path) -> None:
    """Even of one that is not fed yet, which is when an operator asks."""
    name = folder.name.removeprefix("sink-")

    status, lines = said(tmp_path, "config", "env")

    assert status == 0
    assert f"# ---- Sink {name}" in lines
    assert f"#PORTOS_BRIDGE_SINK__{name.upper().replace('-', '_')}__WINDOW_EVENTS=" in lines


def test_config_env_describes_a_variable_as_its_author_does(tmp_path: Path) -> None:
    """What must be set has no comment sign, and a secret says how it can be given."""
    _, lines = said(tmp_path, "config", "env")

    assert f"# Address of the server: redis://host[:port][/database].\n{SINK}URL=\n" in lines
    assert f"# Its password. A secret: here, in <NAME>_FILE, or in the secrets directory.\n#{SINK}PASSWORD=\n" in lines
    assert f"#{SINK}MAX_BYTES=1048576\n" in lines


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("SINK__REDIS__URLL", URL, f"{SINK}URLL: there is no such variable; did you mean {SINK}URL?"),
        ("SINK__REDIS__MAX_BYTES", "1MB", f"{SINK}MAX_BYTES: should be a whole number, without a unit"),
        ("SINK__REDIS__URL", "", f"{SINK}URL: must be set: Address of the server: redis://host[:port][/database]."),
        ("SINKS", "reddis", "PORTOS_BRIDGE_SINKS: item 1 is no installed sink; did you mean redis?"),
    ],
    ids=["misspelt", "wrong", "missing", "unknown sink"],
)
def test_a_mistake_is_named_by_its_variable(name: str, value: str, line: str, tmp_path: Path) -> None:
    """The bridge ends with 78, as for its own sinks."""
    status, lines = said(tmp_path, "check", **{name: value})

    assert status == 78
    assert line in lines


def test_variables_of_a_sink_that_is_not_fed_are_a_warning(tmp_path: Path) -> None:
    """So that it can be switched off for a while."""
    status, lines = said(tmp_path, "check", SINKS="stdout")

    assert status == 0
    assert f"warning: {SINK}URL: is not used, since PORTOS_BRIDGE_SINKS does not name its sink" in lines


def test_check_shows_what_is_in_effect_and_no_secret(tmp_path: Path) -> None:
    status, lines = said(tmp_path, "check", SINK__REDIS__PASSWORD=PASSWORD)

    assert status == 0
    assert f"{SINK}URL={URL}\n" in lines
    assert f"{SINK}PASSWORD=**********\n" in lines
    assert f"{SINK}WINDOW_EVENTS=100\n" in lines
    assert PASSWORD not in lines


def test_explain_asks_the_sink(tmp_path: Path) -> None:
    status, lines = said(tmp_path, "explain")

    assert status == 0
    assert "sink redis\n  topic       portos:resources:tickets\n" in lines
    assert "  header      resourcename: tickets\n" in lines


def test_explain_shows_what_the_sink_refuses(tmp_path: Path) -> None:
    _, lines = said(tmp_path, "explain", SINK__REDIS__MAX_BYTES="10")

    assert re.search(r"  refused     too_large: \d+ bytes; MAX_BYTES is 10; it becomes a dead letter", lines)


def test_asyncapi_has_the_streams_of_the_sink(tmp_path: Path) -> None:
    """What its `explain` says stands in the document, without a word of the sink's on AsyncAPI."""
    status, document = said(tmp_path, "asyncapi")

    assert status == 0
    assert "portos:resources:tickets" in {channel["address"] for channel in json.loads(document)["channels"].values()}


def test_a_refused_login_is_a_line_of_check_connect(tmp_path: Path) -> None:
    """The sink's own words say what to change."""
    with LocalBroker("redis-server", "--port", "{port}", "--save", "", "--requirepass", PASSWORD) as server:
        url = f"redis://{server.host}:{server.port}"

        status, lines = said(tmp_path, "check", "--connect", SINK__REDIS__URL=url, SINK__REDIS__PASSWORD="wrong")

    assert status == 1
    assert "failed: sink redis connects: the server refused the login: " in lines


@pytest.mark.slow
def test_a_bridge_feeds_the_sink(tmp_path: Path) -> None:
    """Notifications of a hub arrive at the third party's broker, and are counted under the sink's name."""
    port = free_port()
    with LocalBroker("redis-server", "--port", "{port}", "--save", "") as server:
        hub = start_simulator("--rate", "0")
        settings = {
            "HUB__URL": hub.url,
            "SINK__REDIS__URL": f"redis://{server.host}:{server.port}",
            "ADMIN__HOST": "127.0.0.1",
            "ADMIN__PORT": str(port),
        }
        command = [str(VENV / "bin" / "portos-bridge"), "run"]
        bridge = Program(command, tmp_path / "log", environment(tmp_path, settings))
        try:
            bridge.start(lambda: hub.subscribed(["tickets"]), 30)
            for _ in range(10):
                hub.change("tickets")

            wait_until(lambda: entries(server, "portos:resources:tickets") == 10, 20, "ten events delivered")
            wait_until(lambda: delivered(port) >= 10, 5, "ten events counted")
            assert bridge.terminate() == 0
        finally:
            bridge.kill()
            hub.close()


def delivered(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = re.search(r'^portos_bridge_sink_delivered_events_total\{sink="redis"\} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def entries(server: LocalBroker, stream: str) -> int:
    """Ask the server in its own words, without a client library."""
    with socket.create_connection((server.host, server.port), timeout=5) as peer:
        peer.sendall(f"XLEN {stream}\r\n".encode())
        return int(peer.recv(100).removeprefix(b":"))
