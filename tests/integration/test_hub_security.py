"""The installed bridge and a hub behind TLS: let in, refused and told why, let in again; rotated without a loss."""

import shutil
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.brokers import Hub
from tests.brokers.certificates import Authority, server_context
from tests.brokers.kafka import WIRED_HOST
from tests.chaos.bridge_process import BridgeProcess
from tests.chaos.proxy import ConnectProxy
from tests.chaos.secured_wire import SecuredWire
from tests.support import free_port, wait_until

pytestmark = pytest.mark.hub


class Place:
    """A hub behind a terminator, and the files of a bridge that may be let in: authority, certificate and key."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self.hub = hub
        self.folder = folder
        self.ours = Authority(folder / "ours")
        self.stranger = Authority(folder / "stranger")
        self.wire = SecuredWire(hub.port, self.mutual())
        self.ca_file = folder / "ca.pem"
        self.cert_file, self.key_file = folder / "bridge.pem", folder / "bridge.key"
        self.trust(self.ours)
        self.identify(self.ours)

    def mutual(self, name: str = "server") -> ssl.SSLContext:
        """Give how it should be: a certificate for its host, and one of ours is wanted."""
        return server_context(self.ours.server(name, self.wire_host), self.ours)

    @property
    def wire_host(self) -> str:
        return WIRED_HOST

    def trust(self, authority: Authority) -> None:
        shutil.copy(authority.ca_file, self.ca_file)

    def identify(self, authority: Authority, name: str = "bridge") -> None:
        cert, key = authority.client(name, "of the key")
        shutil.copy(cert, self.cert_file)
        shutil.copy(key, self.key_file)

    def bridge(self, **settings: str) -> BridgeProcess:
        usual = {
            "SINKS": "stdout",
            **self.hub.login,
            "HUB__URL": self.wire.url,
            "HUB__CA_FILE": str(self.ca_file),
            "HUB__CLIENT_CERT_FILE": str(self.cert_file),
            "HUB__CLIENT_KEY_FILE": str(self.key_file),
            "HUB__CLIENT_KEY_PASSWORD": "of the key",
            "SUBSCRIBE__RESOURCES": "tickets",
            "DELIVERY__HOLD_PAUSE_SECONDS": "1",
        }
        return BridgeProcess(self.folder, usual | settings)

    def bridge_with_a_password_file(self, password: str) -> tuple[BridgeProcess, Path]:
        """Give one whose login may be rotated, with another password than the hub's own."""
        file = self.folder / "password"
        file.write_text(password)
        self.wire.password = password
        return self.bridge(AUTH__PASSWORD="", AUTH__PASSWORD_FILE=str(file)), file


@pytest.fixture
def place(hub: Hub, tmp_path: Path) -> Iterator[Place]:
    made = Place(hub, tmp_path)
    with made.wire:
        yield made


@contextmanager
def running(bridge: BridgeProcess, *, ready: bool = True) -> Iterator[BridgeProcess]:
    try:
        (bridge.start if ready else bridge.start_unready)()
        yield bridge
        assert bridge.terminate() == 0
    finally:
        bridge.kill9()


def last_error(bridge: BridgeProcess) -> str:
    return str(bridge.status()["hub"]["lastError"])


def heard(bridge: BridgeProcess, place: Place, changes: int = 50) -> None:
    """Check that what the hub says from now on arrives."""
    before = bridge.metric("portos_bridge_events_received_total")
    place.hub.wait_burst(place.hub.burst(changes, rate=0, resources=("tickets",)), 30)
    wait_until(lambda: bridge.metric("portos_bridge_events_received_total") >= before + changes, 30, "all received")


def test_a_private_authority_and_a_certificate_of_the_bridge(place: Place) -> None:
    """Login, negotiation and WebSocket pass, and so does `check --connect`."""
    bridge = place.bridge()

    with running(bridge):
        heard(bridge, place)
        tried = bridge.command("check", "--connect")

    assert tried.returncode == 0, tried.stdout


def old(place: Place) -> ssl.SSLContext:
    context = server_context(place.ours.server("old", place.wire_host))
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


