"""The installed program with a promise taken out, so that a test can show that it would see that.

A mutant is a console script of its own that changes the program or a library beneath it: the product has no switch.
"""

import sys
from pathlib import Path

from tests.support import write_program

__all__ = ["FORGETFUL", "UNMARKED", "UNSYNCED", "mutant"]

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

FORGETFUL = """
import sys
from sinks.mqtt.sink import MqttSink

honest = MqttSink.deliver

async def deliver(self, batch):
    kept = [index for index, message in enumerate(batch) if message.version != 2]
    outcomes = [None] * len(batch)
    for index, outcome in zip(kept, await honest(self, [batch[index] for index in kept])):
        outcomes[index] = outcome
    return outcomes

MqttSink.deliver = deliver
"""
"""The MQTT sink confirms the second version of every resource and never sends it."""

UNMARKED = """
import sys
from bridge.journal import checkup, mark

checkup.read_mark = mark.read_mark = lambda _: None
"""
"""What the file beside the journal says of its last number is not looked at."""

_PROGRAM = """
from bridge.__main__ import main
sys.exit(main())
"""


def mutant(folder: Path, change: str) -> str:
    """Write the console script of a mutant, and give its path."""
    return write_program(folder / "mutant", f"#!{sys.executable}\n{change}{_PROGRAM}")
