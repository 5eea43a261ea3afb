"""What one change of a resource is, by what is known of it: the table of the rule."""

import msgspec
import pytest

from bridge.message import Message
from bridge.portos.memory import VersionMemory
from tests.unit.portos.changes import change, told

RESET = ("versionreset", "true")


def none(version: int, action: str = "updated") -> Message:
    """A change that does not say when it was created."""
    return msgspec.structs.replace(change(version, action=action), created_at=None)


# What came, and what becomes of each; `-` is dropped as an exact repeat, `<` as stale.
TABLE = {
    "versions that grow pass": ([change(1), change(2), change(9)], [1, 2, 9]),
    "a version below nought is one too": ([change(-3), change(-2), change(0)], [-3, -2, 0]),
    "a higher version passes though it is stamped earlier": ([change(1, 50.0), change(2, 40.0)], [1, 2]),
    "the same again is an exact repeat": ([change(4), change(4), change(4)], [4, "-", "-"]),
    "other bytes make it no other change": ([change(4), change(4, body=b"[]")], [4, "-"]),
    "an older one is stale": ([change(1), change(2), change(1)], [1, 2, "<"]),
    "an older one without a time is stale": ([none(1), none(2), none(1)], [1, 2, "<"]),
    "an older one of the same moment is stale": ([change(2, 7.0), change(1, 7.0)], [2, "<"]),
    "a lower version created later is a reset": ([change(5), change(2, 6.0)], [5, (2, RESET)]),
    "the same version created later is a reset": ([change(5), change(5, 6.0)], [5, (5, RESET)]),
    "later is later than anything seen": ([change(5, 9.0), change(6, 8.0), change(5, 9.0)], [5, 6, "<"]),
    "after a reset versions grow from there": (
        [change(5), change(1, 6.0), change(2, 7.0), change(2, 7.0)],
        [5, (1, RESET), 2, "-"],
    ),
    "after a reset what was before it is stale": (
        [change(5), change(1, 6.0), change(5, 5.0), change(3, 3.0), change(1, 1.0), change(2, 7.0)],
        [5, (1, RESET), "<", "<", "<", 2],
    ),
    "after a reset to the same version its repeat is known": (
        [change(5), change(5, 6.0), change(5, 5.0), change(5, 6.0)],
        [5, (5, RESET), "<", "-"],
    ),
    "a minute after a reset only the version counts": (
        [change(5), change(1, 6.0), change(4, 4.0, received_at=60.1)],
        [5, (1, RESET), 4],
    ),
    "after two resets what was before both is stale": (
        [change(9), change(1, 10.0), change(3, 11.0), change(1, 12.0), change(9), change(3, 11.0), change(2, 13.0)],
        [9, (1, RESET), 3, (1, RESET), "<", "<", 2],
    ),
    "a delete with the next version passes": ([change(1), change(2, action="deleted")], [1, 2]),
    "a delete with the last version passes": ([change(3), change(3, action="deleted")], [3, 3]),
    "a delete with the last version passes without a time": ([none(3), none(3, "deleted")], [3, 3]),
    "a delete with the last version passes created later": ([change(3), change(3, 4.0, "deleted")], [3, 3]),
    "a delete passes once": ([change(3), change(3, action="deleted"), change(3, action="deleted")], [3, 3, "-"]),
    "after a delete the update before it is known": ([change(3), change(3, 4.0, "deleted"), change(3)], [3, 3, "-"]),
    "after a delete an update unseen of that version is stale": ([none(3, "deleted"), none(3)], [3, "<"]),
    "a delete with a version passed is stale": ([change(3), change(2, action="deleted")], [3, "<"]),
    "made anew after a delete is a reset": (
        [change(3, action="deleted"), change(1, 4.0, "created"), change(2, 5.0)],
        [3, (1, RESET), 2],
    ),
    "the delete before it was made anew is stale": (
        [change(1, 1.0, "deleted"), change(1, 4.0, "created"), change(1, 1.0, "deleted")],
        [1, (1, RESET), "<"],
    ),
    "each action of a version is news once": (
        [change(1, action="created"), change(1), change(1, action="created"), change(1)],
        [1, 1, "-", "-"],
    ),
    "an action stamped before another of the same version is stale": ([change(4), change(4, 3.0, "created")], [4, "<"]),
    "an action that nobody documents is one of its own": (
        [change(1, action="unknown"), change(1, action="unknown"), change(1)],
        [1, "-", 1],
    ),
}


