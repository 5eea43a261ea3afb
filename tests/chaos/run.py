"""One run of one fault, from an empty hub to the judge's figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from tests.brokers import KafkaBroker, MqttBroker, start_hub
from tests.chaos.faults import Fault
from tests.chaos.world import opened

__all__ = ["Figures", "run"]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run of a fault came to; `problems` is empty where every promise was kept."""

    fault: str
    accepted: int
    lost_on_the_wire: int
    missing: Mapping[str, int]
    disordered: Mapping[str, int]
    repeated: Mapping[str, int]
    recoveries: tuple[float, ...]
    problems: tuple[str, ...]


def run(fault: Fault, kafka: KafkaBroker, mqtt: MqttBroker, dice: Random) -> Figures:
    """Run a fault between two brokers, which are whole again afterwards."""
    hub = start_hub(**fault.hub_options)
    try:
        with opened(hub, kafka, mqtt, fault.settings, qos=0) as world:
            try:
                load = fault.run(world, dice)
            finally:
                kafka.resume()
                hub.resume()
            world.finish(load)
            verdict = world.judge(tail_seconds=fault.tail_seconds)
            recoveries = tuple(world.recoveries)
    finally:
        hub.close()
    problems = [f"{sink}: {what}" for sink, what in verdict.faults().items()]
    problems += [
        f"{sink}: {found.repeated} repeats, at most {fault.repeats[sink]} are allowed"
        for sink, found in verdict.sinks.items()
        if found.repeated > fault.repeats[sink]
    ]
    problems += [
        f"{seconds:.1f} s to a subscription, at most {fault.recovery_seconds:g} s are allowed"
        for seconds in recoveries
        if seconds > fault.recovery_seconds
    ]
    return Figures(
        fault.name,
        verdict.accepted,
        verdict.lost_on_the_wire,
        {sink: len(found.missing) for sink, found in verdict.sinks.items()},
        {sink: len(found.disordered) for sink, found in verdict.sinks.items()},
        {sink: found.repeated for sink, found in verdict.sinks.items()},
        recoveries,
        tuple(problems),
    )
