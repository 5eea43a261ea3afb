"""What the models have in common."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture
def quiet() -> Iterator[None]:
    """Nobody reads what is logged of ten thousand failures."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
