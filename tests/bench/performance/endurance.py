"""Memory over a long life: a million messages to both sinks and a thousand reconnects, and the RSS at each step.

The hub aborts the connection; after each abort the bridge logs in, negotiates and subscribes anew. Its pauses are set
short, or a thousand of them would take hours.
"""

import shutil
import tempfile
from pathlib import Path

from tests.bench.contender import Place, settings_of, usage
from tests.bench.ground import SINKS
from tests.bench.load import burst, watching
from tests.bench.performance.session import Session
from tests.chaos.bridge_process import BridgeProcess
from tests.support import wait_until

__all__ = ["endurance"]

EVENTS, RECONNECTS, STEPS = 1_000_000, 1_000, 50
_SETTLED_STEPS = 3
"""After so many steps the process has what it needs, and what grows is counted."""
_PAUSES = {"HUB__FIRST_PAUSE_SECONDS": "0.05", "HUB__LONGEST_PAUSE_SECONDS": "0.05"}


def endurance(session: Session) -> None:
    """Run it once."""
    session.take("endurance", "all", lambda: _run(session))


def _run(session: Session) -> dict[str, float]:
    place = session.place("kafka")
    other = Place(place.hub, session.ground.broker("mqtt"), "mqtt", place.resources)
    folder = Path(tempfile.mkdtemp(prefix="bench-endurance-"))
    settings = settings_of(place) | dict(other.address) | {"SINKS": ",".join(SINKS)} | _PAUSES
    bridge = BridgeProcess(folder, settings)
    events, reconnects = session.events(EVENTS, STEPS), session.events(RECONNECTS, STEPS)
    resident: list[float] = []
    sent = events // STEPS * STEPS
    try:
        with watching(place, 0, sent, sampled=False) as watch:
            bridge.start()
            for step in range(1, STEPS + 1):
                _send(bridge, place, events // STEPS, step)
                _reconnect(bridge, place, reconnects // STEPS)
                resident.append(usage(bridge.pid).resident_mib)
                session.keep(f"{step * (events // STEPS)}", {"RSS, MiB": resident[-1]})
            arrived = watch.result().count
        delivered = bridge.metric(_DELIVERED, sink="mqtt") - bridge.metric(_OWN)
        connects = bridge.metric(_CONNECTS, result="ok")
    finally:
        bridge.kill9()
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "messages": sent,
        "reconnects": connects - 1,
        "RSS at the end less RSS when settled, MiB": resident[-1] - resident[min(_SETTLED_STEPS, STEPS) - 1],
        "highest RSS, MiB": max(resident),
        "kafka: missing": sent - arrived,
        "mqtt: missing": sent - delivered,
    }


_DELIVERED = "portos_bridge_sink_delivered_events_total"
_CONNECTS = "portos_bridge_source_connects_total"
_OWN = "portos_bridge_events_generated_total"
_ACCEPTED = "portos_bridge_events_received_total"
_STORED = "portos_bridge_journal_events"


def _send(bridge: BridgeProcess, place: Place, count: int, step: int) -> None:
    """Send a burst, and wait until the bridge has it and has nothing left to deliver."""
    burst(place, count, 0)
    wait_until(lambda: bridge.metric(_ACCEPTED) >= count * step, 300, f"{count * step} events were received")
    wait_until(lambda: not bridge.metric(_STORED), 300, "nothing waits for a sink")


def _reconnect(bridge: BridgeProcess, place: Place, times: int) -> None:
    for _ in range(times):
        before = bridge.metric(_CONNECTS, result="ok")
        place.hub.disconnect()
        wait_until(lambda number=before: bridge.metric(_CONNECTS, result="ok") > number, 60, "the bridge is back")
        wait_until(lambda: bridge.metric("portos_bridge_source_connected"), 60, "the bridge is subscribed")
