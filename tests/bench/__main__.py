"""`python -m tests.bench`: the contenders in turn, round after round, and one table at the end."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest

from tests.bench.contender import BEFORE, NAIVE, NAMES, OURS, PEER, Contender, contender, port_80_is_free
from tests.bench.cost import PLAIN, WAYS, costs
from tests.bench.ground import KAFKA_JAVA, MQTT_LOG
from tests.bench.measure import Run, latency, noted, throughput
from tests.bench.report import Figures, lost, relative, table
from tests.bench.subscriber import ceiling
from tests.brokers import Hub, KafkaBroker, MqttBroker, start_hub, start_kafka, start_mqtt, start_simulator
from tests.support import free_port

__all__ = ["main"]

Broker = KafkaBroker | MqttBroker
NamedRun = tuple[str, Run]


def main() -> int:
    """Measure, print the table, and give 0 if every run gave figures and nothing was missing of ours."""
    options = _options()
    started = time.monotonic()
    with ExitStack() as stack:
        contenders = _contenders([OURS] if options.only == "security" else options.contenders.split(","))
        hub = stack.enter_context(_closing(_hub(contenders)))
        brokers = {name: stack.enter_context(_closing(broker)) for name, broker in _brokers(options.only)}
        print(_where(hub, brokers), flush=True)
        figures: Figures = {}
        failed = 0
        for what, run in _runs(options, hub, brokers):
            if what.startswith("kafka"):  # a broker just started is slow for whoever comes first
                noted(f"not counted: {what}, {contenders[0].name}", contenders[0], run, {})
        for number, what, run in _in_order(options.rounds, list(_runs(options, hub, brokers))):
            turn = number % len(contenders)
            for who in (*contenders[turn:], *contenders[:turn]):
                if who.name != NAIVE or not what.endswith("latency") or options.only == "latency":
                    failed += not noted(f"round {number + 1}: {what}, {who.name}", who, run, figures)
        prices: Figures = {}
        if options.only in (None, "security"):
            prices, without = costs(hub, options.events, options.rounds)
            failed += without
    _show(figures, [who.name for who in contenders], prices, markdown=options.markdown)
    print(
        f"latency holds the hub's stamp, which is cut to whole milliseconds; {time.monotonic() - started:.0f} s in all"
    )
    missing = lost(figures, set(NAMES) - {OURS}) + lost(prices)
    return 1 if failed or missing else 0


def _show(figures: Figures, names: Sequence[str], prices: Figures, *, markdown: bool) -> None:
    if figures:
        print(table(figures, names, OURS, PEER if PEER in names else BEFORE, markdown=markdown))
    if prices:
        print("what TLS and compression cost; the hub's bursts hold little news, which compresses better than a shop's")
        print(table(prices, WAYS, PLAIN, "", markdown=markdown))
        print(relative(prices, WAYS, PLAIN, markdown=markdown))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the bridge beside its peers.")
    parser.add_argument(
        "--events", type=int, default=60_000, help="events of a burst; half of it for MQTT (%(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement (%(default)s)")
    parser.add_argument(
        "--only", choices=("kafka", "mqtt", "latency", "security"), help="leave out all other measurements"
    )
    parser.add_argument("--contenders", default=",".join(NAMES), help="who takes part (%(default)s)")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    return parser.parse_args()


def _contenders(names: Sequence[str]) -> list[Contender]:
    """Take those that can run; without the real hub only ours, since the peers are measured on that one."""
    ready: list[Contender] = []
    for name in names:
        if name not in NAMES:
            raise SystemExit(f"no contender {name!r}; there are {', '.join(NAMES)}")
        found: Contender | str
        if name != OURS and not os.environ.get("TEST_PORTOS_SERVER"):
            found = "set TEST_PORTOS_SERVER, the hub that all are measured on"
        elif name == NAIVE and not port_80_is_free():
            found = "its library finds a hub on port 80 only, and that is taken or forbidden"
        else:
            found = contender(name)
        if isinstance(found, str):
            print(f"without {name}: {found}")
        else:
            ready.append(found)
    if not ready:
        raise SystemExit("nobody is left to measure")
    return ready


def _hub(contenders: Sequence[Contender]) -> Hub:
    server = os.environ.get("TEST_PORTOS_SERVER")
    if not server:
        return start_simulator("--rate", "0")
    if any(who.name == NAIVE for who in contenders):
        control = free_port()
        return Hub("real", [server, "--Port", "80", "--ControlPort", str(control)], 80, control)
    return start_hub()


def _brokers(only: str | None) -> Iterator[tuple[str, Broker]]:
    """Start what can be started, and say what cannot."""
    starts: dict[str, Callable[[], Broker]] = {
        "kafka": partial(start_kafka, real=True, java=KAFKA_JAVA),
        "mqtt": partial(start_mqtt, settings="" if os.environ.get("TEST_MQTT_URL") else MQTT_LOG),
    }
    for name, start in starts.items():
        if only in (None, "latency", name):
            try:
                yield name, start()
            except (pytest.skip.Exception, pytest.fail.Exception) as reason:
                print(f"without {name}: {reason}")


def _runs(options: argparse.Namespace, hub: Hub, brokers: dict[str, Broker]) -> Iterator[NamedRun]:
    for sink, broker in brokers.items():
        if options.only != "latency":
            events = options.events if sink == "kafka" else options.events // 2
            yield f"{sink} throughput", lambda who, s=sink, b=broker, n=events: throughput(who, hub, b, s, n)
    for sink, broker in brokers.items():
        if options.only in (None, "latency"):
            yield f"{sink} latency", lambda who, s=sink, b=broker: latency(who, hub, b, s)


def _in_order(rounds: int, runs: Sequence[NamedRun]) -> Iterator[tuple[int, str, Run]]:
    """Give round after round of latency, then of throughput: a burst leaves Kafka slow for whoever comes next."""
    for latencies in (True, False):
        for number in range(rounds):
            yield from ((number, what, run) for what, run in runs if what.endswith("latency") is latencies)


def _where(hub: Hub, brokers: dict[str, Broker]) -> str:
    parts = "".join(f"{name}={broker.level}, " for name, broker in brokers.items())
    text = f"hub={hub.level}, {parts}{os.cpu_count()} cores; the MQTT subscriber's code takes {ceiling():,.0f}/s"
    return text if hub.level == "real" else f"{text}\nours alone, on our own simulator: set TEST_PORTOS_SERVER for more"


@contextmanager
def _closing(part: Hub | Broker) -> "Iterator[Hub | Broker]":
    try:
        yield part
    finally:
        part.close()


if __name__ == "__main__":
    sys.exit(main())
