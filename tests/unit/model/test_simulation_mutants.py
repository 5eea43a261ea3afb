"""The simulation finds bridges that break a promise; with them the other half of the seeds, for a second worker."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from bridge import pipeline
from bridge.blind import Sight
from bridge.journal import Journal, Page
from bridge.journal import log as log_module
from bridge.journal.recorder import Recorder
from bridge.policy import Verdict
from bridge.portos.memory import VersionMemory
from tests.unit.model.seeds import BLOCKS, check
from tests.unit.model.simulation import simulated

Patch = pytest.MonkeyPatch
pytestmark = pytest.mark.usefixtures("quiet")


@pytest.mark.parametrize("seeds", BLOCKS[1::2], ids=str)
def test_whatever_happens_no_promise_is_broken(seeds: range) -> None:
    """As in `test_simulation.py`."""
    check(seeds)


def judged(patch: Patch, change: Callable[[Verdict, Sequence[object]], Verdict]) -> None:
    """Let the policy decide otherwise."""
    whole = pipeline.judge

    def judge(outcomes: Sequence[Any], expected: int, failures: int) -> Verdict:
        verdict = whole(outcomes, expected, failures)
        return change(verdict, outcomes) if len(outcomes) == expected else verdict

    patch.setattr(pipeline, "judge", judge)


def settled_whatever_the_outcome(patch: Patch) -> None:
    judged(patch, lambda verdict, outcomes: Verdict(len(outcomes), verdict.buried, verdict.error))


def later_confirmations_settle_what_is_before_them(patch: Patch) -> None:
    def settle(verdict: Verdict, outcomes: Sequence[object]) -> Verdict:
        confirmed = max((place + 1 for place, outcome in enumerate(outcomes) if outcome is None), default=0)
        return Verdict(max(verdict.settled, confirmed), verdict.buried, verdict.error)

    judged(patch, settle)


def cursor_durable_before_the_answer(patch: Patch) -> None:
    whole = Journal.read

    async def read(self: Journal, sink: str, limit: int) -> Page:
        page = await whole(self, sink, limit)
        if page.seqs:
            self._recorder._moved[sink] = page.seqs[-1]
        return page

    patch.setattr(Journal, "read", read)


def append_answers_before_the_commit(patch: Patch) -> None:
    whole = Journal.append
    running = set()

    async def append(self: Journal, *what: Any) -> bool:
        running.add(asyncio.ensure_future(whole(self, *what)))
        await asyncio.sleep(0)
        return True

    patch.setattr(Journal, "append", append)


def no_send_gate(patch: Patch) -> None:
    whole = Journal.read

    async def read(self: Journal, sink: str, limit: int) -> Page:
        self._readers[sink].durable = self._readers[sink].cursor
        return await whole(self, sink, limit)

    patch.setattr(Journal, "read", read)


def freed_when_the_fastest_sink_has_passed(patch: Patch) -> None:
    patch.setattr(Recorder, "floor", lambda self: max(reader.cursor for reader in self._readers.values()))


def a_loss_is_not_noticed(patch: Patch) -> None:
    patch.setattr(Sight, "lost", lambda *_: None)


def a_proof_from_the_future(patch: Patch) -> None:
    whole = Sight.proved
    patch.setattr(Sight, "proved", lambda self, at: whole(self, at + 0.3))


def versions_forgotten_at_a_restart(patch: Patch) -> None:
    for name in ("restore", "learn"):
        patch.setattr(VersionMemory, name, lambda *_: None)


def buried_without_a_letter(patch: Patch) -> None:
    def none(*_: object) -> Mapping[int, object]:
        return {}

    patch.setattr(log_module, "buried_letters", none)


def not_counted_where_a_connection_ends(patch: Patch) -> None:
    whole = pipeline.Delivery._count

    def count(self: Any, page: Page, verdict: Verdict, seconds: float) -> None:
        if verdict.error is None:
            whole(self, page, verdict, seconds)

    patch.setattr(pipeline.Delivery, "_count", count)


@pytest.mark.parametrize(
    "mutant",
    [
        settled_whatever_the_outcome,
        later_confirmations_settle_what_is_before_them,
        cursor_durable_before_the_answer,
        append_answers_before_the_commit,
        no_send_gate,
        freed_when_the_fastest_sink_has_passed,
        a_loss_is_not_noticed,
        a_proof_from_the_future,
        versions_forgotten_at_a_restart,
        buried_without_a_letter,
        not_counted_where_a_connection_ends,
    ],
)
def test_a_bridge_that_breaks_a_promise_is_found_out(mutant: Callable[[Patch], None], monkeypatch: Patch) -> None:
    """Within the seeds that CI runs."""
    mutant(monkeypatch)

    assert any(simulated(seed).faults for seed in range(300))
