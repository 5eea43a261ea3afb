"""Work in a thread of its own beside a run. Used by the loads, and by whoever looks at a bridge all the time."""

import threading
from typing import Self

__all__ = ["Background"]

_END_SECONDS = 30


class Background:
    """Works from when it is entered until it is left: `_run`, which looks at `_ended` again and again."""

    def __init__(self, name: str) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        raise NotImplementedError
