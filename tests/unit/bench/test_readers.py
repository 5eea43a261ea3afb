"""What the readers of the bench say and keep: frames a server takes, and a curve that stays small."""

import pytest

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
