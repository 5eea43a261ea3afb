"""What the tests of commands share: how a command is run, and the token that lets it do more than look."""

from collections.abc import Callable

__all__ = ["TOKEN", "CommandLine"]

TOKEN = "a token of the tests"
CommandLine = Callable[..., tuple[int, str]]
"""Runs `portos-bridge` with these arguments, and gives its status and what it said."""
