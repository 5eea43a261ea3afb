"""The seeds of the simulation that are run with the tests, in blocks.

A seed that once showed a fault is kept in `KEPT`. `TEST_SEEDS=20000` runs more of them, as does `make simulate-long`.
"""

import os
from collections.abc import Sequence

from tests.unit.model.simulation import simulated

__all__ = ["BLOCKS", "KEPT", "check"]

_SEEDS = int(os.environ.get("TEST_SEEDS", "300"))
_BLOCK = 50
BLOCKS = [range(first, min(first + _BLOCK, _SEEDS)) for first in range(0, _SEEDS, _BLOCK)]
KEPT = (713, 1059)
"""Seeds beyond those that have shown a fault: they are run as well, for ever."""


def check(seeds: Sequence[int]) -> None:
    """Run seeds; a failure says how to run the seed alone."""
    for seed in seeds:
        faults = simulated(seed).faults
        assert faults == [], f"seed {seed}; alone: python -m tests.unit.model.simulation --first {seed} --seeds 1"
