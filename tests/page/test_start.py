"""The status page of a bridge that opens its journal yet: what it waits for, and all the rest without a reload."""

import asyncio
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from bridge.beginning import Beginning, Face, served
from bridge.health import Heartbeat, Workers
from bridge.journal import Stage, open_journal
from bridge.page import page_routes
from bridge.settings import Settings, core
from bridge.settings.effective import Effective
from bridge.settings.loading import Configuration
from bridge.source import SourceActivity
from bridge.status import Status
from tests.page.chromium import Chromium
from tests.support import free_port
from tests.unit.loops import link
from tests.unit.test_service import LIMITS

pytestmark = pytest.mark.chromium


async def test_a_start_that_takes_long_says_what_it_does_until_there_is_more_to_show(
    browser: Chromium, tmp_path: Path
) -> None:
    """Nothing of the picture is drawn from what is not known."""
    port, stage, heartbeat, stop, began = free_port(), Stage(), Heartbeat(), asyncio.Event(), time.time()
    settings = Settings(
        sinks=("none",),
        hub=core.Hub(url="http://127.0.0.1:1"),
        auth=core.Auth(username="950", password="secret", device_name="BRIDGE1"),
        subscribe=core.Subscribe(resources=("tickets",)),
        admin=core.Admin(host="127.0.0.1", port=port),
    )
    effective = Effective(Configuration(settings, {}))
    face: Face = Beginning(began, stop.is_set, heartbeat, effective, Workers(), stage)
    async with served(settings, CollectorRegistry(), lambda: face, page_routes()), browser.page() as page:
        await page.look()
        stage.looked_at(1, 100)
        await page.open(f"http://127.0.0.1:{port}/")
        await page.says("#headline", "The journal was damaged: what can be read of it is put into a new one")

        assert await page.text("#advice") == "Wait. Do not start the bridge again: that begins anew."
        assert await page.evaluate("document.getElementById('picture').hidden")
        assert await page.text("#site") == "default"

        stage.usable()
        await page.says("#headline", "The bridge starts and reads what its journal holds.")
        async with open_journal(tmp_path / "j.db", (), 2**22, LIMITS) as journal:
            face = Status(settings, began, stop.is_set, heartbeat, SourceActivity(), link("hub"), {}, journal)
            await page.says("#headline", "The bridge is connecting to Portos.")

            assert not await page.evaluate("document.getElementById('picture').hidden")
            assert page.complaints == []
