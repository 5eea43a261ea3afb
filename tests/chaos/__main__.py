"""`python -m tests.chaos --rounds 10`: every fault and the coverage run many times, and what they cost.

The other long runs are made once; `--only` names some, and makes those as well that are made only when named.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median

import pytest

from tests.brokers import KafkaBroker, MqttBroker, start_kafka, start_mqtt
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.figures import record
from tests.chaos.long import LONG_RUNS, LongRun
from tests.chaos.run import Figures, run

_COLUMNS = ("fault", "rounds", "accepted", "on the wire", "missing", "disorder", "repeats k/m", "allowed", "recovery s")
_ROW = "{:24} {:>6} {:>9} {:>11} {:>7} {:>8} {:>11} {:>9}  {}"


def main() -> int:
    """Run the faults and the long runs, and give 0 if every promise was kept every time."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--rounds", type=int, default=10, help="rounds of each (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments of the faults (default %(default)s)")
    parser.add_argument("--only", default="", help="only those whose name contains this")
    parser.add_argument("--record", type=Path, metavar="FILE", help="keep what the long runs come to, as JSON")
    options = parser.parse_args()
    faults = [fault for fault in FAULTS if options.only in fault.name]
    runs = [run for run in LONG_RUNS if options.only in run.name and (options.only or not run.asked)]
    if not faults and not runs:
        parser.error(f"nothing is called {options.only!r}: {', '.join(one.name for one in (*FAULTS, *LONG_RUNS))}")
    try:
        kafka, mqtt = start_kafka(own=True), start_mqtt(own=True)
    except (pytest.skip.Exception, pytest.fail.Exception) as reason:
        print(f"cannot run: {reason}")
        return 1
    print(f"kafka={kafka.level} mqtt={mqtt.level}, {options.rounds} rounds, seed {options.seed}", flush=True)
    results: dict[str, list[Figures]] = {fault.name: [] for fault in faults}
    kept: list[bool] = []
    told: dict[str, list[tuple[str, bool]]] = {}
    try:
        for number in range(options.rounds):
            kept += [_round(fault, number, options.seed, results, kafka, mqtt) for fault in faults]
            due = [run for run in runs if run.each_round or number == 0]
            kept += [_long(run, f"{options.seed}/{number}/{run.name}", kafka, mqtt, told) for run in due]
    finally:
        kafka.close()
        mqtt.close()
    if faults:
        _print(faults, results)
    for name, lines in told.items() if options.record else ():
        command = f"python -m tests.chaos --only '{name}' --rounds {options.rounds} --seed {options.seed}"
        record(options.record, name, command, [line for line, _ in lines], sum(not good for _, good in lines))
    print(f"{kept.count(False)} of {len(kept)} runs broke a promise")
    return 0 if all(kept) else 1


def _long(
    run: LongRun, seed: str, kafka: KafkaBroker, mqtt: MqttBroker, told: dict[str, list[tuple[str, bool]]]
) -> bool:
    """Make a long run, print what it came to, and add that to what is told of it."""
    started = time.monotonic()
    lines = told.setdefault(run.name, [])
    try:
        reports = run.run(kafka, mqtt, seed)
    except (AssertionError, OSError) as error:
        ended = f"seed {seed}, {time.monotonic() - started:.0f} s: {type(error).__name__}: {error}"
        print(f"{run.name}: {ended}", flush=True)
        lines.append((ended, False))
        return False
    for report in reports:
        said = f"{report.summary}: {'; '.join(report.problems) or 'ok'}"
        print(f"{run.name}: {said}", flush=True)
        lines.append((said, not report.problems))
    return not any(report.problems for report in reports)


def _round(
    fault: Fault, number: int, seed: int, results: dict[str, list[Figures]], kafka: KafkaBroker, mqtt: MqttBroker
) -> bool:
    started = time.monotonic()
    dice = Random(f"{seed}/{number}/{fault.name}")  # noqa: S311 - the moment of a fault is no secret
    try:
        figures = run(fault, kafka, mqtt, dice)
        problems: Sequence[str] = figures.problems
        results[fault.name].append(figures)
    except (AssertionError, OSError) as error:
        problems = [f"{type(error).__name__}: {error}"]
    told = "ok" if not problems else "; ".join(problems)
    print(f"round {number + 1}: {fault.name}: {time.monotonic() - started:.0f} s, {told}", flush=True)
    return not problems


def _print(faults: Sequence[Fault], results: dict[str, list[Figures]]) -> None:
    print(_ROW.format(*_COLUMNS))
    for fault in faults:
        figures = results[fault.name]
        if not figures:
            print(_ROW.format(fault.name, 0, *[""] * 7))
            continue
        recoveries = sorted(seconds for one in figures for seconds in one.recoveries)
        print(
            _ROW.format(
                fault.name,
                len(figures),
                sum(one.accepted for one in figures),
                sum(one.lost_on_the_wire for one in figures),
                sum(sum(one.missing.values()) for one in figures),
                sum(sum(one.disordered.values()) for one in figures),
                "/".join(str(max(one.repeated[sink] for one in figures)) for sink in ("kafka", "mqtt")),
                "/".join(str(fault.repeats[sink]) for sink in ("kafka", "mqtt")),
                f"{recoveries[0]:.2f} / {median(recoveries):.2f} / {recoveries[-1]:.2f}" if recoveries else "-",
            )
        )


if __name__ == "__main__":
    sys.exit(main())
