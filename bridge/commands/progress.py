"""How far long work is, said on a terminal now and then; a reader of standard output sees nothing of it."""

import sys
import time

__all__ = ["Progress"]

_EVERY_SECONDS = 1.0


class Progress:
    """Says on standard error, where that is a terminal, which part of so many `things` is done."""

    def __init__(self, things: str) -> None:
        self._things = things
        self._terminal = sys.stderr.isatty()
        self._told_at = time.monotonic()

    def begin(self, what: str) -> None:
        """Say what is done first, of which nobody knows how long it takes."""
        if self._terminal:
            print(what, file=sys.stderr, flush=True)  # noqa: T201 - beside the command's output

    def __call__(self, done: int, of: int) -> None:
        """Take note of how many are done, and say so where a second has gone since."""
        if self._terminal and time.monotonic() - self._told_at >= _EVERY_SECONDS:
            self._told_at = time.monotonic()
            print(f"\r{done / max(of, 1):4.0%} of {of} {self._things}", end="\r", file=sys.stderr, flush=True)  # noqa: T201
