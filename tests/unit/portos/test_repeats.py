"""Exact repeats of what has no version: which of them are forgotten first."""

from bridge.portos.repeats import Repeats
from tests.unit.portos.changes import unversioned


def test_what_came_again_is_forgotten_as_late_as_if_it_were_new() -> None:
    """Of more than can be kept the one goes that has not come for longest."""
    repeats = Repeats(60, max_events=2)
    for content, at in (("a", 0.0), ("b", 1.0), ("a", 100.0), ("c", 101.0)):
        assert not repeats.repeats(unversioned(content, at))

    assert repeats.repeats(unversioned("a", 102.0))
    assert len(repeats) == 2
