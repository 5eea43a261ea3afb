"""A journal on a real disk and a catalogue of metrics, for the tests of the loops."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.journal import Journal, Limits, open_journal
from bridge.metrics import Catalogue


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    limits = Limits(60 * 2**20, 2**20, 100, 0.02)
    async with open_journal(tmp_path / "j.db", ["kafka", "mqtt"], 64 * 2**20, limits) as opened:
        yield opened


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue("default", ["kafka", "mqtt"], ["tickets"], 50)
