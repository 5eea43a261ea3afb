"""One part while it is measured: what it is measured on, how much of everything, and what it has come to so far."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from time import thread_time

import pytest
from confluent_kafka import KafkaException

from tests.bench.contender import OURS, PEER, Contender, Place, contender
from tests.bench.ground import Ground
from tests.bench.measure import new_place
from tests.bench.report import Figures, cell

__all__ = ["Session"]

_ADDITIONS = 1_000_000
_TROUBLE = (
    *(AssertionError, KafkaException, OSError, RuntimeError, ValueError),
    *(pytest.skip.Exception, pytest.fail.Exception),
)


@dataclass(slots=True)
class Session:
    """Collects the figures of a part; `scale` makes all counts smaller for a try, `rounds` is 0 for the part's own."""

    ground: Ground
    scale: float = 1.0
    rounds: int = 0
    figures: Figures = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    pace: list[float] = field(default_factory=list)
    """Milliseconds of CPU that the same piece of Python took before each run."""

    def events(self, number: int, least: int = 20) -> int:
        """Give how many events to send where that many are meant."""
        return max(least, int(number * self.scale))

    def burst(self, sink: str, number: int) -> int:
        """Give the same for a burst into one sink: half of it for MQTT, which every bridge is slower at."""
        return self.events(number if sink == "kafka" else number // 2)

    def turns(self, own: int) -> range:
        """Give the rounds of what is measured so often by itself."""
        return range(self.rounds or own)

    def place(self, sink: str, resources: int = 1) -> Place:
        """Take new resources, and so new topics."""
        return new_place(self.ground.hub, self.ground.broker(sink), sink, resources)

    def take(self, title: str, column: str, run: Callable[[], Mapping[str, float]]) -> None:
        """Measure once, print what it gave and keep it; a run that fails is told and is not the end of the part.

        What the run before has left to the system to write, a gigabyte of it, is on disk first.
        """
        os.sync()
        self.pace.append(_pace())
        try:
            values = run()
        except _TROUBLE as error:
            print(f"{title}: no figures ({self.pace[-1]:.0f} ms): {error!r}", flush=True)
            self.failed.append(f"{title}: {str(error) or type(error).__name__}"[:300])
            return
        self.keep(column, values)
        if not values:
            return
        shown = ", ".join(f"{name} {value:,.4g}" for name, value in values.items())
        print(f"{title} ({self.pace[-1]:.0f} ms): {shown}", flush=True)

    def noted(self) -> dict[str, str]:
        """Give the notes, with the pace."""
        return self.notes | {"How fast the machine was, a million additions in Python, ms": cell(self.pace)}

    def keep(self, column: str, values: Mapping[str, float]) -> None:
        """Add a round to a column."""
        for name, value in values.items():
            self.figures.setdefault(name, {}).setdefault(column, []).append(value)

    def contenders(self) -> list[Contender]:
        """Give our bridge, and the .NET bridge where it is there; note where it is not."""
        found = {name: contender(name) for name in (OURS, PEER)}
        self.notes |= {f"without {name}": each for name, each in found.items() if isinstance(each, str)}
        return [each for each in found.values() if isinstance(each, Contender)]

    def warm_up(self, runs: Iterable[tuple[str, Callable[[], Mapping[str, float]]]]) -> None:
        """Run without keeping: a broker just started is slow for whoever comes first."""
        for title, run in runs:
            beside = Session(self.ground, self.scale)
            beside.take(f"not counted: {title}", "", run)
            self.failed += [f"not warm: {reason}" for reason in beside.failed]


def _pace() -> float:
    began, total = thread_time(), 0
    for number in range(_ADDITIONS):
        total += number
    return (thread_time() - began) * 1000