FAULTS: dict[str, tuple[Callable[[Place], None], str]] = {
    "self-signed": (
        lambda place: place.wire.present(server_context(place.stranger.server("own", place.wire_host))),
        "PORTOS_BRIDGE_HUB__CA_FILE",
    ),
    "expired": (
        lambda place: place.wire.present(server_context(place.ours.server("expired", place.wire_host, expired=True))),
        "its certificate has expired",
    ),
    "another host": (
        lambda place: place.wire.present(server_context(place.ours.server("elsewhere", "hub.example"))),
        "for another host: set PORTOS_BRIDGE_HUB__URL",
    ),
    "another's certificate": (
        lambda place: place.wire.present(server_context(place.ours.server("strange", place.wire_host), place.stranger)),
        "who signed the certificate of the bridge: check PORTOS_BRIDGE_HUB__CLIENT_CERT_FILE",
    ),
    "TLS 1.1": (lambda place: place.wire.present(old(place)), "no TLS of version 1.2 or later"),
    "no TLS": (lambda place: place.wire.present(None), "no TLS on that port: check PORTOS_BRIDGE_HUB__URL"),
}


@pytest.mark.filterwarnings("ignore:.*TLSv1_1:DeprecationWarning")
@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_held_and_told_until_it_is_right(place: Place, name: str) -> None:
    """Variable and cause stand in the log, in /status and in `check --connect`; nobody has to restart anything."""
    spoil, said = FAULTS[name]
    bridge = place.bridge()
    with running(bridge):
        spoil(place)
        place.wire.reset()
        wait_until(lambda: said in last_error(bridge), 20, f"/status says {said}")
        tried = bridge.command("check", "--connect")
        assert said in tried.stdout
        assert tried.returncode == 1

        place.wire.present(place.mutual("renewed"))
        wait_until(bridge.ready, 20, "connected again")
        heard(bridge, place)
        windows = bridge.metric("portos_bridge_source_blind_windows_total", cause="network")
        log = bridge.log()

    assert said in log
    assert windows == 1


def test_a_certificate_of_the_bridge_that_is_wanted_and_not_there_is_told(place: Place) -> None:
    """The setting is named; the bridge goes on as soon as none is wanted."""
    bridge = place.bridge(HUB__CLIENT_CERT_FILE="", HUB__CLIENT_KEY_FILE="", HUB__CLIENT_KEY_PASSWORD="")
    said = "asks for a certificate of the bridge: set PORTOS_BRIDGE_HUB__CLIENT_CERT_FILE"
    with running(bridge, ready=False):
        wait_until(lambda: said in last_error(bridge), 20, f"/status says {said}")
        assert said in bridge.command("check", "--connect").stdout

        place.wire.present(server_context(place.ours.server("lenient", place.wire_host)))
        wait_until(bridge.ready, 20, "connected")
        heard(bridge, place)


def windows(bridge: BridgeProcess) -> float:
    return bridge.metric("portos_bridge_source_blind_windows_total")


def planned(bridge: BridgeProcess) -> float:
    return bridge.metric("portos_bridge_source_disconnects_total", reason="planned")


def test_all_files_are_rotated_under_load_and_nothing_is_lost(place: Place) -> None:
    """Authority, certificate, key and password, three times under 200/s: 0 lost, 0 blind, no old session is left."""
    bridge, password = place.bridge_with_a_password_file("C4nar0")
    with running(bridge):
        blind = windows(bridge)
        load = place.hub.burst(6000, rate=200, resources=("tickets",))
        for number in range(1, 4):
            authority = Authority(place.folder / f"authority-{number}")
            place.wire.present(server_context(authority.server("server", place.wire_host), authority))
            place.trust(authority)
            place.identify(authority)
            wait_until(lambda: planned(bridge) >= 2 * number - 1, 30, "taken over with the new certificates")  # noqa: B023 - at once
            place.wire.password = f"C4nar{number}"
            password.write_text(place.wire.password)
            wait_until(lambda: planned(bridge) >= 2 * number, 30, "taken over with the new password")  # noqa: B023 - at once
        wait_until(lambda: place.hub.state()["tokens"]["sessions"] == 1, 10, "logged out of the sessions before")
        place.hub.wait_burst(load, 120)
        wait_until(lambda: bridge.metric("portos_bridge_events_received_total") >= 6000, 30, "all received")
        wait_until(lambda: bridge.status()["sinks"]["stdout"]["lagEvents"] == 0, 60, "all delivered")
        blind, disconnects = windows(bridge) - blind, bridge.metric("portos_bridge_source_disconnects_total")
        delivered = bridge.metric("portos_bridge_sink_delivered_events_total")
        log = bridge.log()

    print(f"6000 changes, {delivered:g} delivered, {blind:g} windows, {disconnects:g} connections left")
    assert (blind, disconnects) == (0, 6)
    assert delivered == 6000 + 1, "each of them once, and the window before the first connection"
    assert "C4nar" not in log


