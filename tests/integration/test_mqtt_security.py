"""The MQTT sink through the real loops on a secured Mosquitto: let in, refused and told why, let in again; lost 0."""

import asyncio
import shutil
import socket
import ssl
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest
from aiohttp import web

from bridge.contract import sample
from bridge.message import Message
from bridge.policy import Pauses
from sinks.mqtt import plugin
from sinks.mqtt.config import MqttConfig
from tests.brokers import Hub
from tests.brokers.certificates import Authority, server_context
from tests.brokers.detour import Detour
from tests.brokers.secured_mqtt import SecuredMosquitto
from tests.chaos.bridge_process import BridgeProcess
from tests.delivery import Run, delivering, disordered
from tests.oracle.mqtt import MqttReader
from tests.oracle.record import identities, identity_of_change
from tests.support import until, wait_until

pytestmark = pytest.mark.mqtt

_PATIENT = Pauses(first_seconds=0.05, longest_seconds=0.1, hold_seconds=0.5)
LOGIN = {"username": "bridge", "password": "right"}


@pytest.fixture(scope="module")
def broker() -> Iterator[SecuredMosquitto]:
    started = SecuredMosquitto()
    started.set_password("bridge", "right")
    yield started
    started.close()


def config_for(broker: SecuredMosquitto, listener: str, **values: object) -> MqttConfig:
    """Give what reaches a listener, with topics and a name of its own."""
    name = f"s{uuid4().hex}"
    url = broker.address(listener)
    own = {"url": url, "base_topic": name, "client_id": name, "window_events": 50}
    ca = {"ca_file": broker.authority.ca_file} if url.startswith(("mqtts", "wss")) else {}
    return MqttConfig.model_validate(own | ca | values)


@contextmanager
def read(broker: SecuredMosquitto, config: MqttConfig) -> Iterator[MqttReader]:
    base = config.base_topic
    with MqttReader(broker.host, broker.port, f"{base}/#", client_id=f"{base}-reader", qos=0) as reader:
        yield reader


async def judge(reader: MqttReader, messages: Sequence[Message], run: Run) -> None:
    """Check that everything arrived, in order, and that nothing came again without a lost connection."""
    await until(lambda: len({found.attributes["id"] for found in reader.read()}) >= len(messages), 60, "all arrived")
    arrived = [found.attributes["id"] for found in reader.read()]
    assert {message.id for message in messages} == set(arrived)
    assert disordered(messages, arrived) == []
    assert len(arrived) - len(messages) <= 50 * sum(run.lost.values())
    assert run.dead_letters() == {}


def certificate(broker: SecuredMosquitto) -> dict[str, object]:
    cert, key = broker.authority.client("bridge", "of the key")
    return {"client_cert_file": cert, "client_key_file": key, "client_key_password": "of the key"}


WAYS: dict[str, tuple[str, Callable[[SecuredMosquitto], dict[str, object]]]] = {
    "mqtts": ("mqtts", lambda _: {}),
    "mTLS": ("mtls", certificate),
    "password": ("mqtts", lambda _: LOGIN),
    "ws": ("ws", lambda _: {}),
    "wss": ("wss", lambda _: LOGIN),
    "mqtts, 3.1.1": ("mqtts", lambda _: LOGIN | {"version": "3.1.1"}),
}


@pytest.mark.parametrize("way", WAYS)
async def test_each_way_to_be_let_in_delivers(broker: SecuredMosquitto, tmp_path: Path, way: str) -> None:
    """10,000 events arrive in order, without a repeat."""
    listener, values = WAYS[way]
    config = config_for(broker, listener, **values(broker))
    messages = [sample(number, resource_id=f"{number % 500}") for number in range(10_000)]

    with read(broker, config) as reader:
        async with delivering(tmp_path, plugin, config, pauses=_PATIENT) as run:
            await run.append(messages)
            await run.settled(100)
        if config.version == "5":
            await judge(reader, messages, run)
        else:  # which has no place for an id
            await until(lambda: reader.count() == len(messages), 60, "all arrived")

    assert not run.lost


