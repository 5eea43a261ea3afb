"""The soak's look at a process must see what grows."""

import os
from dataclasses import replace

from tests.chaos.vitals import Vitals, growth, vitals

FLAT = [Vitals(60.0 * number, 50 << 20, 30 + number % 2, 3, 20) for number in range(16)]


def test_what_is_flat_is_no_growth() -> None:
    """A connection more for a moment is none either."""
    assert growth(FLAT, 1 << 20)[1] == []


def test_a_count_that_never_comes_back_has_grown() -> None:
    """One more with every fault is a leak, however small."""
    leaking = [replace(one, tasks=20 + number) for number, one in enumerate(FLAT)]

    assert growth(leaking, 1 << 20)[1] == ["tasks have grown from 31 to 32"]


def test_a_count_that_was_as_high_before_has_not_grown() -> None:
    """Few looks may meet more connections at the end than in the quarter that is compared."""
    varied = [replace(one, tasks=count) for one, count in zip(FLAT, (30, 26, 25, 26, 31, 26, 30, 30), strict=False)]

    assert growth(varied, 1 << 20)[1] == []


def test_memory_may_grow_by_so_much_and_no_more() -> None:
    leaking = [replace(one, rss_bytes=(50 + number) << 20) for number, one in enumerate(FLAT)]

    told, found = growth(leaking, 4 << 20)

    assert found == ["memory has grown by 8.0 MiB, at most 4.0 MiB are allowed"]
    assert "(60.0 MiB/h)" in told
    assert growth(leaking, 8 << 20)[1] == []


def test_a_process_is_seen_as_it_is() -> None:
    """A descriptor more is one more."""
    before = vitals(os.getpid(), 0, 1)
    end, other_end = os.pipe()

    after = vitals(os.getpid(), 0, 1)
    os.close(end)
    os.close(other_end)

    assert after.descriptors - before.descriptors == 2
    assert after.rss_bytes > 1 << 20
    assert after.threads >= 1
