"""A good configuration to spoil, and the real way to find the example sink."""

from pathlib import Path

import pytest


@pytest.fixture
def good(tmp_path: Path) -> dict[str, str]:
    """The least that a bridge needs, with the example as its only sink."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    return {
        "PORTOS_BRIDGE_SINKS": "example",
        "PORTOS_BRIDGE_SECRETS_DIR": str(secrets),
        "PORTOS_BRIDGE_HUB__URL": "http://127.0.0.1:3000",
        "PORTOS_BRIDGE_AUTH__USERNAME": "bridge",
        "PORTOS_BRIDGE_AUTH__PASSWORD": "correct horse",
        "PORTOS_BRIDGE_AUTH__DEVICE_NAME": "bridge-1",
        "PORTOS_BRIDGE_SUBSCRIBE__RESOURCES": "tickets, orders",
        "PORTOS_BRIDGE_JOURNAL__PATH": str(tmp_path / "journal" / "journal.db"),
        "PORTOS_BRIDGE_SINK__EXAMPLE__URL": "example://here",
    }
