"""The faults, each around a bridge of its own: made for real, and mended.

Every bridge has the settings that it has by itself, but for where its hub and its sink are. The sink is standard output
where the fault is not about one.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bridge.labels import SOURCE_DISCONNECTS
from tests.brokers import Hub, KafkaBroker, MqttBroker, start_hub
from tests.chaos.bridge_process import BridgeProcess, program
from tests.chaos.mutants import mutant
from tests.chaos.volume import Volume, volume
from tests.chaos.wire import Wire
from tests.chaos.zombies.clock import set_clock, with_clock
from tests.chaos.zombies.nameserver import NameServer, asking
from tests.chaos.zombies.sabotage import BLOCKED, TASKLESS, THREADLESS
from tests.support import free_port

__all__ = ["Case", "Faulty", "Place"]

_RATE, _SECONDS, _BYTES = 10, 600, 1000
_START_SECONDS = 90.0  # a dozen of them start at once
_TOKEN_SECONDS = 20.0
_LOSSES = tuple(reason for reason in SOURCE_DISCONNECTS if reason != "planned")
_DOUBTS_APART_SECONDS = 61.0
_REMEMBERED_SECONDS = 10.5  # aiohttp's `ttl_dns_cache` is 10


@dataclass(frozen=True, slots=True)
class Place:
    """What the bridges share: a hub that changes something all the time, and the brokers."""

    hub: Hub
    kafka: KafkaBroker
    mqtt: MqttBroker


@dataclass(frozen=True, slots=True)
class Case:
    """A bridge, and what is done to it; `runs` says that it is there before the fault.

    `further` is asked while the fault lasts, and names what is wrong beside what is looked at in every case.
    """

    bridge: BridgeProcess
    strike: Callable[[], None]
    mend: Callable[[], None]
    runs: bool = True
    further: Callable[[], Sequence[str]] = tuple


Faulty = Callable[[Place], "contextmanager[Case]"]


def busy(hub: Hub) -> Hub:
    """Let a hub change something ten times a second from now on."""
    hub.burst(_RATE * _SECONDS, rate=_RATE, size=_BYTES, resources=("tickets",))
    return hub


@contextmanager
def _folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="zombie-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextmanager
def _bridge(hub: Hub, settings: Mapping[str, str] | None = None, script: str = "") -> Iterator[BridgeProcess]:
    """Give a bridge that is to be started, by `script` if that is not the installed one; ends it."""
    usual = {"SINKS": "stdout", **hub.login, "SUBSCRIBE__RESOURCES": "tickets"}
    with _folder() as folder:
        bridge = BridgeProcess(folder, usual | dict(settings or {}), script)
        try:
            yield bridge
        finally:
            bridge.kill9()


@contextmanager
def _own_hub(**options: object) -> Iterator[Hub]:
    hub = busy(start_hub(**options))
    try:
        yield hub
    finally:
        hub.close()


@contextmanager
def _wired(hub: Hub, number: int) -> Iterator[Wire]:
    """Put a wire before the hub, on a loopback address of its own."""
    with Wire(hub.port, f"127.0.0.{number}") as wire:
        yield wire


def _nothing() -> None:
    """Let it heal by itself."""


def _restarted(bridge: BridgeProcess) -> Callable[[], None]:
    """Do as a supervisor does."""

    def restart() -> None:
        bridge.kill9()
        bridge.start(_START_SECONDS)

    return restart


@contextmanager
def half_open_hub(place: Place) -> Iterator[Case]:
    """Let nothing pass on the way to the hub any more, and close nothing."""
    with _wired(place.hub, 2) as wire, _bridge(place.hub, {"HUB__URL": wire.url}) as bridge:
        yield Case(bridge, wire.cut, wire.mend)


@contextmanager
def expired_token(_: Place) -> Iterator[Case]:
    """Let the hub refuse every renewal and every login, and close the connection when its token expires."""
    with _own_hub(TokenLifetimeSeconds=_TOKEN_SECONDS, CloseOnExpiry="true") as hub, _bridge(hub) as bridge:

        def strike() -> None:
            hub.reject()
            ends = bridge.metric("portos_bridge_auth_token_expiry_timestamp_seconds")
            time.sleep(max(0.0, ends - time.time()))

        yield Case(bridge, strike, lambda: hub.reject(on=False))


@contextmanager
def deaf_subscription(_: Place) -> Iterator[Case]:
    """Let the hub forget the subscription without a word; it goes on pinging."""
    with _own_hub() as hub, _bridge(hub) as bridge:

        def strike() -> None:
            time.sleep(_DOUBTS_APART_SECONDS)  # the start of so many bridges may have been slow enough for a doubt
            hub.forget()

        yield Case(bridge, strike, _nothing)


@contextmanager
def stuck_producer(place: Place) -> Iterator[Case]:
    """Freeze Kafka: its connections stay open and answer nothing."""
    settings = {"SINKS": "kafka", "SINK__KAFKA__BOOTSTRAP_SERVERS": place.kafka.bootstrap}
    with _bridge(place.hub, settings) as bridge:
        yield Case(bridge, place.kafka.pause, place.kafka.resume)


@contextmanager
def stuck_mqtt_client(place: Place) -> Iterator[Case]:
    """Freeze Mosquitto."""
    with _bridge(place.hub, {"SINKS": "mqtt", "SINK__MQTT__URL": place.mqtt.url}) as bridge:
        yield Case(bridge, place.mqtt.pause, place.mqtt.resume)


@contextmanager
def _sprung(place: Place, trap: str, heal: Callable[[BridgeProcess], Callable[[], None]]) -> Iterator[Case]:
    with _folder() as folder, _bridge(place.hub, script=mutant(folder, trap)) as bridge:
        yield Case(bridge, lambda: os.kill(bridge.pid, signal.SIGUSR1), heal(bridge))


@contextmanager
def blocked_loop(place: Place) -> Iterator[Case]:
    """Block the event loop's thread for a while."""
    with _sprung(place, BLOCKED, lambda _: _nothing) as case:
        yield case


