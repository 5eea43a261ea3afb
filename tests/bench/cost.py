"""What TLS and compression cost: our bridge beside itself, in turns, on the same hub and the same brokers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from functools import partial

import pytest

from tests.bench.contender import Contender, Settings, ours
from tests.bench.measure import WARM_EVENTS, noted, throughput
from tests.bench.report import Figures
from tests.brokers import Hub
from tests.brokers.secured import SecuredKafka
from tests.brokers.secured_mqtt import SecuredMosquitto

__all__ = ["PLAIN", "WAYS", "costs"]

PLAIN = "plain"
WAYS = (PLAIN, "tls", "gzip", "lz4", "zstd")
Broker = SecuredKafka | SecuredMosquitto


def costs(hub: Hub, events: int, rounds: int) -> tuple[Figures, int]:
    """Measure each way round after round; give the figures by way, and how many runs gave none."""
    figures: Figures = {}
    failed = 0
    with ExitStack() as stack:
        brokers = {name: stack.enter_context(closing(broker)) for name, broker in _brokers()}
        runs = [(sink, broker, list(_ways(sink, broker))) for sink, broker in brokers.items()]
        for sink, broker, ways in runs:
            number = events if sink == "kafka" else events // 2
            run = partial(_run, hub=hub, broker=broker, sink=sink, events=number)
            if sink == "kafka":  # a broker just started is slow for whoever comes first
                noted(f"not counted: {sink}, {ways[0].name}", ways[0], run, {})
            for turn in range(rounds):
                for way in (*ways[turn % len(ways) :], *ways[: turn % len(ways)]):
                    failed += not noted(f"round {turn + 1}: cost, {sink}, {way.name}", way, run, figures)
    return figures, failed


def _brokers() -> Iterator[tuple[str, Broker]]:
    """Start what can be started, and say what cannot."""
    starts: Mapping[str, Callable[[], Broker]] = {
        "kafka": partial(SecuredKafka, "auto.create.topics.enable=true num.partitions=6"),
        "mqtt": SecuredMosquitto,
    }
    for name, start in starts.items():
        try:
            yield name, start()
        except (pytest.skip.Exception, pytest.fail.Exception) as reason:
            print(f"without the cost of TLS and compression over {name}: {reason}")


def _ways(sink: str, broker: Broker) -> Iterator[Contender]:
    trust = {"CA_FILE": str(broker.authority.ca_file)}
    if sink == "mqtt":
        found: Mapping[str, Settings] = {PLAIN: {}, "tls": {"URL": broker.address("mqtts"), **trust}}
    else:
        over_tls = {"BOOTSTRAP_SERVERS": broker.address("TLS"), "SECURITY_PROTOCOL": "SSL", **trust}
        found = {PLAIN: {}, "tls": over_tls} | {way: {"COMPRESSION": way} for way in WAYS[2:]}
    for name, settings in found.items():
        yield ours(name, {f"SINK__{sink.upper()}__{variable}": value for variable, value in settings.items()})


def _run(who: Contender, *, hub: Hub, broker: Broker, sink: str, events: int) -> dict[str, float]:
    before = _stored(broker)
    figures = throughput(who, hub, broker, sink, events)
    if isinstance(broker, SecuredKafka):
        figures["kafka: bytes a message, stored"] = (_stored(broker) - before) / (events + WARM_EVENTS)
    return figures


def _stored(broker: Broker) -> int:
    """Count the bytes of what a broker of ours keeps on disk, which is as it was sent."""
    return sum(file.stat().st_size for file in broker.folder.glob("data/log/portos.bench*/*.log"))
