"""The installed program and its secrets: whatever goes wrong, none of them shows. Needs neither hub nor broker."""

import http.client
import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge import registry
from tests.brokers import MqttBroker
from tests.brokers.certificates import Authority, server_context
from tests.support import free_port, wait_until

HUB, PROXY_URL = "PORTOS_BRIDGE_HUB__URL", "PORTOS_BRIDGE_HUB__PROXY_URL"
PASSWORD, TOKEN, MQTT = "C4nary-password-8d1", "C4nary-token-3b7", "C4nary-mqtt-5e9"
KEY = "C4nary-key-of-the-pseudonyms-6a20"
ADMIN = "C4nary-admin-token-77f2"
HUB_KEY, PROXY = "C4nary-hub-key-31fe", "C4nary-proxy-66d2"
MQTT_KEY = "C4nary-mqtt-key-b0d4"
KAFKA, KAFKA_KEY, CLIENT, GIVEN = (
    "C4nary-kafka-12d8",
    "C4nary-kafka-key-90b3",
    "C4nary-client-4c1e",
    "C4nary-given-77aa",
)
SCHEMES = {
    "jwt": {
        "PORTOS_BRIDGE_AUTH__USERNAME": "bridge",
        "PORTOS_BRIDGE_AUTH__PASSWORD": PASSWORD,
        "PORTOS_BRIDGE_AUTH__DEVICE_NAME": "bridge-1",
    },
    "static": {"PORTOS_BRIDGE_AUTH__SCHEME": "static", "PORTOS_BRIDGE_AUTH__TOKEN": TOKEN},
}
SINK = "PORTOS_BRIDGE_SINK__KAFKA__"
LOGINS = {
    "password": {"SASL_MECHANISM": "PLAIN", "SASL_USERNAME": "bridge", "SASL_PASSWORD": KAFKA},
    "client": {
        "SASL_MECHANISM": "OAUTHBEARER",
        "OAUTH_TOKEN_URL": "http://127.0.0.1:1/token",
        "OAUTH_CLIENT_ID": "bridge",
        "OAUTH_CLIENT_SECRET": CLIENT,
    },
    "token": {"SASL_MECHANISM": "OAUTHBEARER", "OAUTH_TOKEN": GIVEN},
}

_PATHS = ("/", "/status", "/metrics", "/asyncapi.json", "/livez?verbose", "/readyz?verbose")

pytestmark = pytest.mark.skipif(
    not {"kafka", "mqtt"} <= set(registry.installed()), reason="the program is not installed here: run `make install`"
)


