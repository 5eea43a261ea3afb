"""Loads on a hub: a steady one, on a hub that may be paused or killed at any moment, and one with pauses."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from tests.brokers import Change, Hub
from tests.chaos.background import Background
from tests.chaos.world import Load

__all__ = ["SteadyLoad", "Trickle"]

_IDS = 150
_POLL_SECONDS = 0.02
_LEAST_SHARE = 0.5


class _Changes(Background):
    """Changes things until it is left, or cannot."""

    _error: BaseException | None = None

    def end(self) -> None:
        """Let what is under way end, and begin nothing further; raises what has ended it before."""
        self.__exit__()
        if self._error is not None:
            raise RuntimeError("the load failed") from self._error
        if self._thread.is_alive():
            raise RuntimeError("the load does not end")

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._change()
        except Exception as error:  # noqa: BLE001 - whatever it is, `end` raises it in the run's own thread
            self._error = error

    def _change(self) -> None:
        raise NotImplementedError


class SteadyLoad(_Changes):
    """Bursts one after another, in a thread of its own, until it is left.

    Each burst changes every id of every resource once, so that a hub's whole life is one `Load`. Whoever pauses or
    kills the hub does it in `held`, since nobody may ask a hub that cannot answer. The next life has other resources:
    a hub begins again with version 1, which must not look like a repeat.
    """

    def __init__(self, hub: Hub, lives: Sequence[Sequence[str]], rate: float = 200) -> None:
        super().__init__("load")
        self._hub = hub
        self._lives = lives
        self._life = 0
        self._rate = rate
        self._began = self._over = self._held_seconds = 0.0
        self._asking = threading.Lock()

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        self._over = self._over or time.monotonic()
        super().__exit__()

    @property
    def resources(self) -> Sequence[str]:
        """Name what this life of the hub changes."""
        return self._lives[self._life]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Ask the hub nothing meanwhile."""
        with self._asking:
            since = time.monotonic()
            try:
                yield
            finally:
                self._held_seconds += time.monotonic() - since

    def least(self) -> int:
        """Tell how many changes the hub made at least, if it was under this load: half of what was asked of it."""
        seconds = (self._over or time.monotonic()) - self._began - self._held_seconds
        return int(_LEAST_SHARE * self._rate * seconds)

    def next_life(self) -> None:
        """Go on with the next resources; only while it is held."""
        self._life += 1

    def foretold(self, ledger: Sequence[Change], at: float, seconds: float) -> list[Change]:
        """Tell what the hub may have gone on to change within some seconds after its ledger was read."""
        most = len(ledger) + int(2 * self._rate * seconds) + 100
        expected = Load(0, most, self.resources, _IDS).expected()[len(ledger) :]
        return [Change(0, at, *identity, 1) for identity in expected]

    def _change(self) -> None:
        with self._asking:
            life = self._life
            count = _IDS * len(self.resources)
            number = self._hub.burst(count, rate=self._rate, ids=_IDS, resources=self.resources)
        while True:
            threading.Event().wait(_POLL_SECONDS)
            with self._asking:
                if life != self._life or self._hub.burst_done(number):
                    return


class Trickle(_Changes):
    """Single changes with a pause before each, in a thread of its own, until it is left."""

    def __init__(self, hub: Hub, resources: Sequence[str], pause: Callable[[], float]) -> None:
        super().__init__("trickle")
        self.resources = resources
        self._hub = hub
        self._pause = pause
        self._made = 0

    def least(self) -> int:
        """Tell how many changes the hub made at least: after each pause that ended there was one."""
        return self._made

    def _change(self) -> None:
        if self._ended.wait(self._pause()):
            return
        self._made += 1
        resource = self.resources[self._made % len(self.resources)]
        self._hub.change(resource, id=f"{self._made % _IDS:024x}")
