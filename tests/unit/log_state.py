"""The process's logging as it was before a test that changes it."""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bridge import log

__all__ = ["restored"]


@contextmanager
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """Give the root logger, and put it, the redaction and the hooks back as they were."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    monkeypatch.setattr(log, "_redaction", log._Redaction())
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    yield root
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = before
