"""Looks at a bridge twice a second, as probes and Prometheus do, and remembers what it saw."""

import re
import time
from collections.abc import Callable, Mapping, Sequence

from tests.chaos.background import Background
from tests.chaos.bridge_process import BridgeProcess
from tests.chaos.zombies.sign import Look
from tests.support import wait_until

__all__ = ["Witness"]

_EVERY_SECONDS = 0.5
_PROBE_SECONDS = 3.0  # `timeoutSeconds` of the chart's probes
_FAILING = re.compile(r"^\[-\] ([^:]+): (.*)$", re.MULTILINE)


class Witness(Background):
    """Looks in a thread of its own until it is left."""

    def __init__(self, bridge: BridgeProcess) -> None:
        super().__init__("witness")
        self._bridge = bridge
        self._looks: list[Look] = [Look(0.0, 0.0)]

    @property
    def last(self) -> Look:
        """The newest look."""
        return self._looks[-1]

    def since(self, at: float) -> Sequence[Look]:
        """Give the looks that began after a moment."""
        return [look for look in self._looks if look.began_at >= at]

    def wait(self, seen: Callable[[Look], bool], since: float, seconds: float, what: str) -> Look:
        """Wait for a look that began after `since` and shows what is asked for."""
        return wait_until(lambda: next(filter(seen, self.since(since)), None), seconds, what)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._looks.append(self._look())
            self._ended.wait(_EVERY_SECONDS)

    def _look(self) -> Look:
        began, bridge = time.monotonic(), self._bridge
        if not bridge.running:
            return Look(began, time.monotonic(), bridge.returncode)
        livez = self._failing("/livez")
        if livez is None:  # who does not answer this one answers none
            return Look(began, time.monotonic())
        readyz, metrics = self._failing("/readyz"), bridge.metrics()
        return Look(began, time.monotonic(), None, livez, readyz, metrics or None)

    def _failing(self, path: str) -> Mapping[str, str] | None:
        status, text = self._bridge.ask(path, _PROBE_SECONDS)
        failing = dict(_FAILING.findall(text))
        assert bool(failing) == (status not in (0, 200)), f"{path} answers {status} with {text!r}"
        return failing if status else None
