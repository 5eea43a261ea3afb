"""How much later events reach MQTT while Kafka is away: the installed program, and a consumer's own clock.

Frozen, killed and whole phases take turns, so that whatever else the machine does falls on all of them.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from tests.brokers import KafkaBroker, MqttBroker, start_hub
from tests.chaos.world import World, opened
from tests.oracle.record import created_at

__all__ = ["Neighbour", "measure"]

Phase = Callable[[KafkaBroker], AbstractContextManager[None]]
_RATE = 200
_SETTLING_SECONDS = 2.0
_ALLOWED = 1.1


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The latency over MQTT from the hub's stamp to the consumer, in seconds, by what Kafka was doing.

    A comparison of latencies is told and not judged: on a machine with other work it says more of that work.
    """

    latencies: Mapping[str, Sequence[float]]
    problems: Sequence[str]

    @property
    def summary(self) -> str:
        """Give number, median and 99th percentile of each phase, and how that compares with the whole one."""
        whole = _percentile(self.latencies["whole"], 0.99)
        parts = []
        for phase, found in self.latencies.items():
            late = _percentile(found, 0.99)
            ratio = f", {late / whole:.2f} of whole" if phase != "whole" else f", {_ALLOWED:.2f} of it is allowed"
            parts.append(
                f"Kafka {phase}: {len(found)} events, p50 {1000 * _percentile(found, 0.5):.1f} ms, "
                f"p99 {1000 * late:.1f} ms{ratio}"
            )
        return "; ".join(parts)


def measure(kafka: KafkaBroker, mqtt: MqttBroker, rounds: int, phase_seconds: float) -> Neighbour:
    """Let each phase come so many times, and judge the whole for loss and disorder over both sinks."""
    phases: dict[str, Callable[[KafkaBroker], AbstractContextManager[None]]] = {
        "whole": _whole,
        "frozen": _frozen,
        "killed": _killed,
    }
    spans: dict[str, list[tuple[float, float]]] = {phase: [] for phase in phases}
    hub = start_hub()
    try:
        with opened(hub, kafka, mqtt, {"DELIVERY__ANSWER_SECONDS": "5"}, qos=0) as world:
            count = int(_RATE * rounds * (len(phases) * (phase_seconds + _SETTLING_SECONDS) + 20))
            load = world.load(count, rate=_RATE)
            for number in range(rounds * len(phases)):
                phase = list(phases)[number % len(phases)]
                with phases[phase](kafka):
                    time.sleep(_SETTLING_SECONDS)
                    began = time.time()
                    time.sleep(phase_seconds)
                    spans[phase].append((began, time.time()))
                time.sleep(_SETTLING_SECONDS)
            world.finish(load)
            verdict = world.judge()
            latencies = _by_phase(world, spans)
            problems = [f"{sink}: {what}" for sink, what in verdict.faults().items()]
            problems += [f"no events while Kafka was {phase}" for phase, found in latencies.items() if not found]
            return Neighbour(latencies, problems)
    finally:
        kafka.resume()
        hub.close()


def _by_phase(world: World, spans: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, list[float]]:
    stamped = [(created_at(found.value), found.at) for found in world.mqtt_reader.read()]
    return {
        phase: sorted(at - stamp for stamp, at in stamped if any(began < stamp < ended for began, ended in times))
        for phase, times in spans.items()
    }


def _percentile(ascending: Sequence[float], share: float) -> float:
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))] if ascending else float("nan")


@contextmanager
def _whole(_: KafkaBroker) -> Iterator[None]:
    yield


@contextmanager
def _frozen(kafka: KafkaBroker) -> Iterator[None]:
    kafka.pause()
    try:
        yield
    finally:
        kafka.resume()


@contextmanager
def _killed(kafka: KafkaBroker) -> Iterator[None]:
    kafka.kill()
    try:
        yield
    finally:
        kafka.restart()
