"""Of two connections beside each other the older one is deaf if the newer one alone hears anything."""

import pytest

from bridge.portos.comparison import Comparison, Heard, Verdict

NOTHING = Heard(event=False, listening=True, ended=False)
EVENT = Heard(event=True, listening=True, ended=False)
PAUSED = Heard(event=False, listening=False, ended=False)
ENDED = Heard(event=False, listening=True, ended=True)
HEARD_AND_ENDED = Heard(event=True, listening=True, ended=True)


def compared(looks: list[tuple[float, Heard, Heard]], *, doubtful: bool = False) -> list[Verdict | None]:
    """Look at those moments, a silence of ten seconds being enough."""
    comparison = Comparison(0.0, 10.0)
    return [comparison.look(now, older, newer, doubtful=doubtful) for now, older, newer in looks]


@pytest.mark.parametrize(
    ("name", "looks", "verdicts"),
    [
        ("the older one hears", [(1, NOTHING, NOTHING), (2, EVENT, NOTHING)], [None, "hears"]),
        ("both hear", [(1, EVENT, EVENT)], ["hears"]),
        ("the newer alone", [(1, NOTHING, EVENT), (2.9, NOTHING, EVENT), (3, NOTHING, EVENT)], [None, None, "deaf"]),
        ("the older hears a little later", [(1, NOTHING, EVENT), (2.9, EVENT, EVENT)], [None, "hears"]),
        ("neither, for long enough", [(9.9, NOTHING, NOTHING), (10, NOTHING, NOTHING)], [None, "silence"]),
        ("the newer alone at the last moment", [(9.9, NOTHING, EVENT), (10, NOTHING, EVENT)], [None, None]),
        ("not read for want of memory", [(1, PAUSED, EVENT), (4, PAUSED, EVENT)], [None, None]),
        (
            "read again, and deaf",
            [(1, PAUSED, EVENT), (4, NOTHING, EVENT), (5.9, NOTHING, EVENT), (6, NOTHING, EVENT)],
            [None, None, None, "deaf"],
        ),
        (
            "not read in between",
            [(1, NOTHING, EVENT), (2, PAUSED, EVENT), (3, NOTHING, EVENT), (4.9, NOTHING, EVENT)],
            [None, None, None, None],
        ),
        ("not read until the time is over", [(1, PAUSED, EVENT), (10, PAUSED, EVENT)], [None, "silence"]),
        ("the older one ends", [(1, ENDED, EVENT)], ["undecided"]),
        ("the newer one ends", [(1, NOTHING, HEARD_AND_ENDED)], ["undecided"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_verdict(name: str, looks: list[tuple[float, Heard, Heard]], verdicts: list[Verdict | None]) -> None:
    assert compared(looks) == verdicts, name


@pytest.mark.parametrize(
    ("older", "newer", "verdict"),
    [
        (ENDED, EVENT, "deaf"),
        (NOTHING, HEARD_AND_ENDED, "deaf"),
        (ENDED, NOTHING, "undecided"),
        (EVENT, ENDED, "hears"),
    ],
)
def test_a_doubt_is_right_if_one_ends_and_the_newer_alone_has_heard(
    older: Heard, newer: Heard, verdict: Verdict
) -> None:
    assert compared([(1, older, newer)], doubtful=True) == [verdict]
