"""The version memory against a model of it: batches, refusals, windows, records and restarts change no outcome.

In short form here; with TEST_NIGHTLY set 500 examples of 200 steps.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as some

from bridge.journal import Recorded
from bridge.message import Message
from bridge.portos.memory import Mode, VersionMemory
from tests.unit.portos.changes import told
from tests.unit.portos.version_model import Hub, Model

NIGHTLY = bool(os.environ.get("TEST_NIGHTLY"))
EXAMPLES = 500 if NIGHTLY else 50
STEPS = 200 if NIGHTLY else 60

HUB = ("next", "next", "timeless", "jump", "jump", "late", "late", "late", "late", "repeat", "repeat", "repeat")
RARELY = ("reset", "deleted", "anew", "touched", "content", "content", "wait", "wait", "wait")
BRIDGE = ("stored", "stored", "stored", "refused", "window", "record", "restart")
step = some.tuples(some.sampled_from((*HUB, *RARELY, *BRIDGE)), some.integers(0, 2), some.integers(0, 5))


@dataclass
class Disk:
    """What a journal keeps: the records that say something, and the messages since the last of them."""

    records: list[Recorded] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    upto: int = 0

    def append(self, messages: Sequence[Message]) -> None:
        self.messages += messages
        self.upto += len(messages)

    def record(self, memory: VersionMemory) -> None:
        if not self.messages:
            return
        made = memory.record(self.upto)
        self.records = [record for record in [*self.records, made] if record.upto >= made.keep_from]
        self.messages = []

    def restarted(self, mode: Mode) -> VersionMemory:
        memory = VersionMemory(mode, "default", 1e9)
        memory.restore([record.data for record in self.records])
        memory.learn(self.messages)
        return memory


class Bridge:
    """The memory beside its model: whatever is done to both, the outcomes are the same."""

    def __init__(self, mode: Mode) -> None:
        self.mode: Mode = mode
        self.memory = VersionMemory(mode, "default", 1e9)
        self.model = Model(contiguous=mode == "contiguous")
        self.disk = Disk()
        self.waiting: list[Message] = []

    def does(self, what: str) -> None:
        match what:
            case "stored":
                self._store()
            case "refused":  # the journal is full: whatever came is as if it had not
                self.memory.sift(self.waiting)
                self.memory.forget()
                self.waiting = []
            case "window":
                self._window()
            case "record":
                self.disk.record(self.memory)
            case "restart":
                self.memory = self.disk.restarted(self.mode)
                self._window()  # the process was not there for a while

    def _window(self) -> None:
        self.memory.window("w")
        self.model.windows += 1

    def _store(self) -> None:
        expected = [outcome for message in self.waiting for outcome in self.model.outcome(message)]
        sifted = self.memory.sift(self.waiting)
        self.waiting = []

        assert told(sifted.messages) == [outcome for outcome in expected if outcome not in ("-", "<")]
        assert (sifted.exact, sifted.stale) == (expected.count("-"), expected.count("<"))
        assert self.memory.open_gaps == self.model.open_gaps()
        self.disk.append(sifted.messages)


def run(mode: Mode, steps: Sequence[tuple[str, int, int]]) -> None:
    hub, bridge = Hub(), Bridge(mode)
    for what, which, number in [*steps, ("stored", 0, 0), ("restart", 0, 0), ("repeat", 0, 0), ("stored", 0, 0)]:
        bridge.waiting += hub.does(what, which, number)
        bridge.does(what)


@settings(max_examples=EXAMPLES)
@given(some.lists(step, min_size=STEPS, max_size=STEPS))
def test_contiguous_is_what_the_model_says(steps: Sequence[tuple[str, int, int]]) -> None:
    """Repeats, stale ones, resets, gaps and their ends are told exactly, whatever the hub and the machine do."""
    run("contiguous", steps)


@settings(max_examples=EXAMPLES)
@given(some.lists(step, min_size=STEPS, max_size=STEPS))
def test_monotonic_is_what_the_model_says(steps: Sequence[tuple[str, int, int]]) -> None:
    """The same without gaps."""
    run("monotonic", steps)
