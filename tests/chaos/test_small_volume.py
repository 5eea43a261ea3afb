"""A journal that fills the smallest volume it may be on leaves room for what its sinks settle."""

import asyncio

import pytest

from bridge.journal import Limits, capacity, open_journal, within_volume
from bridge.settings.core import largest_journal
from tests.chaos.volume import volume
from tests.unit.journal.conftest import messages

pytestmark = [pytest.mark.loop, pytest.mark.timeout(120)]


async def test_what_fills_a_small_volume_is_delivered_and_the_end_recorded() -> None:
    """SQLite's log lies beside the journal, and may be as large as the smallest journal."""
    with volume(17) as disk:
        path = disk.folder / "journal.db"
        most = within_volume(path, 2**30, largest_journal)
        limits = Limits(capacity(most), 2**20, 100, 0.05)
        async with open_journal(path, ["kafka"], most, limits) as journal:
            first = 1
            async with asyncio.timeout(60):
                while await journal.append(messages(first, 20, b"x" * 200)):
                    first += 20
                while journal.lag("kafka").events:
                    page = await journal.read("kafka", 100)
                    await journal.settle("kafka", page, len(page.messages), {})

        async with open_journal(path, ["kafka"], most, limits) as journal:
            assert journal.previous.clean
            assert journal.head >= first - 1 > 50
            assert not journal.lag("kafka").events