@pytest.mark.parametrize("mode", ["monotonic", "contiguous"])
@pytest.mark.parametrize(("came", "became"), TABLE.values(), ids=TABLE.keys())
def test_what_a_change_is(came: list[Message], became: list[object], mode: str) -> None:
    """The same in both modes but for the gaps, which only one of them tells."""
    memory = VersionMemory(mode, "default", 3600.0)  # type: ignore[arg-type]

    outcomes: list[object] = []
    for message in came:
        sifted = memory.sift([message])
        assert sifted.passed + sifted.exact + sifted.stale == 1
        passed = [each for each in sifted.messages if each.resource is not None]
        flagged = [(m.version, m.flags[0]) if m.flags and m.flags[0] == RESET else m.version for m in passed]
        outcomes += flagged or ["-" if sifted.exact else "<"]

    assert outcomes == became


# What came in `contiguous` mode, and all that becomes of it.
GAPS = {
    "the first sight is no gap": ([change(7), change(8)], [7, 8]),
    "a creation is no gap either, whatever its version": ([change(7, action="created")], [7]),
    "a jump is told before what shows it": (
        [change(1), change(4)],
        [1, ("version", 1, 4, 2, 3), (4, ("gapfrom", "1"))],
    ),
    "a delete can show one too": (
        [change(1), change(3, action="deleted")],
        [1, ("version", 1, 3, 2), (3, ("gapfrom", "1"))],
    ),
    "what comes late passes and the last of it closes the gap": (
        [change(1), change(4), change(3), change(2), change(5)],
        [1, ("version", 1, 4, 2, 3), (4, ("gapfrom", "1")), 3, 2, ("late", 1, 4), 5],
    ),
    "what comes late comes once": (
        [change(1), change(4), change(3), change(3), change(2), change(2)],
        [1, ("version", 1, 4, 2, 3), (4, ("gapfrom", "1")), 3, 2, ("late", 1, 4)],
    ),
    "what comes late out of the middle comes once too": (
        [change(1), change(5), change(3), change(3), change(4), change(2)],
        [1, ("version", 1, 5, 2, 3, 4), (5, ("gapfrom", "1")), 3, 4, 2, ("late", 1, 5)],
    ),
    "what comes late may be the latest made": (
        [change(1), change(3), change(2, 20.0), change(1, 10.0)],
        [1, ("version", 1, 3, 2), (3, ("gapfrom", "1")), 2, ("late", 1, 3)],
    ),
    "with a gap open the latest made is still known": (
        [change(1), change(3), change(4, 2.0), change(1, 2.5)],
        [1, ("version", 1, 3, 2), (3, ("gapfrom", "1")), 4],
    ),
    "each of two gaps is closed by its own": (
        [change(1), change(3), change(5), change(4), change(2)],
        [
            *(1, ("version", 1, 3, 2), (3, ("gapfrom", "1")), ("version", 3, 5, 4), (5, ("gapfrom", "3"))),
            *(4, ("late", 3, 5), 2, ("late", 1, 3)),
        ],
    ),
    "what comes late without a time fills its gap": (
        [none(1), none(3), none(2)],
        [1, ("version", 1, 3, 2), (3, ("gapfrom", "1")), 2, ("late", 1, 3)],
    ),
    "what is stamped when it was sent, a little later, fills its gap": (
        [change(1), change(3), change(2, 20.0)],
        [1, ("version", 1, 3, 2), (3, ("gapfrom", "1")), 2, ("late", 1, 3)],
    ),
    "what was created long after is a reset even into a gap": (
        [change(1), change(3), change(2, 100.0), change(3, 101.0)],
        [1, ("version", 1, 3, 2), (3, ("gapfrom", "1")), (2, RESET), 3],
    ),
    "a reset ends the gaps, and begins anywhere": (
        [change(1), change(9), change(4, 100.0), change(2, 2.0), change(6, 101.0)],
        [
            *(1, ("version", 1, 9, 2, 3, 4, 5, 6, 7, 8), (9, ("gapfrom", "1"))),
            *((4, RESET), ("version", 4, 6, 5), (6, ("gapfrom", "4"))),
        ],
    ),
    "what comes late may be the delete with the last version": (
        [change(1), change(3), change(3, 4.0, "deleted"), change(2)],
        [1, ("version", 1, 3, 2), (3, ("gapfrom", "1")), 3, 2, ("late", 1, 3)],
    ),
}


@pytest.mark.parametrize(("came", "became"), GAPS.values(), ids=GAPS.keys())
def test_what_is_told_of_gaps(came: list[Message], became: list[object]) -> None:
    """The same however the changes are cut into batches."""
    at_once, one_by_one = (VersionMemory("contiguous", "default", 3600.0) for _ in range(2))

    assert told(at_once.sift(came).messages) == became
    assert told([each for message in came for each in one_by_one.sift([message]).messages]) == became