@contextmanager
def dead_task(place: Place) -> Iterator[Case]:
    """Cancel the task that serves the sink."""
    with _sprung(place, TASKLESS, _restarted) as case:
        yield case


@contextmanager
def dead_thread(place: Place) -> Iterator[Case]:
    """End the journal's thread."""
    with _sprung(place, THREADLESS, _restarted) as case:
        yield case


def _on(disk: Volume) -> dict[str, str]:
    return {"JOURNAL__PATH": str(disk.folder / "journal.db")}


@contextmanager
def full_disk(place: Place) -> Iterator[Case]:
    """Take every block of the journal's volume while the sink's broker is away, so that the journal has to grow."""
    away = {"SINKS": "mqtt", "SINK__MQTT__URL": f"mqtt://127.0.0.1:{free_port()}"}
    with volume(64) as disk, _bridge(place.hub, away | _on(disk)) as bridge, ExitStack() as held:
        yield Case(bridge, lambda: held.enter_context(disk.filled()), held.close)


@contextmanager
def stalled_disk(place: Place) -> Iterator[Case]:
    """Let the journal's disk answer nothing."""
    with volume(64) as disk, _bridge(place.hub, _on(disk)) as bridge, ExitStack() as held:
        yield Case(bridge, lambda: held.enter_context(disk.stalled()), held.close)


@contextmanager
def read_only_disk(place: Place) -> Iterator[Case]:
    """Let ext4 find a fault on the journal's volume and go read-only, as most machines have it do."""
    with volume(64) as disk, _bridge(place.hub, _on(disk)) as bridge:

        def mend() -> None:
            disk.power_up()
            bridge.start(_START_SECONDS)

        yield Case(bridge, disk.go_read_only, mend)


@contextmanager
def clock_jump(_: Place) -> Iterator[Case]:
    """Set the bridge's clock an hour back, under a hub that closes the connection when its token expires."""
    hubs_own = _own_hub(TokenLifetimeSeconds=_TOKEN_SECONDS, CloseOnExpiry="true")
    with _folder() as folder, hubs_own as hub, _bridge(hub, script=with_clock(folder, program())) as bridge:

        def lost() -> Sequence[str]:
            time.sleep(2.5 * _TOKEN_SECONDS)
            return [f"a connection was lost: {reason}" for reason in _LOSSES if _lost(bridge, reason)]

        yield Case(bridge, lambda: set_clock(folder, -3600), lambda: set_clock(folder, 0), further=lost)


def _lost(bridge: BridgeProcess, reason: str) -> float:
    return bridge.metric("portos_bridge_source_disconnects_total", reason=reason)


@contextmanager
def second_owner(place: Place) -> Iterator[Case]:
    """Start a second bridge on the journal of one that runs; what is judged is the second."""
    with _bridge(place.hub) as first:
        first.start(_START_SECONDS)
        with _bridge(place.hub, {"JOURNAL__PATH": str(first.journal)}) as second:

            def mend() -> None:
                assert first.ready(), "the first bridge goes on"
                assert first.terminate() == 0
                second.start(_START_SECONDS)

            yield Case(second, second.launch, mend, runs=False)


@contextmanager
def dns_gone(place: Place) -> Iterator[Case]:
    """Let the name server answer nothing any more, and break the connection to the hub, which goes by its name."""
    with _wired(place.hub, 3) as wire, NameServer(wire.host) as names, _folder() as folder:
        settings = {"HUB__URL": f"http://hub.zombies.test:{place.hub.port}"}

        def strike() -> None:
            names.silent = True
            time.sleep(max(0.0, names.answered_at + _REMEMBERED_SECONDS - time.monotonic()))
            wire.reset()

        def mend() -> None:
            names.silent = False

        with _bridge(place.hub, settings, asking(folder, program())) as bridge:
            yield Case(bridge, strike, mend)
