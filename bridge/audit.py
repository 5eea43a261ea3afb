"""Checks the ledger while the bridge runs, and says so when an event is missing from it or too many are in it.

An imbalance is a bug of the bridge: it never goes away by itself, and survives restarts in the journal. Run by
`bridge.service`.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import NoReturn

from bridge.journal import Journal
from bridge.metrics import Catalogue

__all__ = ["Audit"]

_log = logging.getLogger(__name__)
_EVERY_SECONDS = 10.0


class Audit:
    """One journal's ledger; the metrics show what the last check found."""

    def __init__(self, journal: Journal, catalogue: Catalogue) -> None:
        self._journal = journal
        self._catalogue = catalogue
        self._told: dict[str, int] = {}

    async def run(self) -> NoReturn:
        """Check at once and then again and again."""
        while True:
            self.check()
            await asyncio.sleep(_EVERY_SECONDS)

    @property
    def unbalanced(self) -> Sequence[str]:
        """Name the stages in which the last check found too few or too many."""
        return [stage for stage, missing in self._told.items() if missing]

    def check(self) -> None:
        """Compare both ends of every stage; an imbalance is logged when it changes."""
        for stage, missing in self._journal.imbalances().items():
            self._catalogue.imbalance.labels(stage).set(missing)
            if missing != self._told.get(stage, 0):
                text = "the ledger of %s does not balance: %d events are missing (negative: too many); report this bug"
                _log.error(text, stage, missing)
            self._told[stage] = missing
