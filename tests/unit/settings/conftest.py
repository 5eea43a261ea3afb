"""A good configuration to spoil."""

from pathlib import Path

import pytest

from tests.unit.settings.wrong import good_environment


@pytest.fixture
def good(tmp_path: Path) -> dict[str, str]:
    """The least that a bridge needs, with the example as its only sink."""
    return good_environment(tmp_path)
