"""How long from the start of the process until the hub has taken its last subscription, by the hub's own clock."""

import shutil
import tempfile
import time
from datetime import datetime
from pathlib import Path

from tests.bench.contender import Place, ours
from tests.bench.ground import SINKS
from tests.bench.performance.session import Session
from tests.support import wait_until

__all__ = ["start"]

_ROUNDS = 7


def start(session: Session) -> None:
    """Measure the start with each sink."""
    session.warm_up((sink, lambda s=sink: _once(session.place(s))) for sink in SINKS)
    for turn in session.turns(_ROUNDS):
        for sink in SINKS:
            session.take(f"round {turn + 1}: {sink}", sink, lambda s=sink: _once(session.place(s)))


def _once(place: Place) -> dict[str, float]:
    wait_until(lambda: not place.hub.state()["connections"], 30, "the last bridge has left the hub")
    folder = Path(tempfile.mkdtemp(prefix="bench-start-"))
    began = time.time()
    try:
        _, stop = ours("ours", {}).start(place, folder)
        try:
            return {
                "from start to subscribed, s": wait_until(lambda: _subscribed_at(place, began), 20, "subscribed")
                - began
            }
        finally:
            stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _subscribed_at(place: Place, began: float) -> float:
    """Give when the hub took the subscription to licences, which comes last; 0 before that."""
    for entry in reversed(place.hub.state()["log"]):
        if entry["what"] == "subscribed" and "licence" in entry["request"]["e"]:
            at = datetime.fromisoformat(entry["at"]).timestamp()
            return at if at >= began else 0
    return 0
