"""From a real journal to one sink through the real loops, with short pauses: what the tests of the sinks share."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from prometheus_client.samples import Sample

from bridge.journal import Journal, Limits, open_journal
from bridge.link import Gauges, Link, Times
from bridge.message import Message
from bridge.metrics import Catalogue
from bridge.pipeline import Delivery
from bridge.policy import Pauses
from bridge.ports import SinkPlugin
from bridge.settings import SinkConfig
from tests.support import until
from tests.unit.loops import kept

__all__ = ["Run", "delivering", "disordered"]

C = TypeVar("C", bound=SinkConfig)

_CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 5.0
_STABLE_SECONDS = 30.0
_PAUSES = Pauses(first_seconds=0.01, longest_seconds=0.02, hold_seconds=0.02)


@dataclass(slots=True)
class Run:
    """A sink at work. `lost` counts ended connections by reason."""

    journal: Journal
    catalogue: Catalogue
    link: Link
    lost: Counter[str]

    async def append(self, messages: Sequence[Message]) -> None:
        await self.journal.append(messages)

    @property
    def left(self) -> int:
        """How many events are neither delivered nor dead letters."""
        return self.journal.lag(SINK).events

    async def settled(self, seconds: float) -> None:
        """Wait until every event is delivered or a dead letter."""
        await until(lambda: self.left == 0, seconds, f"all settled, with {self.left} left: {self.link.last_error}")

    def dead_letters(self) -> Mapping[str, int]:
        """Count dead letters by reason."""
        name = "portos_bridge_sink_dead_lettered_events_total"
        return {each.labels["reason"]: int(each.value) for each in self._samples(name) if each.value}

    def shed(self) -> int:
        """Count what was delivered without its body."""
        return sum(int(each.value) for each in self._samples("portos_bridge_sink_shed_events_total"))

    def _samples(self, name: str) -> list[Sample]:
        samples = (each for family in self.catalogue.registry.collect() for each in family.samples)
        return [each for each in samples if each.name == name and each.labels["sink"] == SINK]


SINK = "kafka"  # a name of the closed set that metrics know; which sink it is makes no difference here


@asynccontextmanager
async def delivering(
    folder: Path,
    plugin: SinkPlugin[C],
    config: C,
    *,
    answer_seconds: float = 10.0,
    pauses: Pauses = _PAUSES,
) -> AsyncIterator[Run]:
    """Deliver what is appended over one connection after another until this is left."""
    limits = Limits(60 * 2**20, 2**20, 100, 0.02)
    catalogue = Catalogue("default", [SINK, "mqtt"], ["tickets"], 50)
    async with open_journal(folder / "journal.db", [SINK], 64 * 2**20, limits) as journal:
        lost: Counter[str] = Counter()
        gauges = Gauges(lambda _: None, lambda why: lost.update([why]), lambda _: None, lambda _: None)
        link = Link("sink", Times(_CONNECT_SECONDS, _CLOSE_SECONDS, _STABLE_SECONDS, pauses), gauges)
        delivery = Delivery(SINK, journal, catalogue, link, config.window_events, answer_seconds, shed=config.sheds)
        async with kept(link, lambda: plugin.connect(config), delivery.run):
            yield Run(journal, catalogue, link, lost)


def disordered(messages: Sequence[Message], arrived: Iterable[str]) -> list[str]:
    """Name the ids whose first arrival was behind a later message of the same resource and id."""
    place = {message.id: (at, (message.resource, message.resource_id)) for at, message in enumerate(messages)}
    newest: dict[tuple[str | None, str | None], int] = {}
    late = []
    for identity in dict.fromkeys(arrived):
        at, key = place[identity]
        if at < newest.get(key, -1):
            late.append(identity)
        newest[key] = max(at, newest.get(key, -1))
    return late
