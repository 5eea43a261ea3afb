"""What the tests of commands share: how a command is run, and the token that lets it do more than look."""

import os
from collections.abc import Callable

import pytest

__all__ = ["TOKEN", "CommandLine", "configure_nothing_but_the_token"]

TOKEN = "a token of the tests"
CommandLine = Callable[..., tuple[int, str]]
"""Runs `portos-bridge` with these arguments, and gives its status and what it said."""


def configure_nothing_but_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this a machine without a bridge: its variables are not set, or to what no bridge would take."""
    for name in os.environ:
        if name.startswith("PORTOS_BRIDGE_") and name != "PORTOS_BRIDGE_ADMIN__TOKEN":
            monkeypatch.delenv(name)
    monkeypatch.setenv("PORTOS_BRIDGE_HUBB__URL", "http://127.0.0.1:1")
