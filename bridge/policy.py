"""What follows from what a sink reports, and how long to wait after a failure.

Pure: the clock and the dice are arguments. `bridge.pipeline` carries out what is decided here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.errors import Rejected, Unavailable
from bridge.ports import Outcome, Shed

__all__ = ["YOUNG_OUTAGE_SECONDS", "Pauses", "Verdict", "first_page_events", "judge", "page_events", "pause"]

YOUNG_OUTAGE_SECONDS = 30
"""Whoever restarts a peer finds it connected again by then: pauses are short, and nobody is called."""
_LONGEST_PAUSE_OF_A_YOUNG_OUTAGE_SECONDS = 2
_FIRST_PAGE_EVENTS = 100
_QUICK_SHARE = 0.25  # of its deadline: a page of twice as many has still half of it to spare


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with a batch: pass over its first `settled` messages, bury some, and reconnect on an `error`."""

    settled: int
    buried: Mapping[int, Rejected]
    error: Unavailable | None
    shed: Mapping[int, Shed] = field(default_factory=dict)
    """Which of the settled were delivered without their bodies."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """Bounds of the pauses between attempts, in seconds."""

    first_seconds: float
    longest_seconds: float
    hold_seconds: float


def judge(outcomes: Sequence[Outcome], expected: int, failures: int) -> Verdict:
    """Decide over a batch of `expected` messages by the outcome of each.

    Everything up to the first `Unavailable` is settled, the rejected of it buried. What lies behind it is sent again,
    also where it was confirmed: on a new connection the order of the journal is the order of the topic. `failures` is
    how often the batch's first message was the one to fail before; a message that fails more often than its error
    allows is buried. A sink that does not answer for each message is not believed at all.
    """
    if len(outcomes) != expected:
        text = f"the sink answered {len(outcomes)} outcomes for {expected} messages: a fault of the sink"
        return Verdict(0, {}, Unavailable(text, reason="contract", slowly=True))
    buried: dict[int, Rejected] = {}
    shed: dict[int, Shed] = {}
    for index, outcome in enumerate(outcomes):
        match outcome:
            case None:
                continue
            case Shed():
                shed[index] = outcome
            case Rejected():
                buried[index] = outcome
            case Unavailable():
                if index == 0 and outcome.bury_after is not None and failures + 1 >= outcome.bury_after:
                    why = Rejected(f"refused {failures + 1} times: {outcome}", reason=outcome.reason)
                    return Verdict(1, {0: why}, outcome)
                return Verdict(index, buried, outcome, shed)
    return Verdict(expected, buried, None, shed)


def first_page_events(most: int) -> int:
    """Choose how many messages to ask for at first: a slow broker takes so many in time, a quick one soon gets more."""
    return min(_FIRST_PAGE_EVENTS, most)


def page_events(asked: int, most: int, found: int, verdict: Verdict, share: float) -> int:
    """Choose how many messages to ask for next, `most` at most: `found` was given when so many were `asked` for.

    `share` is the part of its deadline that the page took. What was not confirmed in time is halved, or a slow broker
    would get the same page for ever; only a full and quick page is doubled, or every second one would be too late.
    """
    if verdict.error is not None:
        late = verdict.error.reason == "timeout" and not verdict.settled
        return max(found // 2, 1) if late else asked
    return min(2 * asked, most) if found == asked and share < _QUICK_SHARE else asked


def pause(error: Unavailable, failures: int, outage_seconds: float, dice: float, pauses: Pauses) -> float:
    """Choose the pause before the next attempt: full jitter, bounded by the failures in a row and the outage's age.

    `failures` counts from 1, `dice` lies in [0, 1). While an outage is young the pauses stay short, so that whoever
    restarts a hub or a broker finds the bridge back at once. See "Exponential Backoff And Jitter" (AWS, 2015).
    """
    if error.at_once:
        return 0.0
    young = outage_seconds < YOUNG_OUTAGE_SECONDS
    longest = min(pauses.longest_seconds, _LONGEST_PAUSE_OF_A_YOUNG_OUTAGE_SECONDS) if young else pauses.longest_seconds
    if error.hold:
        return pauses.hold_seconds * (0.75 + dice / 4)
    if error.slowly:
        return longest * (0.5 + dice / 2)
    return dice * min(longest, pauses.first_seconds * 2.0 ** min(failures - 1, 30))
