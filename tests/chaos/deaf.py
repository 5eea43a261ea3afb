"""The deaf runs: a hub that forgets subscriptions without a word, and hubs that are only quiet."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from random import Random

from tests.brokers import KafkaBroker, MqttBroker, start_hub
from tests.chaos.trial import QUICK, Report, Trial, trial
from tests.support import wait_until

__all__ = ["LOADED", "SPARSE", "Traffic", "be_calm", "forget", "forget_sparsely"]

Pause = Callable[[], float]
_FROM_WITHIN_SECONDS = 1.0
_TOLD_SECONDS = 40.0
_LANES = 4
_APART_SECONDS = 60.0
_BLUR_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the hub changes, how soon it has to be heard again, and how long it is heard between two forgettings."""

    name: str
    pause: Pause | None
    most_seconds: float
    heard_seconds: tuple[float, float]


LOADED = Traffic("deaf under 200 changes/s", None, 10, (1, 6))
SPARSE = Traffic("deaf under a change every 10 s", lambda: 10.0, 60, (11, 30))


def forget(kafka: KafkaBroker, mqtt: MqttBroker, traffic: Traffic, count: int, seed: str) -> Report:
    """Let the hub forget the subscription so many times, and judge how soon and how truly that is told."""
    dice = Random(seed)  # noqa: S311 - the moment of a fault is no secret
    hub = start_hub(KeepAliveSeconds=1)
    took: list[float] = []
    try:
        with trial(kafka, mqtt, hub, QUICK, pause=traffic.pause) as run:
            for number in range(count):
                wait_until(run.hears, 20, "the bridge hears")
                time.sleep(dice.uniform(*traffic.heard_seconds))
                took.append(_forget(run, traffic, number + 1))
            run.settle()
            run.finish()
            report = run.judge()
            found = _untrue(run, report, count)
    finally:
        hub.close()
    found += [
        f"{s:.1f} s until it heard again, at most {traffic.most_seconds:g}" for s in took if s > traffic.most_seconds
    ]
    summary = f"{traffic.name}: {count} times, {min(took):.1f} to {max(took):.1f} s until heard again, {report.summary}"
    return replace(report, summary=summary, problems=[*report.problems, *found])


def _forget(run: Trial, traffic: Traffic, number: int) -> float:
    """Forget the subscription, wait until the window is told, and give the seconds to the new subscription."""
    forgotten = time.time()
    run.hub.forget()
    patience = 2 * traffic.most_seconds
    wait_until(lambda: run.hub.subscribed(run.load.resources), patience, "a new subscription")
    took = run.hub.subscriptions()[-1] - forgotten
    deaf = partial(run.world.bridge.metric, "portos_bridge_source_blind_windows_total", cause="deaf")
    wait_until(lambda: deaf() >= number, _TOLD_SECONDS, "a window is told")
    return took


def _untrue(run: Trial, report: Report, count: int) -> list[str]:
    """Name what is wrong about the windows, beyond what every window is judged by."""
    told = [window for window in report.coverage.told if window.cause != "first_start"]
    found = [f"a window of another cause: {window}" for window in told if window.cause != "deaf"]
    if len(told) != count:
        found.append(f"{len(told)} windows after {count} forgotten subscriptions")
    for window in told:
        heard = report.coverage.proved[window]
        if heard is None or window.since is None or abs(window.since - heard) > _FROM_WITHIN_SECONDS:
            found.append(f"{window} begins at {window.since}, the last change was heard at {heard}")
    if run.lives[0].connections > 2:
        found.append(f"{run.lives[0].connections} connections at one time")
    return found


def forget_sparsely(kafka: KafkaBroker, mqtt: MqttBroker, count: int, seed: str) -> list[Report]:
    """Do the same under sparse traffic, on a few hubs side by side, since each time takes a minute or two."""
    each = -(-count // _LANES)
    return _side_by_side(
        [partial(forget, kafka, mqtt, SPARSE, each, f"{seed}/{lane}") for lane in range(_LANES)],
    )


def be_calm(kafka: KafkaBroker, mqtt: MqttBroker, seconds: float, seed: str) -> list[Report]:
    """Watch bridges under traffic of four kinds and no fault for so long: nothing is to be told, and little tried."""
    kinds: dict[str, Callable[[Random, float], Pause]] = {
        "steady": lambda dice, _: lambda: dice.expovariate(5),
        "irregular": lambda dice, _: lambda: min(dice.paretovariate(0.6) / 10, 300),
        "a shop that closes": _closing,
        "silence": lambda _, seconds: lambda: 2 * seconds,
    }
    return _side_by_side([partial(_calm, kafka, mqtt, name, kind, seconds, seed) for name, kind in kinds.items()])


def _closing(dice: Random, seconds: float) -> Pause:
    closes = time.monotonic() + seconds / 3
    return lambda: dice.expovariate(2) if time.monotonic() < closes else 2 * seconds


def _calm(
    kafka: KafkaBroker,
    mqtt: MqttBroker,
    name: str,
    kind: Callable[[Random, float], Pause],
    seconds: float,
    seed: str,
) -> Report:
    hub = start_hub(KeepAliveSeconds=1)
    try:
        with trial(kafka, mqtt, hub, QUICK, pause=kind(Random(f"{seed}/{name}"), seconds)) as run:  # noqa: S311
            time.sleep(seconds)
            run.settle()
            run.finish()
            report = run.judge()
            opened = [subscription.since for subscription in run.lives[0].subscriptions]
    finally:
        hub.close()
    found = [f"told without a cause: {window}" for window in report.coverage.told if window.cause != "first_start"]
    apart = [after - before for before, after in pairwise(opened[1:])]
    found += [f"an extra connection {s:.1f} s after another" for s in apart if s < _APART_SECONDS - _BLUR_SECONDS]
    if report.coverage.to_nobody or report.coverage.unread:
        found.append(f"{report.coverage.to_nobody} changes went to nobody, {report.coverage.unread} were not read")
    summary = f"calm, {name}, {seconds:.0f} s: {len(opened) - 1} extra connections, {report.summary}"
    return replace(report, summary=summary, problems=[*report.problems, *found])


def _side_by_side(runs: Sequence[Callable[[], Report]]) -> list[Report]:
    with ThreadPoolExecutor(len(runs)) as lanes:
        return [lane.result() for lane in [lanes.submit(run) for run in runs]]
