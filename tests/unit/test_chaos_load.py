"""The loads of the long runs: none of them ends without a word."""

from collections.abc import Callable

import pytest

from tests.brokers import Hub
from tests.chaos.load import SteadyLoad, Trickle
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
