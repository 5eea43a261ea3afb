"""The loads of the long runs: none of them ends without a word."""

import time
from collections.abc import Callable

import pytest

from tests.brokers import Hub
from tests.chaos.load import SteadyLoad, Trickle
from tests.chaos.trial import too_few
from tests.support import wait_until


class BrokenHub(Hub):
    """A hub that answers what nobody can read."""

    def __init__(self) -> None:
        self.asked = 0

    def change(self, *_: object, **__: object) -> object:  # type: ignore[override]
        self.asked += 1
        raise KeyError("sequence")

    def burst(self, *_: object, **__: object) -> int:
        self.asked += 1
        raise KeyError("burst")


class ObedientHub(Hub):
    """A hub that does at once what it is asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def change(self, *_: object, **__: object) -> object:  # type: ignore[override]
        self.asked += 1
        return None

    def burst(self, *_: object, **__: object) -> int:
        self.asked += 1
        return self.asked

    def burst_done(self, _: int) -> bool:
        return True


LOADS: dict[str, Callable[[Hub], SteadyLoad | Trickle]] = {
    "steady": lambda hub: SteadyLoad(hub, [("tickets",)]),
    "trickle": lambda hub: Trickle(hub, ["tickets"], lambda: 0.0),
}


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
def test_whatever_ends_a_load_ends_the_run(load: Callable[[Hub], SteadyLoad | Trickle]) -> None:
    """A load that stops by itself would leave nothing to judge, and every promise kept."""
    hub = BrokenHub()

    with load(hub) as running:
        wait_until(lambda: hub.asked > 0, 5, "the hub is asked")
        with pytest.raises(RuntimeError, match="the load failed") as error:
            running.end()

    assert isinstance(error.value.__cause__, KeyError)


def test_a_steady_load_expects_half_of_its_rate() -> None:
    """What it may fall behind is bounded, so that a load that was none is seen."""
    hub = ObedientHub()

    began = time.monotonic()
    with SteadyLoad(hub, [("tickets",)], rate=1000) as load:
        wait_until(lambda: hub.asked > 10, 5, "some bursts")
        load.end()
        longest = time.monotonic() - began

    assert 0.5 * 1000 * 10 * 0.02 <= load.least() <= 0.5 * 1000 * longest


def test_nothing_is_expected_of_a_hub_that_is_held() -> None:
    """While it is frozen or dead it changes nothing, which is no fault."""
    hub = ObedientHub()

    began = time.monotonic()
    with SteadyLoad(hub, [("tickets",)], rate=1000) as load:
        with load.held():
            held = time.monotonic()
            wait_until(lambda: time.monotonic() - held > 0.1, 5, "a moment")
        load.end()
        longest = time.monotonic() - began

    assert load.least() <= 0.5 * 1000 * (longest - 0.1)


def test_a_trickle_expects_what_it_made() -> None:
    """However long its pauses are, it is no problem that there are few changes."""
    hub = ObedientHub()

    with Trickle(hub, ["tickets"], lambda: 0.01) as load:
        wait_until(lambda: hub.asked > 3, 5, "some changes")
        load.end()

    assert load.least() == hub.asked


@pytest.mark.parametrize(
    ("least", "changes", "accepted", "problems"),
    [
        (1000, 1800, 1700, 0),
        (1000, 1000, 50, 0),
        (1000, 999, 900, 1),
        (1000, 1800, 49, 1),
        (1000, 2, 2, 2),
        (0, 2, 2, 0),
        (6, 8, 1, 0),
    ],
)
def test_a_run_without_its_load_is_a_problem(least: int, changes: int, accepted: int, problems: int) -> None:
    """Too few changes, or too few that were heard, and every promise is kept for nothing; a calm run passes."""
    assert len(too_few(least, changes, accepted)) == problems
