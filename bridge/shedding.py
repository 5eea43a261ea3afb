"""Which events of a sink go out without their bodies, since its broker has refused them for their size.

Pure, and remembered over connections: a refusal that shows only after sending may have cost one, and what has cost one
must not cost the next. Used by `bridge.pipeline`, for one sink.
"""

from collections.abc import Sequence

from bridge.errors import TooLarge, Unavailable
from bridge.journal import Page
from bridge.ports import Outcome, Shed
from bridge.reference import without_body

__all__ = ["Shedding"]


class Shedding:
    """See the module; `wanted` is `EVENT__OVERSIZE=reference`."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._refused: dict[int, str] = {}
        """What the broker has said, by sequence number."""

    def applied(self, page: Page) -> Page:
        """Give a page as it is to be delivered: what was refused is in it as a reference."""
        if self._refused.keys().isdisjoint(page.seqs):
            return page
        pairs = zip(page.messages, page.seqs, strict=True)
        return Page([(seq in self._refused and without_body(one)) or one for one, seq in pairs], page.seqs)

    def noted(self, page: Page, outcomes: Sequence[Outcome], refusals: int = 0) -> Sequence[Outcome]:
        """Remember what was refused, as an error behind which all of the page as it was read is delivered again.

        What was confirmed as a reference is said to be without its body. A reference that is refused stays refused.
        `refusals` is how often the page's first message was refused before, as in `bridge.policy`: what would be buried
        for a connection that it ends is shortened first.
        """
        if not self._refused and outcomes.count(None) == len(outcomes):
            return outcomes  # as nearly always: nothing is asked message by message
        noted = list(outcomes)
        for index, (message, seq, outcome) in enumerate(zip(page.messages, page.seqs, outcomes, strict=False)):
            if outcome is None and seq in self._refused:
                noted[index] = Shed(self._refused[seq])
            elif self._wanted and seq not in self._refused and _is_refused(outcome, refusals, first=index == 0):
                if without_body(message) is None:
                    continue
                self._refused[seq] = str(outcome)
                noted[index] = Unavailable(f"{outcome}; it goes again as a reference", reason="too_large", at_once=True)
        return noted

    def settled(self, seq: int) -> None:
        """Forget what is settled, up to a sequence number."""
        self._refused = {number: said for number, said in self._refused.items() if number > seq}


def _is_refused(outcome: Outcome, refusals: int, *, first: bool) -> bool:
    match outcome:
        case TooLarge():
            return True
        case Unavailable(reason="too_large", bury_after=int(most)):
            return first and refusals + 1 >= most
    return False