def test_a_rotation_that_goes_wrong_takes_no_connection_away(place: Place) -> None:
    """Told with the variable, also after the connection broke; taken up once it is right. No window but that one."""
    bridge, password = place.bridge_with_a_password_file("C4nar0")
    with running(bridge):
        heard(bridge, place)
        blind = windows(bridge)
        place.trust(place.stranger)
        wait_until(lambda: "PORTOS_BRIDGE_HUB__CA_FILE changed, and the bridge goes on" in bridge.log(), 20, "told")
        place.trust(place.ours)
        password.write_text("wrong!")
        wait_until(lambda: "PORTOS_BRIDGE_AUTH__PASSWORD changed, and the bridge goes on" in bridge.log(), 20, "told")
        assert (windows(bridge), planned(bridge)) == (blind, 0)

        place.wire.reset()
        wait_until(lambda: windows(bridge) == blind + 1, 20, "connected again, with what it had")
        heard(bridge, place)
        place.wire.password = "C4nar1"
        password.write_text("C4nar1")
        load = place.hub.burst(1000, rate=100, resources=("tickets",))  # by which two connections are compared
        wait_until(lambda: planned(bridge) == 1, 20, "the right one is taken up")
        place.hub.wait_burst(load, 30)
        assert windows(bridge) == blind + 1


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    made = ConnectProxy(free_port(), "the bridge", "C4nary-of-the-proxy")
    with made:
        yield made


def through(place: Place, proxy: ConnectProxy) -> tuple[BridgeProcess, Path]:
    """Make a bridge that reaches the hub through a proxy alone; give the file with its address, too."""
    file = place.folder / "proxy"
    file.write_text(proxy.address)
    return place.bridge(HUB__PROXY_URL_FILE=str(file)), file


BARRED: dict[str, tuple[Callable[[ConnectProxy], object], str]] = {
    "away": (lambda proxy: proxy.go(), "the proxy in PORTOS_BRIDGE_HUB__PROXY_URL: "),
    "wrong password": (
        lambda proxy: setattr(proxy, "password", "another one"),
        "HTTP status 407: check user name and password in it",
    ),
    "forbids": (lambda proxy: setattr(proxy, "refusal", 403), "it does not let the bridge connect to the address"),
}


@pytest.mark.parametrize("name", BARRED)
def test_a_proxy_that_bars_the_way_is_told_until_it_lets_through(place: Place, proxy: ConnectProxy, name: str) -> None:
    """Login and hub are reached through it alone, and nothing else is told of the hub than its address."""
    bar, said = BARRED[name]
    bridge, _ = through(place, proxy)
    with running(bridge):
        heard(bridge, place)
        bar(proxy)
        proxy.reset()
        wait_until(lambda: said in last_error(bridge), 20, f"/status says {said}")
        tried = bridge.command("check", "--connect")
        assert said in tried.stdout

        if name == "away":
            proxy.come_back()
        proxy.password, proxy.refusal = "C4nary-of-the-proxy", None
        wait_until(bridge.ready, 20, "connected again")
        heard(bridge, place)
        shown = bridge.log() + bridge.page("/status") + tried.stdout + tried.stderr

    assert set(proxy.asked) == {f"{place.wire.host}:{place.wire.port}"}
    assert "C4nary" not in shown


def test_the_password_for_a_proxy_is_rotated_under_load_and_nothing_is_lost(place: Place, proxy: ConnectProxy) -> None:
    """A second connection through the proxy takes over, as for any other file."""
    bridge, file = through(place, proxy)
    with running(bridge):
        blind = windows(bridge)
        load = place.hub.burst(2000, rate=200, resources=("tickets",))
        proxy.password = "C4nary-rotated"
        file.write_text(proxy.address)
        wait_until(lambda: planned(bridge) == 1, 20, "taken over")
        place.hub.wait_burst(load, 60)
        wait_until(lambda: bridge.metric("portos_bridge_events_received_total") >= 2000, 30, "all received")
        wait_until(lambda: bridge.status()["sinks"]["stdout"]["lagEvents"] == 0, 30, "all delivered")
        delivered = bridge.metric("portos_bridge_sink_delivered_events_total")
        blind = windows(bridge) - blind
        log = bridge.log()

    assert (blind, delivered) == (0, 2000 + 1)
    assert "C4nary" not in log
