"""The disk keeps what was flushed, and about half of what was only written."""

import os
from pathlib import Path
from random import Random

import pytest

from tests.chaos.device import Cache

_SECTORS = 100
_OLD, _NEW = b"o" * 512, b"n" * 512


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """A disk of old sectors."""
    image = tmp_path / "image"
    image.write_bytes(_OLD * _SECTORS)
    return Cache(os.open(image, os.O_RDWR), Random("1"))  # noqa: S311 - no secret


def test_what_was_flushed_is_kept(cache: Cache) -> None:
    """A flush makes safe all that was written before it."""
    cache.write(0, _NEW * _SECTORS)
    cache.flush()

    cache.cut()

    assert os.pread(cache.image, 512 * _SECTORS, 0) == _NEW * _SECTORS


def test_of_what_was_only_written_each_sector_is_lost_or_kept(cache: Cache) -> None:
    """A sector holds what it held at the last flush, or what was written to it last, whatever its neighbours hold."""
    cache.write(0, b"x" * 512 * _SECTORS)
    cache.write(0, _NEW * _SECTORS)

    cache.cut()

    left = [os.pread(cache.image, 512, 512 * number) for number in range(_SECTORS)]
    assert set(left) == {_OLD, _NEW}
    assert 30 < left.count(_OLD) < 70


def test_what_is_written_can_be_read_before_it_is_safe(cache: Cache) -> None:
    """A cache answers with what it holds."""
    cache.write(512, _NEW)

    assert cache.read(0, 1024) == _OLD + _NEW


def test_without_power_every_request_fails(cache: Cache) -> None:
    """A flush that comes after the cut is never confirmed."""
    cache.write(0, _NEW)

    cache.cut()

    for request in (lambda: cache.read(0, 512), lambda: cache.write(0, _NEW), cache.flush):
        with pytest.raises(OSError, match="the power is cut"):
            request()
