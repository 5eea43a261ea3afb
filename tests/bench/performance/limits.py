"""What the hub, the brokers and the disk can do alone, on this machine, for bodies of each size."""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.contender import Place
from tests.bench.ground import SINKS
from tests.bench.load import Load, burst, watching
from tests.bench.performance.arrivals import rate
from tests.bench.performance.growth import SIZES
from tests.bench.performance.session import Session
from tests.bench.subscriber import Seen
from tests.brokers.process import Program
from tests.support import wait_until

__all__ = ["COMMIT_BYTES", "COMMIT_EVENTS", "limits"]

COMMIT_EVENTS, COMMIT_BYTES = 100, 8_388_608
"""What is written and fsynced at once."""
_ROUNDS = 2
_DISK_SECONDS = 1.0


def limits(session: Session) -> None:
    """Measure each alone."""
    for turn in session.turns(_ROUNDS):
        for size, events in SIZES.items():
            count = session.events(events)
            runs = {
                "hub": lambda n=count, s=size: _listened(session.place("mqtt"), s, n),
                **{name: lambda n=count, s=size, k=name: _produced(session.place(k), s, n) for name in SINKS},
                "disk": lambda s=size: _fsynced(s),
            }
            for name, run in runs.items():
                session.take(f"round {turn + 1}: {name} alone, {size} B", f"{size}", run)


def _listened(place: Place, size: int, events: int) -> dict[str, float]:
    wait_until(lambda: not place.hub.state()["connections"], 30, "the last one has left the hub")
    with TemporaryDirectory(prefix="bench-limit-") as folder:
        words = ("127.0.0.1", place.hub.port, events)
        module = "tests.bench.performance.listener"
        reader = Program([sys.executable, "-m", module, *map(str, words)], Path(folder) / "log")
        try:
            reader.start(lambda: "subscribed" in reader.output(), 15)
            burst(place, events, 0, Load(size=size))
            if reader.wait(300):
                raise ChildProcessError(f"the reader ended with an error: {reader.output()[-500:]}")
            return {
                "hub to a reader that counts, messages/s": _rate(Seen(**json.loads(reader.output().splitlines()[-1])))
            }
        finally:
            reader.kill()


def _produced(place: Place, size: int, events: int) -> dict[str, float]:
    broker, sink = place.broker, place.sink
    name = place.resources[0]
    address, topic = (
        (broker.bootstrap, f"portos.{name}")
        if sink == "kafka"
        else (f"{broker.host}:{broker.port}", f"portos/resources/{name}")
    )
    words = (sink, address, topic, events, size)
    command = [sys.executable, "-m", "tests.bench.performance.producer", *map(str, words)]
    with (
        watching(place, 1, events - 1, sampled=False) as watch,
        TemporaryDirectory(prefix="bench-limit-") as folder,
    ):
        producer = Program(command, Path(folder) / "log")
        try:
            producer.start(lambda: True, 5)
            return {f"bare producer to {sink}, messages/s": _rate(watch.result())}
        finally:
            producer.kill()


def _rate(seen: Seen) -> float:
    if not seen.count:
        raise AssertionError("no messages arrived")
    return rate(seen.curve)


def _fsynced(size: int) -> dict[str, float]:
    """Append and fsync as many bodies at once as a busy journal commits, where a bench's journals are."""
    events = max(1, min(COMMIT_EVENTS, COMMIT_BYTES // size))
    data, written = os.urandom(size * events), 0
    with tempfile.NamedTemporaryFile(prefix="bench-disk-") as file:
        began = time.perf_counter()
        while (spent := time.perf_counter() - began) < _DISK_SECONDS:
            os.write(file.fileno(), data)
            os.fdatasync(file.fileno())
            written += events
    return {"disk, written and fsynced, messages/s": written / spent}
