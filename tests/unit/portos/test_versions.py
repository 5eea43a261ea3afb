"""Which messages count as repeats."""

from bridge.message import Message
from bridge.portos.versions import Repeats


def message(identity: str, body: bytes = b"{}") -> Message:
    return Message(identity, "portos.resources.changed", "tickets", "1", 1, "updated", None, None, 0.0, body)


def test_the_same_id_with_the_same_bytes_is_a_repeat() -> None:
    """An exact repeat is recognised, as often as it comes."""
    repeats = Repeats(dedupe_seconds=10)

    assert [repeats.repeats(message("a"), now) for now in (0.0, 1.0, 2.0)] == [False, True, True]


def test_the_same_id_with_other_bytes_passes() -> None:
    """A server restored from a backup counts versions again: other content is news, and so is what came before it."""
    repeats = Repeats(dedupe_seconds=10)

    assert [repeats.repeats(message("a", body), 0.0) for body in (b"1", b"2", b"2", b"1")] == [
        False,
        False,
        True,
        False,
    ]


def test_another_id_passes() -> None:
    """The same bytes under another id are another event."""
    repeats = Repeats(dedupe_seconds=10)

    assert [repeats.repeats(message(identity), 0.0) for identity in ("a", "b")] == [False, False]


def test_repeats_are_forgotten_after_their_time() -> None:
    """After the window the same notification counts as new, and starts a window of its own."""
    repeats = Repeats(dedupe_seconds=10)

    assert [repeats.repeats(message("a"), now) for now in (0.0, 10.0, 20.1, 20.2)] == [False, True, False, True]


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    """Only so many ids are kept; one seen again is young again."""
    repeats = Repeats(dedupe_seconds=10, max_events=2)
    for identity in ("a", "b", "a", "c"):
        repeats.repeats(message(identity), 0.0)

    assert len(repeats) == 2
    assert repeats.repeats(message("a"), 0.0)
    assert not repeats.repeats(message("b"), 0.0)
