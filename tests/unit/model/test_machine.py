"""The journal does what its model says, whatever happens; a journal that does not is found out."""

import asyncio
import os
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from bridge.journal import Journal, Page, letter_table, store
from bridge.journal.change import Change, statements
from bridge.journal.reader import Reader
from bridge.journal.recorder import Recorder
from bridge.journal.tail import Tail
from bridge.journal.upkeep import Upkeep
from tests.unit.model.machine import SINKS, JournalMachine

NIGHTLY = bool(os.environ.get("TEST_NIGHTLY"))
EXAMPLES = 1000 if NIGHTLY else 40
STEPS = 100 if NIGHTLY else 40
Patch = pytest.MonkeyPatch
pytestmark = pytest.mark.usefixtures("quiet")


def a_commit_in_the_middle(machine: JournalMachine) -> None:
    """Kafka stands in the middle of a commit and MQTT behind it, at an orderly end and at a kill."""
    machine.append([("a", 1, 10)] * 6, [], proved=True)
    machine.deliver("mqtt", 30, 100, set())
    machine.deliver("kafka", 30, 2, set())
    machine.restart(SINKS, "in order")
    machine.deliver("kafka", 30, 1, set())
    machine.idle("1.1 s")
    machine.restart(SINKS, "killed")
    machine.deliver("kafka", 30, 100, set())


def what_is_read_and_not_settled(machine: JournalMachine) -> None:
    """Something else is written meanwhile; then the process is killed, or ends in order."""
    for how in ("killed", "in order"):
        machine.append([("a", 1, 10)] * 6, [], proved=True)
        machine.deliver("kafka", 1, 1, {0})
        machine.read("kafka", 5)
        machine.deliver("mqtt", 1, 1, {0})
        machine.restart(SINKS, how)


def a_slow_disk(machine: JournalMachine) -> None:
    """More is delivered than is recorded; then the process is killed."""
    machine.append([("a", 1, 10)] * 9, [], proved=True)
    machine.disk("slow")
    for _ in range(9):
        machine.deliver("kafka", 1, 1, set())
        machine.deliver("mqtt", 1, 1, set())
    machine.append([("b", 1, 10)], [], proved=True)
    machine.restart(SINKS, "killed")


def letters_without_room(machine: JournalMachine) -> None:
    """What is buried while there is no room for anything is there afterwards."""
    machine.append([("a", 1, 10)] * 6, [], proved=False)
    for disk in ("full disk", "full file"):
        machine.disk(disk)
        machine.append([("a", 1, 10)] if disk == "full disk" else [], [3_000], proved=True)
        machine.deliver("kafka", 2, 2, {0})
        machine.deliver("mqtt", 2, 2, set())
        machine.disk("well")
        machine.append([("a", 1, 10)], [], proved=True)
        machine.idle("look")


def letters_that_are_overtaken(machine: JournalMachine) -> None:
    """In the session in which they are written, and in a later one; the kill takes back places and what they say."""
    machine.append([("a", 1, 10), ("b", 1, 10), ("a", 1, 10)], [], proved=False)
    machine.deliver("kafka", 30, 2, {0, 1})
    machine.deliver("kafka", 30, 1, set())
    machine.append([("b", 1, 10)], [], proved=False)
    machine.restart(SINKS, "killed")
    machine.deliver("kafka", 30, 100, set())
    machine.idle("look")


def letters_that_are_sent_again(machine: JournalMachine) -> None:
    """One is delivered, one refused again; the answer of the disk is lost with the process."""
    machine.append([("a", 1, 10), ("b", 1, 10)] * 2, [1], proved=False)
    machine.deliver("kafka", 30, 100, {0, 2, 3})
    for how in ("killed", "killed after the commit"):
        machine.retry("kafka", None)
        machine.send_again("kafka", ["-", "+", "+", "+"], held=True)
        machine.restart(SINKS, how)
    machine.deliver("kafka", 30, 100, set())


def memory_is_too_small(machine: JournalMachine) -> None:
    """One sink keeps up, the other reads the disk."""
    for _ in range(5):
        machine.append([("a", 1, 10), ("b", 1, 300)] * 4, [], proved=True)
        machine.deliver("kafka", 5, 100, set())
    for _ in range(8):
        machine.deliver("mqtt", 5, 100, {1})


CLASSIC = (
    a_commit_in_the_middle,
    what_is_read_and_not_settled,
    a_slow_disk,
    letters_without_room,
    letters_that_are_overtaken,
    letters_that_are_sent_again,
    memory_is_too_small,
)


def check(examples: int) -> None:
    """Play what is known to be hard, with each bound, and so many other runs; raises for one that shows a fault."""
    for play, memory_bytes, every in product(CLASSIC, (1_500, 2**20), (1, 20)):
        machine = JournalMachine()
        try:
            machine.begin(SINKS, small=False, memory_bytes=memory_bytes, every=every)
            play(machine)
            machine.agrees()
        finally:
            machine.teardown()
    if examples:
        phases = [Phase.generate, Phase.shrink] if NIGHTLY else [Phase.generate]
        run_state_machine_as_test(
            JournalMachine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                derandomize=not NIGHTLY,
                phases=phases,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )


