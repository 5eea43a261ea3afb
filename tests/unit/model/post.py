"""What is done with dead letters: they are marked, sent again and thrown away, in the journal and in its model.

A part of the state machine in `tests.unit.model.machine`; what sends is the real `bridge.redrive`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from bridge.errors import Rejected, Unavailable
from bridge.journal import Page, Retried, Which
from bridge.labels import SOURCE
from bridge.ports import Outcome
from tests.unit.model.pair import KEYS, SINKS, WINDOW, Pair, any_sink
from tests.unit.model.plain import PlainLetter

__all__ = ["Post"]

_ATTEMPTS = 3  # as many connections as a letter may cost
outcomes = st.lists(st.sampled_from("+++-?"), min_size=WINDOW, max_size=WINDOW)


class Post(Pair):
    """See the module."""

    @precondition(lambda self: self.well)
    @rule(sink=any_sink, key=st.sampled_from([None, *KEYS]))
    def retry(self, sink: str, key: str | None) -> None:
        """Those that can be sent again are marked, and all others counted by why not."""
        self.learn()
        expected = Retried()
        for letter in self.letters_of(sink, key):
            _count(letter, expected)

        assert self.stage.ask(self.stage.journal.desk.retry(Which(sink=sink, id=key), 7.0)) == expected
        self.change(sink, lambda one: replace(one, marked=True) if one.about(key) and _ready(one) else one)

    @precondition(lambda self: self.well)
    @rule(sink=st.sampled_from([*SINKS, SOURCE]), key=st.sampled_from(KEYS))
    def purge(self, sink: str, key: str | None) -> None:
        key = None if sink == SOURCE else key
        gone = self.stage.ask(self.stage.journal.desk.purge(Which(sink=sink, id=key)))

        assert gone >= sum(not letter.unsure for letter in self.letters_of(sink, key))
        self.change(sink, lambda one: None if one.about(key) else one)

    @precondition(lambda self: self.well and any(self.redrives[sink].due for sink in self.free))
    @rule(sink=any_sink, outcomes=outcomes, held=st.booleans())
    def send_again(self, sink: str, outcomes: Sequence[str], *, held: bool) -> None:
        """What is confirmed is gone, what is refused again counts its attempts, what cannot be sent loses its mark."""
        if sink not in self.free or not self.redrives[sink].due:
            return
        self.learn()
        due = sorted((one for one in self.letters_of(sink) if one.marked), key=lambda one: one.seq or 0)[:WINDOW]
        ready = [letter for letter in due if letter.overtaken_by is None]
        if held:
            outcomes = [one if one != "?" else "+" for one in outcomes]
        upto = outcomes.index("?") if "?" in outcomes[: len(ready)] else len(ready)
        self.busy.add(sink)

        async def deliver(page: Page) -> Sequence[Outcome]:
            assert list(page.messages) == [letter.message for letter in ready]
            if held:
                self.stage.hold()
            return [_outcome(one) for one in outcomes[: len(ready)]]

        async def send() -> None:
            try:
                await self.redrives[sink].send(deliver)
            except Unavailable:
                assert upto < len(ready)

        def then(_: None) -> None:
            self.busy.remove(sink)
            self._sent(sink, due, dict(zip([letter.seq for letter in ready[:upto]], outcomes, strict=False)))
            if upto < len(ready):
                self._failed(sink, ready[upto])

        self.stage.run(send(), then)

    def _sent(self, sink: str, due: Sequence[PlainLetter], became: Mapping[int | None, str]) -> None:
        overtaken = {letter.seq for letter in due if letter.overtaken_by is not None}

        def one(letter: PlainLetter) -> PlainLetter | None:
            if letter.seq in overtaken:
                return replace(letter, marked=False)
            match became.get(letter.seq):
                case "+":
                    return None
                case "-":
                    return replace(letter, marked=False, attempts=letter.attempts + 1, reason="again")
                case _:
                    return letter

        delivered = [letter for letter in due if became.get(letter.seq) == "+"]
        self.change(sink, one)
        for done in delivered:
            assert done.message is not None
            assert done.seq is not None
            message, seq = done.message, done.seq
            self.change(sink, lambda one: one.overtaken(message, seq))  # noqa: B023 - called at once

    def _failed(self, sink: str, letter: PlainLetter) -> None:
        """Count a connection that a letter has cost; after a few of them all of its sink are given up."""
        seq, attempts = self.refusals.get(sink, (None, 0))
        attempts = attempts + 1 if seq == letter.seq else 1
        self.refusals[sink] = letter.seq, attempts % _ATTEMPTS
        if attempts == _ATTEMPTS:
            self.change(sink, lambda one: replace(one, marked=False))


def _count(letter: PlainLetter, done: Retried) -> None:
    if not letter.sendable:
        done.without_event += 1
    elif letter.overtaken_by is not None:
        done.overtaken += 1
    elif letter.marked:
        done.waiting += 1
    else:
        done.marked += 1


def _ready(letter: PlainLetter) -> bool:
    return letter.sendable and letter.overtaken_by is None


def _outcome(sign: str) -> Outcome:
    match sign:
        case "+":
            return None
        case "-":
            return Rejected("again", reason="again")
        case _:
            return Unavailable("away", reason="network")
