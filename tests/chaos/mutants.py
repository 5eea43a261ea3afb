"""The installed program with a promise taken out, so that a test can show that it would see that.

A mutant is a console script of its own that changes a library beneath the program: the product has no such switch.
"""

import sys
from pathlib import Path

__all__ = ["UNSYNCED", "mutant"]

UNSYNCED = """
import sqlite3
import sys

class Unsynced(sqlite3.Connection):
    def execute(self, statement, *values):
        if statement == "PRAGMA synchronous=FULL":
            print("mutant: commits are not synced", file=sys.stderr, flush=True)
            return super().execute("PRAGMA synchronous=NORMAL")
        if statement == "PRAGMA synchronous":
            return super().execute("SELECT 2")
        return super().execute(statement, *values)

connect = sqlite3.connect
sqlite3.connect = lambda *words, **named: connect(*words, factory=Unsynced, **named)
"""
"""SQLite syncs at checkpoints only, and says that it syncs at every commit."""

_PROGRAM = """
from bridge.__main__ import main
sys.exit(main())
"""


def mutant(folder: Path, change: str) -> str:
    """Write the console script of a mutant, and give its path."""
    script = folder / "mutant"
    script.write_text(f"#!{sys.executable}\n{change}{_PROGRAM}")
    script.chmod(0o755)
    return str(script)
