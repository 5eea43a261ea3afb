"""How far the opening of a journal is, for whoever waits for it: a damaged one of some gigabytes takes minutes.

Told by `bridge.journal.opening`, in part from a thread; may be read at any time.
"""

from typing import Literal

__all__ = ["Stage", "Step"]

Step = Literal["checking", "salvaging", "reading"]
"""Whether its file is whole; what of it can be put into a new one; what it holds."""


class Stage:
    """What is done just now; while it is salvaged, `share` says how much of the file has been looked at, up to 1."""

    def __init__(self) -> None:
        self.step: Step = "checking"
        self.share = 0.0

    def looked_at(self, page: int, pages: int) -> None:
        """Note what `bridge.journal.rebuild` tells page after page."""
        self.step = "salvaging"
        self.share = page / pages

    def usable(self) -> None:
        """Note that the file can be used."""
        self.step = "reading"