@contextmanager
def old_server(certificate: Path) -> Iterator[int]:
    """A server of TLS 1.1 and nothing newer; no broker that is made today can be told to be one."""
    context = server_context(certificate)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(5)
                context.wrap_socket(connection, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@asynccontextmanager
async def web_server(answer: str) -> AsyncIterator[int]:
    """A web server that has no WebSocket, or one for something else."""

    async def serve(request: web.Request) -> web.StreamResponse:
        if answer == "404":
            return web.Response(status=404)
        opened = web.WebSocketResponse(protocols=("amqp",))
        await opened.prepare(request)
        await opened.close()
        return opened

    application = web.Application()
    application.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield int(runner.addresses[0][1])
    await runner.cleanup()


class Fault:
    """Something wrong on one of the sides, and its remedy; `said` is what the sink must say, and `held` whether."""

    def __init__(self, broker: SecuredMosquitto, folder: Path, name: str, detour: Detour) -> None:
        self._broker, self._name, self._detour = broker, name, detour
        self._stranger = Authority(folder / "stranger")
        self._ca = folder / "ca.pem"
        shutil.copy(broker.authority.ca_file, self._ca)
        self.stack = AsyncExitStack()
        self.listener, self.values, self.said, self.held = {
            "password": ("mqtts", LOGIN | {"password": "wrong"}, "check USERNAME and PASSWORD", True),
            "password over a WebSocket": ("wss", LOGIN | {"password": "wrong"}, "check USERNAME and PASSWORD", True),
            "self-signed": ("mqtts", {"ca_file": self._ca}, "name the authority's file in CA_FILE", True),
            "self-signed over a WebSocket": ("wss", {"ca_file": self._ca}, "authority's file in CA_FILE", True),
            "expired": ("mqtts", {}, "its certificate has expired", True),
            "host": ("mqtts", {}, "for another host: set URL", True),
            "TLS 1.1": ("mqtts", {}, "it speaks no TLS of version 1.2 or later", True),
            "no TLS": ("mqtts", {}, "is the scheme of URL what it speaks on that port?", False),
            "TLS": ("mqtt", {}, "is the scheme of URL what it speaks on that port?", False),
            "HTTP": ("mqtt", {}, "speaks HTTP on that port", True),
            "no certificate": (
                "mtls",
                {"client_cert_file": folder / "no.pem"},
                "CLIENT_CERT_FILE cannot be read",
                True,
            ),
            "certificate": ("mtls", self._copied(), "check CLIENT_CERT_FILE", True),
            "404": ("ws", {}, "HTTP status 404; check the path of URL", True),
            "subprotocol": ("ws", {}, "not for MQTT; check the path of URL", True),
            "no WebSocket": ("ws", {}, "is the scheme of URL what it speaks on that port?", False),
        }[name]

    def _copied(self) -> dict[str, object]:
        cert, key = self._stranger.client("bridge")
        return {"client_cert_file": cert, "client_key_file": key}

    def _install(self, name: str, file: str) -> None:
        cert, key = self._broker.authority.client(name)
        Path(file).write_bytes(cert.read_bytes() + key.read_bytes())

    async def begin(self) -> None:
        broker, authority = self._broker, self._broker.authority
        match self._name:
            case "self-signed" | "self-signed over a WebSocket":
                shutil.copy(self._stranger.ca_file, self._ca)
            case "expired":
                await asyncio.to_thread(broker.present, authority.server("expired", expired=True))
            case "host":
                await asyncio.to_thread(broker.present, authority.server("elsewhere", "broker.example"))
            case "TLS 1.1":
                self._detour.to(self.stack.enter_context(old_server(authority.server("server"))))
            case "no TLS" | "no WebSocket":
                self._detour.to(broker.port)
            case "TLS":
                self._detour.to(broker.port_of("mqtts"))
            case "HTTP":
                self._detour.to(broker.port_of("ws"))
            case "404" | "subprotocol":
                self._detour.to(await self.stack.enter_async_context(web_server(self._name)))

    async def end(self) -> None:
        broker = self._broker
        match self._name:
            case "password" | "password over a WebSocket":
                await asyncio.to_thread(broker.set_password, "bridge", "wrong")
            case "self-signed" | "self-signed over a WebSocket":
                shutil.copy(broker.authority.ca_file, self._ca)
            case "expired" | "host":
                await asyncio.to_thread(broker.present, broker.authority.server("renewed"))
            case "no certificate":
                self._install("renewed", str(self.values["client_cert_file"]))
            case "certificate":
                cert, key = broker.authority.client("renewed")
                shutil.copy(cert, str(self.values["client_cert_file"]))
                shutil.copy(key, str(self.values["client_key_file"]))
            case _:
                self._detour.to(broker.port_of(self.listener))


BY_A_DETOUR = ("TLS 1.1", "no TLS", "TLS", "HTTP", "404", "subprotocol", "no WebSocket")
AT_THE_BROKER = (
    *("password", "password over a WebSocket", "self-signed", "self-signed over a WebSocket", "expired", "host"),
    *("no certificate", "certificate"),
)


@pytest.mark.filterwarnings("ignore:Client protocols")
@pytest.mark.parametrize("name", [*AT_THE_BROKER, *BY_A_DETOUR])
async def test_what_is_wrong_is_told_until_it_is_right(broker: SecuredMosquitto, tmp_path: Path, name: str) -> None:
    """The variable and the cause are named, attempts are rare, and nobody has to restart anything."""
    async with Detour() as detour:
        fault = Fault(broker, tmp_path, name, detour)
        config = config_for(broker, fault.listener, **fault.values)
        if name in BY_A_DETOUR:
            scheme = config.url.partition(":")[0]
            config = config.model_copy(update={"url": f"{scheme}://localhost:{detour.port}"})
        messages = [sample(number, resource_id=f"{number}") for number in range(300)]

        async with fault.stack:
            await fault.begin()
            with read(broker, config) as reader:
                async with delivering(tmp_path, plugin, config, pauses=_PATIENT) as run:
                    await run.append(messages)
                    await until(lambda: fault.said in run.link.last_error, 20, f"told {fault.said}")
                    assert run.link.held == fault.held
                    failures = run.link.failures
                    await asyncio.sleep(1)
                    assert not fault.held or run.link.failures - failures <= 4
                    assert run.left == len(messages)
                    await fault.end()
                    await run.settled(30)
                    assert not run.link.held
                await judge(reader, messages, run)
    if name.startswith("password"):
        await asyncio.to_thread(broker.set_password, "bridge", "right")


def rotating(broker: SecuredMosquitto, hub: Hub, folder: Path) -> tuple[BridgeProcess, MqttConfig]:
    """Make a bridge whose password, certificate and key for MQTT are files."""
    config = config_for(broker, "mtls")
    mqtt = {
        "URL": config.url,
        "BASE_TOPIC": config.base_topic,
        "CLIENT_ID": config.client_id,
        "USERNAME": "rotated",
        "PASSWORD_FILE": str(folder / "password"),
        "CA_FILE": str(broker.authority.ca_file),
        "CLIENT_CERT_FILE": str(folder / "bridge.pem"),
        "CLIENT_KEY_FILE": str(folder / "bridge.key"),
    }
    usual = {
        "SINKS": "mqtt",
        **hub.login,
        "SUBSCRIBE__RESOURCES": "tickets",
        "SUBSCRIBE__LICENCE": "false",
        "DELIVERY__HOLD_PAUSE_SECONDS": "1",
        **{f"SINK__MQTT__{name}": value for name, value in mqtt.items()},
    }
    return BridgeProcess(folder, usual), config


def install(broker: SecuredMosquitto, folder: Path, name: str) -> None:
    """Give the bridge another certificate."""
    cert, key = broker.authority.client(name)
    shutil.copy(cert, folder / "bridge.pem")
    shutil.copy(key, folder / "bridge.key")


@pytest.mark.hub
def test_secrets_are_corrected_and_rotated_without_a_restart(
    broker: SecuredMosquitto, hub: Hub, tmp_path: Path
) -> None:
    """Wrong, right, and three times another one under 200/s, each with a new certificate: 0 lost, 0 blind."""
    install(broker, tmp_path, "first")
    broker.set_password("rotated", "first-C4nary")
    (tmp_path / "password").write_text("wrong-C4nary")
    bridge, config = rotating(broker, hub, tmp_path)
    with read(broker, config) as reader:
        try:
            bridge.start()
            wait_until(lambda: bridge.status()["sinks"]["mqtt"]["held"], 30, "held")
            assert "check USERNAME and PASSWORD" in bridge.status()["sinks"]["mqtt"]["lastError"]
            (tmp_path / "password").write_text("first-C4nary")
            wait_until(lambda: bridge.status()["sinks"]["mqtt"]["connected"], 30, "let in")
            windows = bridge.metric("portos_bridge_source_blind_windows_total")
            load = hub.burst(2400, rate=200, size=600, resources=("tickets",))
            for number in range(1, 4):
                before = connected(bridge)
                install(broker, tmp_path, f"renewed-{number}")
                wait_until(lambda: connected(bridge) > before, 30, "connected with the new certificate")  # noqa: B023 - at once
                before = connected(bridge)
                (tmp_path / "password").write_text(f"C4nary-{number}")
                broker.set_password("rotated", f"C4nary-{number}")  # which ends the connections of that user
                wait_until(lambda: connected(bridge) > before, 30, "connected with the new password")  # noqa: B023 - at once
            hub.wait_burst(load, 120)
            wait_until(lambda: bridge.metric("portos_bridge_events_received_total") >= 2400, 30, "all received")
            wait_until(lambda: bridge.status()["sinks"]["mqtt"]["lagEvents"] == 0, 60, "all delivered")
            ledger = {identity_of_change(change) for change in hub.ledger()}
            windows = bridge.metric("portos_bridge_source_blind_windows_total") - windows
            lost = bridge.metric("portos_bridge_sink_disconnects_total", sink="mqtt")
            planned = bridge.metric("portos_bridge_sink_disconnects_total", sink="mqtt", reason="planned")
            reader.wait_for(ledger)
            assert bridge.terminate() == 0
        finally:
            bridge.kill9()
        records = reader.read()

    ends = f"{lost:g} connections over, {planned:g} of them planned"
    print(f"{len(ledger)} changes, {len(records)} messages, {windows:g} windows, {ends}")
    assert len(ledger) == 2400
    assert ledger - identities(records) == set()
    assert windows == 0
    assert planned >= 3
    assert len(records) - 2400 <= 100 * (lost - planned)
    assert "C4nary" not in bridge.log()


def connected(bridge: BridgeProcess) -> float:
    return bridge.metric("portos_bridge_sink_connects_total", sink="mqtt", result="ok")
