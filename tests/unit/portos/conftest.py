from collections.abc import AsyncIterator

import pytest

from tests.unit.portos.scripted_hub import ScriptedHub, scripted_hub


@pytest.fixture
async def hub() -> AsyncIterator[ScriptedHub]:
    async with scripted_hub() as server:
        yield server
