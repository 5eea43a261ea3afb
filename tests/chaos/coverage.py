"""The coverage run: random outages under 200 changes/s, and every change that was missed lies in a told window."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from tests.brokers import KafkaBroker, MqttBroker, start_hub
from tests.chaos.outages import OUTAGES
from tests.chaos.trial import QUICK, Report, trial
from tests.support import wait_until

__all__ = ["LONG", "SHORT", "Plan", "cover"]

_SPARE_LIVES = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """How long the outages go on, at least, and how long it is quiet between two of them, at most.

    `blind` is how likely an outage does not wait until the bridge hears again after the last one.
    """

    seconds: float
    pause_seconds: float
    blind: float


SHORT = Plan(0, 1.0, 0.0)
"""Every outage once, each on a bridge that hears."""
LONG = Plan(180, 5.0, 0.25)


def cover(kafka: KafkaBroker, mqtt: MqttBroker, plan: Plan, seed: str) -> Report:
    """Run a bridge through outages, every kind before any again, and judge it."""
    dice = Random(seed)  # noqa: S311 - the moment of an outage is no secret
    hub = start_hub(KeepAliveSeconds=1, CloseOnExpiry="true")
    done: list[str] = []
    started = time.monotonic()
    lives = 1 + _SPARE_LIVES + int(plan.seconds / (2 * len(OUTAGES)))
    try:
        with trial(kafka, mqtt, hub, QUICK, lives=lives) as run:
            for name in _drawn(dice):
                if len(done) >= len(OUTAGES) and time.monotonic() - started >= plan.seconds:
                    break
                if dice.random() >= plan.blind:
                    wait_until(run.hears, 20, f"the bridge hears again after {done}")
                time.sleep(dice.uniform(0.2, plan.pause_seconds))
                OUTAGES[name](run, dice)
                done.append(name)
            run.settle()
            run.finish()
            report = run.judge()
    finally:
        hub.close()
    seconds = time.monotonic() - started
    return replace(report, summary=f"seed {seed}, {len(done)} outages in {seconds:.0f} s, {report.summary}")


def _drawn(dice: Random) -> Iterator[str]:
    while True:
        yield from dice.sample(list(OUTAGES), len(OUTAGES))
