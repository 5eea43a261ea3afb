"""The journal and its model side by side: opened, and held against each other.

The lowest part of the state machine in `tests.unit.model.machine`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from bridge.journal import Letter, Limits, Page
from bridge.journal.letter import LETTER_BYTES
from bridge.labels import SOURCE
from bridge.metrics import Catalogue
from bridge.redrive import Redrive
from tests.unit.model.plain import Letters, Place, PlainJournal, PlainLetter
from tests.unit.model.stage import Stage

__all__ = ["KEYS", "LARGE_BYTES", "SINKS", "WINDOW", "Pair", "any_sink", "sinks"]

SINKS = ("kafka", "mqtt")
KEYS = ("a", "b")
WINDOW = 4
LARGE_BYTES = 2**26
_CATALOGUE = Catalogue("default", SINKS, ["tickets"], 50)

any_sink = st.sampled_from(SINKS)
sinks = st.sampled_from([SINKS, SINKS, SINKS, SINKS[:1], SINKS[1:]])


class Pair(RuleBasedStateMachine):
    """See the module. A page in hand is what a sink was given and has not settled; `busy` is what is under way."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()
        self.sinks: Sequence[str] = ()
        self.pages: dict[str, Page] = {}
        self.busy: set[str] = set()
        self.redrives: dict[str, Redrive] = {}
        self.refusals: dict[str, tuple[int | None, int]] = {}
        self.number = 0
        self.begins: dict[str, int] = {}

    @initialize(
        begins_with=sinks,
        small=st.booleans(),
        memory_bytes=st.sampled_from([1_500, 2**20]),
        every=st.sampled_from([1, 5, 20, 20]),
    )
    def begin(self, begins_with: Sequence[str], *, small: bool, memory_bytes: int, every: int) -> None:
        self.max_bytes = 2**19 if small else LARGE_BYTES
        self.limits = Limits(self.max_bytes * 15 // 16, memory_bytes, every, 1.0)
        self.plain = PlainJournal(self.limits.capacity_bytes // 4)
        self.open(begins_with, clean=None)

    @property
    def free(self) -> set[str]:
        """The sinks that have nothing under way."""
        return set(self.sinks) - self.busy

    @property
    def well(self) -> bool:
        """Whether nothing is under way, but for sinks that wait for events."""
        return not (self.stage.held or self.stage.full)

    @invariant()
    def agrees(self) -> None:
        """What the journal says of itself is what the model says."""
        journal, plain = self.stage.journal, self.plain
        plain.floor = max(plain.floor, min(plain.places[sink].cursor for sink in self.sinks))
        assert journal.failure is None
        assert journal.head == len(plain.stored)
        assert journal.events == max(len(plain.unsettled(sink)) for sink in self.sinks)
        for sink in self.sinks:
            unsettled = plain.unsettled(sink)
            lag = journal.lag(sink)
            assert journal.cursor(sink) == plain.places[sink].cursor
            assert (lag.events, lag.body_bytes) == (len(unsettled), sum(len(one.body) for one in unsettled))
            assert (lag.oldest_at is None) == (not unsettled)
            assert not (self.well and unsettled and sink in self.busy), f"{sink} waits, and there are events"
        if not self.busy - set(self.sinks):
            assert not any(journal.imbalances().values()), journal.imbalances()

    def learn(self) -> None:
        """Compare the dead letters on disk with the model's; where that is unsure it takes what is there."""
        there = {_name(letter): letter for letter in self.stage.letters()}
        for letter in self.plain.letters:
            found = there.pop((letter.sink, letter.seq, b"" if letter.seq else letter.data), None)
            if letter.unsure and (found is None or not found.kept.data):
                self._shed(letter, kept=found is not None)
                continue
            assert found is not None, f"lost: {letter}"
            assert found.kept.data == letter.data
            assert found.event == letter.message
            assert (found.kept.reason, found.kept.attempts) == (letter.reason, letter.attempts)
            assert (found.overtaken_by, found.retry_at is not None) == (letter.overtaken_by, letter.marked)
        assert not there, f"nobody has buried these: {there}"
        for sink in (*SINKS, SOURCE):
            mine = [letter for letter in self.plain.letters if letter.sink == sink]
            numbers = self.stage.journal.letters.numbers(sink)
            size = sum(letter.size + LETTER_BYTES for letter in mine)
            expected = len(mine), size, sum(letter.marked for letter in mine)
            assert (numbers["events"], numbers["bytes"], numbers["marked"]) == expected

    def letters_of(self, sink: str, key: str | None = None) -> Sequence[PlainLetter]:
        """Give a sink's dead letters, all or those about one resource."""
        return [letter for letter in self.plain.letters if letter.sink == sink and letter.about(key)]

    def change(self, sink: str, edit: Callable[[PlainLetter], PlainLetter | None]) -> None:
        """Change the letters of a sink, or throw them away, and look what waits for that."""

        def changed(letters: Letters) -> Letters:
            return tuple(new for new in map(edit, letters) if new is not None)

        if sink == SOURCE:
            self.plain.source = changed(self.plain.source)
        elif sink in self.plain.places:
            self.plain.places[sink].change(changed)
        self.stage.settle()

    def _shed(self, known: PlainLetter, *, kept: bool) -> None:
        """Take note of what became of a letter that found no room."""
        without_event = replace(known, data=b"", unsure=False) if kept else None
        self.change(known.sink, lambda one: without_event if one == known else one)

    def crowd(self) -> None:
        """Note whether letters may have to do without their events for want of room."""
        self.plain.crowded = self.stage.journal.room.used_bytes * 2 > self.limits.capacity_bytes

    def durable(self) -> None:
        """Note that every place is on disk."""
        for sink in self.sinks:
            self.plain.places[sink].durable()

    def open(self, sinks: Sequence[str], *, clean: bool | None) -> None:
        """Begin a life: all that was accepted is there, and every place is one that the sink had."""
        before = self.sinks
        self.sinks, self.pages, self.busy, self.refusals = sinks, {}, set(), {}
        self.stage.open(sinks, self.max_bytes, self.limits)
        journal, plain = self.stage.journal, self.plain
        assert journal.previous.clean is clean
        assert journal.head == len(plain.stored), "events are lost, or were never accepted"
        assert journal.previous.proved_at == plain.proved_at
        cursors = self.stage.on_disk
        for sink in before:
            at, was = max(cursors.get(sink, 0), self.begins[sink]), [cursor for cursor, _ in plain.places[sink].was]
            assert at in was, f"{sink} begins at {at}, and it was at {was} since its last place that is surely on disk"
            plain.places[sink].crashed(at)
        for sink in sinks:
            place = plain.places.setdefault(sink, Place([(0, ())]))
            begins = self.begins[sink] = journal.cursor(sink)
            assert place.cursor <= begins <= max(place.cursor, plain.floor), "passed over what nobody has settled"
            place.was = [(begins, place.letters)]
        self.redrives = {sink: Redrive(sink, journal, _CATALOGUE, WINDOW) for sink in sinks}
        self.learn()


def _name(letter: Letter) -> tuple[str, int | None, bytes]:
    """Give what tells a letter from others."""
    return letter.kept.sink, letter.kept.seq, b"" if letter.kept.seq else letter.kept.data