def test_the_journal_does_what_its_model_says() -> None:
    """What is accepted comes once and in order, what is settled not again, a crash repeats no more than it may."""
    check(EXAMPLES)


def a_chunk_too_many_is_deleted(patch: Patch) -> None:
    def deleting(change: Change) -> Iterator[tuple[str, tuple[object, ...]]]:
        for text, values in statements(change):
            yield text.replace("chunk WHERE last <=", "chunk WHERE first <="), values

    patch.setattr(store, "statements", deleting)


def a_cursor_is_written_before_it_is_settled(patch: Patch) -> None:
    whole = Journal.read

    async def read(self: Journal, sink: str, limit: int) -> Page:
        page = await whole(self, sink, limit)
        if page.seqs:
            self._recorder._moved[sink] = page.seqs[-1]
        return page

    patch.setattr(Journal, "read", read)


def a_page_that_is_read_ahead_misses_one(patch: Patch) -> None:
    whole = Reader.ahead

    def ahead(self: Reader, limit: int) -> Page | None:
        page = whole(self, limit)
        if page is None or len(page.seqs) < 2:
            return page
        return Page([*page.messages[:-2], page.messages[-1]], [*page.seqs[:-2], page.seqs[-1]])

    patch.setattr(Reader, "ahead", ahead)


def the_tail_forgets_one_too_many(patch: Patch) -> None:
    whole = Tail.forget

    def forget(self: Tail, seq: int) -> None:
        whole(self, seq)
        self._gone += self._gone + 1 < len(self._messages)

    patch.setattr(Tail, "forget", forget)


def letters_are_lost_where_events_find_no_room(patch: Patch) -> None:
    whole = Change.withdraw

    def withdraw(self: Change, head: int) -> None:
        whole(self, head)
        self.dead_letters = []

    patch.setattr(Change, "withdraw", withdraw)


def numbers_are_not_taken_back(patch: Patch) -> None:
    whole = Recorder._refused

    def refused(self: Recorder, *what: Any, **more: Any) -> None:
        given = self.given
        whole(self, *what, **more)
        self.given = given

    patch.setattr(Recorder, "_refused", refused)


def freed_when_the_fastest_sink_has_passed(patch: Patch) -> None:
    patch.setattr(Recorder, "floor", lambda self: max(reader.cursor for reader in self._readers.values()))


def no_send_gate(patch: Patch) -> None:
    whole = Journal.read

    async def read(self: Journal, sink: str, limit: int) -> Page:
        self._readers[sink].durable = self._readers[sink].cursor
        return await whole(self, sink, limit)

    patch.setattr(Journal, "read", read)


def append_answers_before_the_commit(patch: Patch) -> None:
    whole = Journal.append
    running = set()

    async def append(self: Journal, *what: Any) -> bool:
        running.add(asyncio.ensure_future(whole(self, *what)))
        return True

    patch.setattr(Journal, "append", append)


def a_cursor_that_is_due_is_not_written(patch: Patch) -> None:
    patch.setattr(Recorder, "_flush_now", lambda _: None)


def what_overtakes_a_letter_goes_without_its_cursor(patch: Patch) -> None:
    whole = Upkeep.ride_along

    def ride_along(self: Upkeep, change: Change, *others: Any, **more: Any) -> bool:
        return whole(self, change, *others, **more) and bool(change.settled or change.clean)

    patch.setattr(Upkeep, "ride_along", ride_along)


def letters_of_before_are_not_overtaken(patch: Patch) -> None:
    patch.setattr(letter_table, "keys", lambda _: [])


def what_is_merged_loses_its_edits(patch: Patch) -> None:
    whole = Change.merge

    def merge(self: Change, later: Change) -> None:
        later.edits = None
        whole(self, later)

    patch.setattr(Change, "merge", merge)


@pytest.mark.parametrize(
    "mutant",
    [
        a_chunk_too_many_is_deleted,
        a_cursor_is_written_before_it_is_settled,
        a_page_that_is_read_ahead_misses_one,
        the_tail_forgets_one_too_many,
        letters_are_lost_where_events_find_no_room,
        numbers_are_not_taken_back,
        freed_when_the_fastest_sink_has_passed,
        no_send_gate,
        append_answers_before_the_commit,
        a_cursor_that_is_due_is_not_written,
        what_overtakes_a_letter_goes_without_its_cursor,
        letters_of_before_are_not_overtaken,
        what_is_merged_loses_its_edits,
    ],
)
def test_a_journal_that_does_not_is_found_out(mutant: Callable[[Patch], None], monkeypatch: Patch) -> None:
    mutant(monkeypatch)

    with pytest.raises((AssertionError, KeyError, IndexError, Flaky)):
        check(0)
