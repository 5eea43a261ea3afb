"""The rotation run: one connection after another under 200 changes/s, and nothing of it is to be seen downstream."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tests.brokers import Hub, KafkaBroker, MqttBroker, start_hub
from tests.chaos.trial import QUICK, Report, Trial, trial
from tests.support import wait_until

__all__ = ["ROTATIONS", "Rotation", "rotate"]

_SPARE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Rotation:
    """Why connections are replaced: by their token, or by the bridge's own plan; `seconds` is the life of each.

    `alone`: the hub refuses a second connection, so that every rotation is a window, and nothing else. `pause` gives
    the seconds before each change, where the load is not 200 a second.
    """

    name: str
    seconds: float
    hub_options: Mapping[str, object] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    alone: bool = False
    pause: Callable[[], float] | None = None


def _by_token(name: str, *, alone: bool = False, pause: Callable[[], float] | None = None) -> Rotation:
    options = {"TokenLifetimeSeconds": 5, "CloseOnExpiry": "true"}
    return Rotation(name, 5, options, alone=alone, pause=pause)


ROTATIONS = {
    rotation.name: rotation
    for rotation in (
        _by_token("token rotation"),
        _by_token("token rotation, quiet", pause=lambda: 10.0),
        Rotation("recycling", 5, settings={"HUB__RECYCLE_SECONDS": "5"}),
        _by_token("token rotation, one seat", alone=True),
        Rotation("recycling, one seat", 5, settings={"HUB__RECYCLE_SECONDS": "5"}, alone=True),
    )
}


def rotate(kafka: KafkaBroker, mqtt: MqttBroker, rotation: Rotation, count: int) -> Report:
    """Let a connection be replaced so many times, and judge what arrived."""
    hub = start_hub(KeepAliveSeconds=1, **rotation.hub_options)
    started = time.monotonic()
    try:
        with trial(kafka, mqtt, hub, QUICK | dict(rotation.settings), pause=rotation.pause) as run:
            run.wire.refuses_a_second = rotation.alone
            wait_until(
                lambda: len(hub.subscriptions()) > count,
                count * (rotation.seconds + 2) + _SPARE_SECONDS,
                f"{count} rotations",
            )
            run.settle()
            metrics = run.world.bridge.metrics()
            logins = _logins(hub)
            run.finish()
            report = run.judge()
            found = _found(run, rotation, report, logins) + _untrue(metrics, report)
    finally:
        hub.close()
    seconds, rotations = time.monotonic() - started, len(run.lives[0].subscriptions) - 1
    summary = f"{rotation.name}: {rotations} rotations in {seconds:.0f} s, {report.summary}"
    return replace(report, summary=summary, problems=[*report.problems, *found])


def _logins(hub: Hub) -> int:
    tokens = hub.state()["tokens"]
    return int(tokens["issued"]) - int(tokens["refreshed"])


def _found(run: Trial, rotation: Rotation, report: Report, logins: int) -> list[str]:
    """Name what a rotation must not cost."""
    life, coverage = run.lives[0], report.coverage
    told = [window for window in coverage.told if window.cause != "first_start"]
    found = []
    if rotation.alone:
        if run.wire.refused == 0:
            found.append("no second connection was tried")
        if life.connections > 1:
            found.append(f"{life.connections} connections at one time")
    else:
        if told:
            found.append(f"{len(told)} windows, the first: {told[0]}")
        if coverage.to_nobody or coverage.unread:
            found.append(f"{coverage.to_nobody} changes went to nobody, {coverage.unread} were not read")
        if life.connections > 2:
            found.append(f"{life.connections} connections at one time")
    if logins != 1:
        found.append(f"{logins} logins")
    return found


def _untrue(metrics: Mapping[tuple[str, str], float], report: Report) -> list[str]:
    """Name what the metrics say otherwise than the windows."""
    told = report.coverage.told
    shown = sum(n for (name, _), n in metrics.items() if name == "portos_bridge_source_blind_seconds_total")
    counted = sum(n for (name, _), n in metrics.items() if name == "portos_bridge_source_blind_windows_total")
    seconds = sum(window.seconds for window in told)
    found = []
    if abs(shown - seconds) > 0.001 * (1 + len(told)):
        found.append(f"the metric shows {shown:.3f} blind seconds, the windows {seconds:.3f}")
    if counted != len(told):
        found.append(f"the metric counts {counted:g} windows, {len(told)} were told")
    return found
