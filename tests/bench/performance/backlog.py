"""How fast a backlog goes out when the broker is back: a thousand rows to a million, read from the disk.

The broker is frozen while the rows are stored; the bridge is killed and started anew before the broker goes on, so that
nothing of any backlog is still in memory. The time runs from the moment that the bridge logs its connection until the
last row has arrived, by the broker's clock (Kafka) or the subscriber's: a thousand rows may be one request, which
arrives at once and would have no rate by itself.
"""

import json
import shutil
import tempfile
import time
from datetime import datetime
from pathlib import Path

from tests.bench.contender import Place, settings_of
from tests.bench.ground import SINKS
from tests.bench.load import KafkaWatch, burst, watching
from tests.bench.performance.session import Session
from tests.chaos.bridge_process import BridgeProcess
from tests.support import wait_until

__all__ = ["ROWS", "backlog", "connected_at"]

ROWS = {
    "kafka": {1_000: 5, 10_000: 5, 100_000: 3, 1_000_000: 1},
    "mqtt": {1_000: 5, 10_000: 3, 100_000: 2, 1_000_000: 1},
}
"""Rounds by rows: a million of them is a long mean by itself."""
_ROOM_BYTES = 4 << 30
_LONGEST_SECONDS, _BACK_SECONDS = 600, 60
_LARGE = {"JOURNAL__MAX_BYTES": str(_ROOM_BYTES), "DELIVERY__LONGEST_PAUSE_SECONDS": "1"}


def backlog(session: Session) -> None:
    """Measure backlogs of each length for each sink, the shortest first."""
    for sink in SINKS:
        for rows, rounds in ROWS[sink].items():
            number = session.events(rows, 1_000)
            for turn in session.turns(rounds):
                title = f"round {turn + 1}: {sink}, {number} rows"
                session.take(title, f"{rows}", lambda s=sink, n=number: _once(session.place(s), n))


def _once(place: Place, rows: int) -> dict[str, float]:
    folder = Path(tempfile.mkdtemp(prefix="bench-backlog-"))
    bridge = BridgeProcess(folder, settings_of(place) | _LARGE)
    try:
        with watching(place, 1, rows - 1, sampled=False, stamped=True) as watch:
            place.broker.pause()
            try:
                stored = _stored(bridge, place, rows)
                opening = _opened_again(bridge)
            finally:
                place.broker.resume()
            wait_until(watch.warm, _BACK_SECONDS, "the first row has arrived")
            seen = watch.result()
            if seen.count < rows - 1:
                raise AssertionError(f"{seen.count + 1} of {rows} rows arrived")
            wait_until(lambda: not bridge.metric("portos_bridge_journal_events"), 60, "everything is settled")
            settled = time.time() - seen.last_at
            curve = watch.arrivals(120) if isinstance(watch, KafkaWatch) else seen.curve
            connected = connected_at(bridge.log(), place.sink)
    finally:
        bridge.kill9()
        shutil.rmtree(folder, ignore_errors=True)
    return {
        f"{place.sink}: rows delivered/s": rows / (curve[-1][0] - connected),
        f"{place.sink}: rows stored/s, no broker": stored,
        f"{place.sink}: opening the journal to subscribed, s": opening,
        f"{place.sink}: last delivered to all settled, s": settled,
    }


def connected_at(log: str, sink: str) -> float:
    """Find in a log of JSON lines when a sink was connected last."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    moments = [line["time"] for line in lines if line["message"] == f"sink {sink} connected"]
    if not moments:
        raise AssertionError(f"the log does not say that {sink} was connected")
    return datetime.fromisoformat(moments[-1]).timestamp()


def _stored(bridge: BridgeProcess, place: Place, rows: int) -> float:
    """Fill the journal, and give how many rows were stored a second."""
    bridge.start()
    began = time.monotonic()
    burst(place, rows, 0)
    accepted = "portos_bridge_events_accepted_total"
    wait_until(lambda: bridge.metric(accepted) >= rows, _LONGEST_SECONDS, f"{rows} rows are stored")
    return rows / (time.monotonic() - began)


def _opened_again(bridge: BridgeProcess) -> float:
    bridge.kill9()
    began = time.monotonic()
    bridge.start(_LONGEST_SECONDS)
    return time.monotonic() - began