@pytest.fixture(
    params=[("jwt", "password", "mqtts"), ("static", "client", "wss"), ("static", "token", "mqtts")], ids="-".join
)
def environ(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """A bridge with every secret set, and a closed port for each of its peers."""
    authority = Authority(tmp_path / "tls")
    cert, key = authority.client("bridge", KAFKA_KEY)
    authority.server("server")
    hub_cert, hub_key = authority.client("bridge-at-the-hub", HUB_KEY)
    mqtt_cert, mqtt_key = authority.client("bridge-of-mqtt", MQTT_KEY)
    return {
        **SCHEMES[request.param[0]],
        **{f"{SINK}{name}": value for name, value in LOGINS[request.param[1]].items()},
        HUB: f"https://127.0.0.1:{free_port()}",
        "PORTOS_BRIDGE_HUB__CA_FILE": str(authority.ca_file),
        "PORTOS_BRIDGE_HUB__CLIENT_CERT_FILE": str(hub_cert),
        "PORTOS_BRIDGE_HUB__CLIENT_KEY_FILE": str(hub_key),
        "PORTOS_BRIDGE_HUB__CLIENT_KEY_PASSWORD": HUB_KEY,
        "PORTOS_BRIDGE_SINKS": "mqtt,kafka",
        "PORTOS_BRIDGE_SUBSCRIBE__RESOURCES": "tickets",
        "PORTOS_BRIDGE_JOURNAL__PATH": str(tmp_path / "journal" / "journal.db"),
        "PORTOS_BRIDGE_JOURNAL__MAX_BYTES": "67108864",
        "PORTOS_BRIDGE_ADMIN__HOST": "127.0.0.1",
        "PORTOS_BRIDGE_ADMIN__PORT": str(free_port()),
        "PORTOS_BRIDGE_ADMIN__TOKEN": ADMIN,
        "PORTOS_BRIDGE_LOG__LEVEL": "debug",
        "PORTOS_BRIDGE_LOG__FORMAT": "json",
        "PORTOS_BRIDGE_SINK__KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "PORTOS_BRIDGE_SINK__KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "PORTOS_BRIDGE_SINK__KAFKA__CLIENT_CERT_FILE": str(cert),
        "PORTOS_BRIDGE_SINK__KAFKA__CLIENT_KEY_FILE": str(key),
        "PORTOS_BRIDGE_SINK__KAFKA__CLIENT_KEY_PASSWORD": KAFKA_KEY,
        "PORTOS_BRIDGE_SINK__MQTT__URL": f"{request.param[2]}://127.0.0.1:{free_port()}",
        "PORTOS_BRIDGE_SINK__MQTT__CLIENT_CERT_FILE": str(mqtt_cert),
        "PORTOS_BRIDGE_SINK__MQTT__CLIENT_KEY_FILE": str(mqtt_key),
        "PORTOS_BRIDGE_SINK__MQTT__CLIENT_KEY_PASSWORD": MQTT_KEY,
        "PORTOS_BRIDGE_SINK__MQTT__USERNAME": "bridge",
        "PORTOS_BRIDGE_SINK__MQTT__PASSWORD": MQTT,
        "PORTOS_BRIDGE_EVENT__CONTENT": "resource",
        "PORTOS_BRIDGE_PRIVACY__PSEUDONYMISE": "tickets.employee.name",
        "PORTOS_BRIDGE_PRIVACY__HMAC_KEY": KEY,
    }


def test_every_secret_there_is_has_a_canary() -> None:
    """A new secret must join these tests; one that is forgotten here fails."""
    from bridge.commands.config import sections

    secrets = {variable.name for _, section in sections() for variable in section if variable.secret}

    given = {f"PORTOS_BRIDGE_{name}" for name in ("ADMIN__TOKEN", "PRIVACY__HMAC_KEY")}
    given |= {f"PORTOS_BRIDGE_SINK__MQTT__{name}" for name in ("PASSWORD", "CLIENT_KEY_PASSWORD")}
    given |= {f"PORTOS_BRIDGE_HUB__{name}" for name in ("CLIENT_KEY_PASSWORD", "PROXY_URL")}
    given |= {
        f"{SINK}{name}" for name in ("CLIENT_KEY_PASSWORD", *(name for login in LOGINS.values() for name in login))
    }
    given |= {*SCHEMES["jwt"], *SCHEMES["static"]}
    assert secrets <= given


@pytest.mark.parametrize("hub", ["closed", "echoing", "behind an echoing proxy"])
def test_a_failing_bridge_shows_no_secret(hub: str, environ: dict[str, str], tmp_path: Path) -> None:
    """Log at debug, what the admin port shows, and the process list, while everything fails, and after the end."""
    proxied = hub == "behind an echoing proxy"
    with _echo(tmp_path, secured=not proxied) as address:
        url = address if not proxied else address.replace("http://", f"http://bridge:{PROXY}@")
        further = {} if hub == "closed" else {PROXY_URL if proxied else HUB: url}
        shown, log, status = _shown_while_failing(environ | further)

    assert status == 0
    assert "refused" in log or "HTTP status" in log or "protocol" in log
    assert [line for line in log.splitlines() if "level" not in json.loads(line)] == []
    assert "C4nary" not in "\n".join([*shown, log])


def _shown_while_failing(environ: Mapping[str, str]) -> tuple[list[str], str, int]:
    """Run a bridge until all has failed; give what it shows, its log, and its exit status."""
    with _running(environ) as bridge:
        port = int(environ["PORTOS_BRIDGE_ADMIN__PORT"])
        wait_until(lambda: _all_failed(port), 20, "hub and sinks have failed and /status says so")
        shown = [_get(port, path) for path in _PATHS]
        shown += [Path(f"/proc/{process}/cmdline").read_text() for process in _family(bridge.pid)]
        bridge.send_signal(signal.SIGTERM)
        log = bridge.communicate(timeout=30)[1]
    return shown, log, bridge.returncode


@pytest.mark.parametrize("command", [("check",), ("check", "--connect"), ("config", "env")], ids=" ".join)
def test_a_command_shows_no_secret(command: tuple[str, ...], environ: dict[str, str], tmp_path: Path) -> None:
    """Neither the effective configuration nor a failed trial nor the reference holds one; no library says more."""
    with _echo(tmp_path) as url:
        result = _run({**environ, HUB: url, "PORTOS_BRIDGE_DELIVERY__CONNECT_SECONDS": "2"}, *command)

    assert "PORTOS_BRIDGE_AUTH__PASSWORD=" in result.stdout
    assert "C4nary" not in result.stdout + result.stderr
    assert "aiokafka" not in result.stderr


@pytest.mark.mqtt
def test_check_connect_passes_where_all_is_well_and_leaves_nothing(tmp_path: Path, mqtt_broker: MqttBroker) -> None:
    """Login, subscription and sink are tried in earnest; no journal is made and no session is left at Portos."""
    hub, control = free_port(), free_port()
    tried = {
        HUB: f"http://127.0.0.1:{hub}",
        "PORTOS_BRIDGE_AUTH__USERNAME": "bridge",
        "PORTOS_BRIDGE_AUTH__PASSWORD": PASSWORD,
        "PORTOS_BRIDGE_AUTH__DEVICE_NAME": "bridge-1",
        "PORTOS_BRIDGE_SINKS": "mqtt",
        "PORTOS_BRIDGE_SUBSCRIBE__RESOURCES": "tickets,orders",
        "PORTOS_BRIDGE_SINK__MQTT__URL": mqtt_broker.url,
        "PORTOS_BRIDGE_JOURNAL__PATH": str(tmp_path / "journal.db"),
        "PORTOS_BRIDGE_JOURNAL__MAX_BYTES": "67108864",
    }
    options = ["--port", str(hub), "--control-port", str(control), "--username", "bridge", "--password", PASSWORD]

    with _running({}, "simulate", *options):
        wait_until(lambda: _answers(control), 20, "the simulator answers")
        result = _run(tried, "check", "--connect")
        left = json.loads(_get(control, "/state"))

    trials = [line for line in result.stdout.splitlines() if line.startswith(("ok: ", "failed: "))]
    assert (result.returncode, [line.partition(":")[0] for line in trials]) == (0, ["ok"] * 5), result.stdout
    assert list(tmp_path.iterdir()) == []
    assert "subscribed" in [entry["what"] for entry in left["log"]]
    assert (left["connections"], left["tokens"]["sessions"]) == ([], 0)


def test_a_secret_in_the_wrong_place_is_not_repeated(environ: dict[str, str]) -> None:
    """Secrets pasted into the wrong variable, or set in two ways, are refused without being shown."""
    wrong = {
        HUB: f"http://bridge:{PASSWORD}",
        "PORTOS_BRIDGE_SINK__MQTT__URL": f"mqtt://bridge:{MQTT}",
        "PORTOS_BRIDGE_SITE": PASSWORD,
        "PORTOS_BRIDGE_SINKS": f"mqtt,{PASSWORD}",
        "PORTOS_BRIDGE_LOG__LEVEL": TOKEN,
        "PORTOS_BRIDGE_AUTH": json.dumps({"password": PASSWORD}),
        "PORTOS_BRIDGE_PASSWORD": PASSWORD,
    }

    result = _run(environ | wrong)

    assert result.returncode == 78
    named = {line.split(": ")[1] for line in result.stderr.splitlines()}
    assert set(wrong) <= named
    assert "C4nary" not in result.stdout + result.stderr


def test_a_wrong_configuration_never_touches_the_journal(environ: dict[str, str]) -> None:
    """A journal survives any number of starts with a wrong configuration, byte for byte, and none is made."""
    journal = Path(environ["PORTOS_BRIDGE_JOURNAL__PATH"])
    journal.parent.mkdir()
    journal.write_bytes(b"all that was accepted")
    before = (journal.stat().st_mtime_ns, sorted(journal.parent.iterdir()))

    statuses = [_run(environ | {"PORTOS_BRIDGE_HUBB__URL": "x"}, *command).returncode for command in [(), ("check",)]]

    assert statuses == [78, 78]
    assert (journal.stat().st_mtime_ns, sorted(journal.parent.iterdir())) == before
    assert journal.read_bytes() == b"all that was accepted"


class _Echo(socketserver.StreamRequestHandler):
    """A hostile hub: it puts whatever it was sent into the reason, the headers and the body of its refusal."""

    def handle(self) -> None:
        head, length = [], 0
        while line := self.rfile.readline().strip():
            head.append(line)
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        sent = b" ".join([*head, self.rfile.read(length)])
        answer = b"HTTP/1.1 500 %s\r\nX-Echo: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
        self.wfile.write(answer % (sent, sent, len(sent), sent))


@contextmanager
def _echo(folder: Path, *, secured: bool = True) -> Iterator[str]:
    context = server_context(folder / "tls" / "server.pem")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        if secured:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"{'https' if secured else 'http'}://127.0.0.1:{server.server_address[1]}"
        finally:  # or pytest waits for it for ever behind a test that has failed
            server.shutdown()
            thread.join()


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, **environ}


def _run(environ: Mapping[str, str], *command: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "bridge", *command]
    return subprocess.run(argv, env=_environment(environ), capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def _running(environ: Mapping[str, str], *command: str) -> Iterator["subprocess.Popen[str]"]:
    argv = [sys.executable, "-m", "bridge", *command]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, env=_environment(environ), stdout=pipe, stderr=pipe, text=True) as bridge:
        try:
            yield bridge
        finally:
            if bridge.poll() is None:
                bridge.kill()


def _get(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _answers(port: int) -> bool:
    try:
        return bool(_get(port, "/state"))
    except OSError:
        return False


def _all_failed(port: int) -> bool:
    try:
        status = json.loads(_get(port, "/status"))
    except OSError:
        return False
    if "hub" not in status:  # its journal is not open yet
        return False
    return all(link["failures"] > 0 for link in (status["hub"], *status["sinks"].values()))


def _family(pid: int) -> list[int]:
    """Give a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]
