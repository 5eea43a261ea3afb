"""What the readers of the bench say and keep: frames a server takes, and a curve that stays small."""

import pytest

from tests.bench.performance.backlog import connected_at
from tests.bench.performance.listener import framed
from tests.bench.subscriber import Seen


@pytest.mark.parametrize(
    ("size", "head"), [(5, b"\x81\x85"), (125, b"\x81\xfd"), (126, b"\x81\xfe\x00\x7e"), (300, b"\x81\xfe\x01\x2c")]
)
def test_a_frame_of_a_client_is_masked_without_a_change(size: int, head: bytes) -> None:
    """RFC 6455 closes the connection of a client that does not mask; a mask of zeros leaves the bytes as they are."""
    data = b"x" * size

    assert framed(data) == head + bytes(4) + data


def test_a_curve_has_a_point_a_millisecond_and_the_last() -> None:
    seen = Seen()
    for moment in (1.0, 1.0002, 1.0011, 1.0012):
        seen.count += 10
        seen.note(moment)
    seen.note(1.0012, last=True)

    assert seen.curve == [(1.0, 10), (1.0011, 30), (1.0012, 40)]


def test_a_sink_is_connected_where_the_log_says_so_last() -> None:
    """Other people's lines and other sinks' are passed over."""
    log = (
        'a warning of Python\n{"time": "2026-11-30T05:00:00.000Z", "message": "sink kafka connected"}\n'
        '{"time": "2026-11-30T05:00:01.250Z", "message": "sink kafka connected"}\n'
        '{"time": "2026-11-30T05:00:09.000Z", "message": "sink mqtt connected"}\n'
    )

    assert connected_at(log, "kafka") % 60 == pytest.approx(1.25)


def test_a_log_without_a_connection_is_no_moment() -> None:
    with pytest.raises(AssertionError, match="does not say"):
        connected_at("", "kafka")
